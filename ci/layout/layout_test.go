// Package layout holds the tree to its own rules: which folder may import what, and what each C file must say of its licence.
package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/skbench/skbench"
	root   = "../.."
)

// mayImport gives for each folder, with all below it, which other folders of this tree it may import. A folder within another overrides it.
// Imports go one way: the leaves know nothing of each other, the labs stand on the leaves, scenarios and benchmarks on the labs.
var mayImport = map[string][]string{
	".":              {"topo", "bpf", "harness", "bench", "reports", "ci"}, // main.go
	"topo":           {},
	"bpf":            {},
	"harness/packet": {},
	"harness":        {"topo", "bpf"},
	"scenarios":      {"topo", "bpf", "harness"},
	"bench":          {"topo", "bpf", "harness"},
	"reports":        {},
	"ci":             {"topo", "bpf", "harness"},

	"ci/repeatability": {"bench", "reports"}, // it has reports judge what bench measures
	"ci/nightly":       {"reports"},          // its nights have made-up results
}

// onlyIn gives the one folder that may import a library. The others go through what that folder offers.
var onlyIn = map[string]string{
	"github.com/vishvananda/netlink": "topo",
	"github.com/vishvananda/netns":   "topo",
	"github.com/google/gopacket":     "harness/packet",
	"github.com/google/nftables":     "harness",
	"github.com/moby/ipvs":           "harness/datapath/ipvs",
	"gonum.org/v1/plot":              "reports",
}

// leaves are exempt in their external tests (package topo_test…), which may stand on anything: a datapath program is best tested with crafted
// packets in a real namespace.
var leaves = []string{"topo", "bpf", "harness/packet"}

func TestImportsGoOneWay(t *testing.T) {
	for file, parsed := range goFiles(t) {
		folder := path.Dir(file)
		if strings.HasSuffix(parsed.Name.Name, "_test") && slices.ContainsFunc(leaves, func(leaf string) bool { return within(folder, leaf) }) {
			continue
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if why := wrong(folder, imported); why != "" {
				t.Errorf("%s imports %s: %s", file, imported, why)
			}
		}
	}
}

// wrong tells why a folder may not import a package; empty when it may.
func wrong(folder, imported string) string {
	for library, home := range onlyIn {
		if within(imported, library) && !within(folder, home) {
			return "only " + home + " may"
		}
	}
	ours, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return ""
	}
	owner := nearest(folder, slices.Collect(maps.Keys(mayImport)))
	if within(ours, owner) || slices.ContainsFunc(mayImport[owner], func(allowed string) bool { return within(ours, allowed) }) {
		return ""
	}
	return "may import only " + strings.Join(append([]string{"itself"}, mayImport[owner]...), ", ")
}

func TestTheRulesBite(t *testing.T) {
	for _, test := range []struct {
		folder, imported string
		allowed          bool
	}{
		{"topo", module + "/bpf", false},
		{"topo", "github.com/vishvananda/netlink/nl", true},
		{"harness", "github.com/vishvananda/netlink", false},
		{"harness", module + "/harness/packet", true},
		{"harness/packet", module + "/harness", false},
		{"harness/datapath/ebpf", module + "/bpf", true},
		{"harness", module + "/bench", false},
		{"bench", module + "/reports", false},
		{"reports", "gonum.org/v1/plot/plotter", true},
		{"bench", "gonum.org/v1/plot", false},
		{".", module + "/reports", true},
		{"scenarios", module + "/bench", false},
		{"scenarios", "github.com/google/gopacket", false},
	} {
		why := wrong(test.folder, test.imported)
		require.Equal(t, test.allowed, why == "", "%s imports %s: %s", test.folder, test.imported, why)
	}
}

func TestScenariosAreTestsOnly(t *testing.T) {
	for file := range goFiles(t) {
		if within(path.Dir(file), "scenarios") && !strings.HasSuffix(file, "_test.go") {
			t.Errorf("%s: scenarios holds tests and nothing else", file)
		}
	}
}

func TestEveryCFileNamesItsLicence(t *testing.T) {
	const ours = "SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)"
	for _, file := range files(t, ".c", ".h") {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		if within(file, "bpf/include") {
			continue // As it came from elsewhere, with the licence that it came with.
		}
		require.Contains(t, string(text[:min(len(text), 150)]), ours, file)
	}
}

// within tells whether a path is a folder or lies below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// nearest is the longest of the folders that holds a folder; the top one holds all.
func nearest(folder string, folders []string) string {
	best := "."
	for _, f := range folders {
		if within(folder, f) && len(f) > len(best) {
			best = f
		}
	}
	return best
}

func goFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	parsed := map[string]*ast.File{}
	for _, file := range files(t, ".go") {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		require.NoError(t, err)
		parsed[file] = f
	}
	require.Contains(t, parsed, "ci/layout/layout_test.go", "the tree is not where this test looks for it")
	return parsed
}

// files lists the files of the tree with one of the extensions, as slash-separated paths from its root.
func files(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || name == "out"):
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains(extensions, path.Ext(name)):
			found = append(found, name)
		}
		return nil
	})
	require.NoError(t, err)
	return found
}
