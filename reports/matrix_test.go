package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"html"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleMatrix reads the matrix that all golden files come from: it has every state.
func sampleMatrix(tb testing.TB) *Matrix {
	tb.Helper()
	m, err := ReadMatrix("testdata/matrix.json")
	require.NoError(tb, err)
	return m
}

func matrixPageOf(tb testing.TB, m *Matrix) string {
	tb.Helper()
	var b bytes.Buffer
	require.NoError(tb, writeMatrixHTML(&b, m))
	return b.String()
}

func TestMatrixFiles(t *testing.T) {
	t.Parallel()
	m := sampleMatrix(t)
	var markdown, junit bytes.Buffer
	require.NoError(t, writeMatrixMarkdown(&markdown, m))
	require.NoError(t, writeMatrixJUnit(&junit, m))
	for name, got := range map[string]string{
		"matrix_golden.html": styleElement.ReplaceAllString(matrixPageOf(t, m), "<!-- left out -->"),
		"matrix_golden.md":   markdown.String(), "junit_golden.xml": junit.String(),
	} {
		require.Equal(t, string(golden(t, name, []byte(got))), got)
	}
}

func TestMatrixPageNeedsNothingBesideIt(t *testing.T) {
	t.Parallel()
	page := strings.ToLower(matrixPageOf(t, sampleMatrix(t)))
	for _, reference := range []string{"<script", "<link", "<img", "<iframe", "<object", "src=", "url(", "@import", "http:", "https:", "javascript:"} {
		require.NotContains(t, page, reference)
	}
	require.Contains(t, page, "no such packet within 2s &lt;b&gt;")
}

// Every cell that has more to say opens to it, and what it opens to is there.
func TestMatrixCellsOpen(t *testing.T) {
	t.Parallel()
	page := html.UnescapeString(matrixPageOf(t, sampleMatrix(t)))
	for _, id := range strings.Split(page, `href="#log-`)[1:] {
		id, _, _ = strings.Cut(id, `"`)
		require.Contains(t, page, `id="log-`+id+`"`)
	}
	for _, shown := range []string{
		"Kernel panic - not syncing", "the way of the packet last sent", "unknown func bpf_loop#181", `href="files/6.12/scenarios/TestNodePort-9831.pcapng"`,
		`title="needs TC by TCX: first in Linux 6.6, this is 5.10.262">since 6.6`, "27,892 <i>+44 %</i>",
	} {
		require.True(t, strings.Contains(page, shown), shown)
	}
}

func TestMatrixTrouble(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"kernel 4.4 is not in ci/kernels.yaml: choose of 5.10, 6.1, 7.3",
		"scenarios TestNodePort/ebpf/IPv6 on 6.12: fail: web-on-node3: no such packet within 2s <b>",
		"scenarios TestTCX on 6.12: crash: the kernel panicked: Fatal exception",
		"scenarios TestOdd on 6.12: time-out: the guest hangs: it sent nothing for 90s",
		"kernel 7.3: 7.3.4 is not in trixie-backports: write 7.3.5-1 and its sha256 into ci/kernels.yaml",
		"scenarios TestGone is unsupported on every kernel, so nothing tests it: needs bpf_warp: first in Linux 9.9, this is 5.10.262",
	}, sampleMatrix(t).Trouble())
}

// What no kernel supports is known only of a whole matrix.
func TestUnsupportedEverywhere(t *testing.T) {
	t.Parallel()
	gone := func(m *Matrix) bool {
		return slices.ContainsFunc(m.Trouble(), func(s string) bool { return strings.Contains(s, "unsupported on every kernel") })
	}
	whole, shard, alone, part := sampleMatrix(t), sampleMatrix(t), sampleMatrix(t), sampleMatrix(t)
	require.True(t, gone(whole))
	shard.Shard = "1/2"
	require.False(t, gone(shard))
	alone.Kernels = alone.Kernels[:1]
	require.False(t, gone(alone))
	part.Kernels[1].Cells = slices.DeleteFunc(part.Kernels[1].Cells, func(c Cell) bool { return c.Name == "TestGone" })
	require.False(t, gone(part), "one of the kernels did not say")
}

func TestSums(t *testing.T) {
	t.Parallel()
	m := sampleMatrix(t)
	table := m.tables()[0]
	require.Equal(t, "scenarios", table.suite)
	at := slices.IndexFunc(table.rows, func(r matrixRow) bool { return r.name == "TestNodePort" })
	old, newer, none := table.sumOf(at, 0), table.sumOf(at, 1), table.sumOf(at, 2)
	require.Equal(t, Pass, old.state, "parts that are unsupported take nothing from those that pass")
	require.Equal(t, []int{2, 0, 2}, []int{old.pass, old.others, old.unsupported})
	require.Equal(t, Fail, newer.state)
	require.Equal(t, "TestNodePort/ebpf/IPv6", newer.cell.Name, "it says most")
	require.Equal(t, State(""), none.state, "the kernel could not be run")
}

func TestMatrixVerdict(t *testing.T) {
	t.Parallel()
	m := sampleMatrix(t)
	require.Equal(t, "1 of 3 kernels could not be run to the end; 3 of 7 tests go wrong", m.Verdict())
	m.Kernels = m.Kernels[:2]
	require.Equal(t, "3 of 7 tests go wrong on some of 2 kernels", m.Verdict())
	m.Kernels, m.Problems = m.Kernels[:1], nil
	require.Equal(t, "Nothing goes wrong on 5.10: 7 tests pass or name the feature that they lack", m.Verdict())
	m.Problems = []string{"suite x: there is no such folder"}
	require.Equal(t, "Not all was run on 5.10: 7 tests pass or name the feature that they lack", m.Verdict())
	m.Kernels[0].Cells = nil
	require.Equal(t, "No test was run on 5.10", m.Verdict())
	m.Kernels = nil
	require.Equal(t, "No kernel was run", m.Verdict())
}

func TestMergeMatrix(t *testing.T) {
	t.Parallel()
	var shards []string
	for i, number := range []string{"1/3", "2/3", "3/3"} {
		m := sampleMatrix(t)
		m.Shard, m.Kernels = number, m.Kernels[i:i+1]
		shards = append(shards, writeMatrix(t, m))
	}
	capture := filepath.Join(shards[1], "files/6.12/scenarios/TestNodePort-9831.pcapng")
	out := t.TempDir()
	_, err := MergeMatrix(out, shards)
	require.ErrorContains(t, err, "is not whole")
	require.NoError(t, os.MkdirAll(filepath.Dir(capture), 0o755))
	require.NoError(t, os.WriteFile(capture, []byte("frames"), 0o644))

	merged, err := MergeMatrix(out, []string{shards[1], shards[0], shards[2]})
	require.NoError(t, err)
	want := sampleMatrix(t)
	require.ElementsMatch(t, want.Kernels, merged.Kernels)
	require.Empty(t, merged.Shard)
	require.Equal(t, want.Problems, merged.Problems, "each is told once")
	require.Less(t, slices.IndexFunc(merged.Kernels, named("5.10")), slices.IndexFunc(merged.Kernels, named("6.12")), "from old to new")
	for _, name := range []string{"matrix.json", "index.html", "matrix.md", "junit.xml", "files/6.12/scenarios/TestNodePort-9831.pcapng"} {
		require.FileExists(t, filepath.Join(out, name))
	}
	_, err = MergeMatrix(out, []string{shards[0], shards[0]})
	require.ErrorContains(t, err, "kernel 5.10 is there twice: join only shards of one matrix")
	_, err = MergeMatrix(out, nil)
	require.ErrorContains(t, err, "no shards to join")
	evil := sampleMatrix(t)
	evil.Kernels[1].Cells[3].Files = []string{"../../etc/passwd"}
	_, err = MergeMatrix(out, []string{writeMatrix(t, evil)})
	require.ErrorContains(t, err, "which is not below it")
}

func named(name string) func(Kernel) bool { return func(k Kernel) bool { return k.Name == name } }

func writeMatrix(t *testing.T, m *Matrix) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text, err := json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "matrix.json"), text, 0o644))
	return dir
}

func TestReleasesInOrder(t *testing.T) {
	t.Parallel()
	releases := []string{"", "5.10.0-46-cloud-amd64", "6.1.0-56-cloud-amd64", "6.12.117+deb13-cloud-amd64", "6.18.15", "7.3.4+deb13-cloud-amd64"}
	for i, a := range releases {
		for j, b := range releases {
			require.Equal(t, compareInts(i, j), compareReleases(a, b), "%s and %s", a, b)
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestMatrixThatIsNone(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		`schema is "skbench/matrix/v2"`:     `{"schema":"skbench/matrix/v2","environment":{},"kernels":[]}`,
		`unknown field "cells"`:             `{"schema":"skbench/matrix/v1","cells":[]}`,
		"kernels[0].name is missing":        `{"schema":"skbench/matrix/v1","kernels":[{}]}`,
		`kernels[0].cells[0].state is "so"`: `{"schema":"skbench/matrix/v1","kernels":[{"name":"x","cells":[{"state":"so"}]}]}`,
		"unexpected EOF":                    `{"schema":`,
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "matrix.json"), []byte(text), 0o644))
		_, err := RenderMatrix(dir)
		require.ErrorContains(t, err, want)
		require.NoFileExists(t, filepath.Join(dir, "index.html"))
	}
	_, err := RenderMatrix(t.TempDir())
	require.ErrorContains(t, err, "make one first with: skbench matrix --out DIR")
}

// The schema names exactly what is read, and the states that there are.
func TestMatrixSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("matrix.schema.json")
	require.NoError(t, err)
	type object struct {
		Properties map[string]struct {
			Enum []string
		}
		Required []string
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(text, &schema))
	for _, test := range []struct {
		of     any
		schema object
	}{{Matrix{}, schema.object}, {Kernel{}, schema.Defs["kernel"]}, {Cell{}, schema.Defs["cell"]}, {Feature{}, schema.Defs["feature"]}} {
		var names, required []string
		kind := reflect.TypeOf(test.of)
		for i := range kind.NumField() {
			name, optional, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
			if optional == "" {
				required = append(required, name)
			}
		}
		var known []string
		for name := range test.schema.Properties {
			known = append(known, name)
		}
		require.ElementsMatch(t, names, known, "%s", kind)
		require.ElementsMatch(t, required, test.schema.Required, "%s", kind)
	}
	var named []State
	for _, state := range schema.Defs["cell"].Properties["state"].Enum {
		named = append(named, State(state))
	}
	require.ElementsMatch(t, states, named)
}

func TestJUnitIsXML(t *testing.T) {
	t.Parallel()
	m := sampleMatrix(t)
	m.Kernels[0].Cells[0].Log = "bell \a and <tag> & more"
	m.Kernels[0].Cells[0].State = Fail
	var b bytes.Buffer
	require.NoError(t, writeMatrixJUnit(&b, m))
	var read junitSuites
	require.NoError(t, xml.Unmarshal(b.Bytes(), &read))
	require.Equal(t, "bell  and <tag> & more", read.Suites[0].Cases[0].Failure.Text)
	require.Equal(t, []int{1, 2, 1}, []int{read.Suites[0].Failures, read.Suites[1].Errors, read.Suites[2].Errors})
}
