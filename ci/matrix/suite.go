package matrix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/skbench/skbench/harness/vector"
)

// suite is tests built to run on other kernels, or vectors as they were written.
type suite struct {
	name     string
	binary   string   // of `go test -c`; "" for vectors
	pack     string   // the package's import path, as go test -json says it
	testdata string   // its folder testdata, or ""
	only     string   // pattern for -test.run, or ""
	tests    []string // names of its top tests, in order

	folder  string   // where it is
	vectors []string // files in it
	objects []string // that vectors name
}

// standard are the suites that run when none is named: the datapath's behaviour, on labs and packet by packet, and the table of features held
// against the probes.
var standard = []string{"scenarios", "bpf/testdata", featureSuite}

const featureSuite = "harness/feature"

// builder builds what runs on the kernels: statically, since a guest has no libraries but those that it is given.
type builder struct {
	tree string // the module's root
	into string
}

// suite makes a suite of a folder with Go tests, of this module or another; of a folder of vectors; or of one file of vectors.
func (b builder) suite(ctx context.Context, given string) (suite, error) {
	path := given
	if !filepath.IsAbs(path) {
		path = filepath.Join(b.tree, path)
	}
	name := filepath.ToSlash(filepath.Clean(given))
	info, err := os.Stat(path)
	if err != nil {
		return suite{}, fmt.Errorf("suite %s: %w: name a folder with Go tests, or vectors", given, err)
	}
	if !info.IsDir() {
		s := suite{name: name, folder: filepath.Dir(path)}
		return s, s.addVectors(path)
	}
	if tests, err := filepath.Glob(filepath.Join(path, "*_test.go")); err == nil && len(tests) > 0 {
		return b.tests(ctx, name, path)
	}
	s := suite{name: name, folder: path}
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, _ := filepath.Glob(filepath.Join(path, pattern))
		for _, file := range found {
			if err := s.addVectors(file); err != nil {
				return suite{}, err
			}
		}
	}
	if len(s.vectors) == 0 {
		return suite{}, fmt.Errorf("suite %s: there are neither Go tests nor vectors in it: name a folder that has some", given)
	}
	return s, nil
}

// addVectors adds a file of vectors, with the objects that it names. One without vectors is there for others to extend.
func (s *suite) addVectors(file string) error {
	suites, err := vector.ReadFile(file)
	if err != nil {
		return fmt.Errorf("suite %s: %w", s.name, err)
	}
	for _, one := range suites {
		if len(one.Vectors) == 0 {
			continue
		}
		if name := filepath.Base(file); !slices.Contains(s.vectors, name) {
			s.vectors = append(s.vectors, name)
		}
		if one.Object != "" && !slices.Contains(s.objects, one.Object) {
			s.objects = append(s.objects, one.Object)
		}
	}
	return nil
}

// tests builds the tests of a folder.
func (b builder) tests(ctx context.Context, name, path string) (suite, error) {
	s := suite{name: name, folder: path, binary: filepath.Join(b.into, strings.NewReplacer("/", "-", "..", "up").Replace(name)+".test")}
	if err := b.run(ctx, path, "test", "-c", "-ldflags=-s -w", "-o", s.binary, "."); err != nil {
		return suite{}, fmt.Errorf("suite %s does not build: %w", name, err)
	}
	listed, err := b.output(ctx, path, "list", "-f", `{{.ImportPath}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}`, ".")
	if err != nil {
		return suite{}, fmt.Errorf("suite %s: %w", name, err)
	}
	fields := strings.Fields(listed)
	s.pack = fields[0]
	if s.tests, err = testsIn(path, fields[1:]); err != nil {
		return suite{}, fmt.Errorf("suite %s: %w", name, err)
	}
	if info, err := os.Stat(filepath.Join(path, "testdata")); err == nil && info.IsDir() {
		s.testdata = filepath.Join(path, "testdata")
	}
	return s, nil
}

// testsIn names the tests that files declare, without running what a user's TestMain may do to this machine.
func testsIn(folder string, files []string) (tests []string, err error) {
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Name.Name != "TestMain" && testName.MatchString(f.Name.Name) {
				tests = append(tests, f.Name.Name)
			}
		}
	}
	slices.Sort(tests)
	return tests, nil
}

// testName is that of what go test runs unless told otherwise.
var testName = regexp.MustCompile(`^(Test|Fuzz|Example)($|\P{Ll})`)

// command builds a command of this module or of Go's own.
func (b builder) command(ctx context.Context, pack string) (string, error) {
	binary := filepath.Join(b.into, filepath.Base(pack))
	if err := b.run(ctx, b.tree, "build", "-ldflags=-s -w", "-o", binary, pack); err != nil {
		return "", fmt.Errorf("build %s: %w", pack, err)
	}
	return binary, nil
}

func (b builder) run(ctx context.Context, dir string, args ...string) error {
	_, err := b.output(ctx, dir, args...)
	return err
}

func (b builder) output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New("there is no go to build with: install Go (https://go.dev/dl)")
		}
		return "", fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(complaint.String()), " "))
	}
	return out.String(), nil
}

// quick names one scenario of each kind, and none whose packets another sends already: TestHostRoutingBypassesNetfilter has those of TestCrossNode.
// Of those that hold for several datapaths, eBPF's part runs. A test holds the names against the scenarios that there are.
var quick = []string{
	"TestSameNode", "TestHostRoutingBypassesNetfilter", "TestPodToWorldIsMasqueraded", "TestGatewayAnswers", "TestNodePort",
	"TestClusterIP", "TestDropsHaveAReason",
}

// quickPattern matches the quick scenarios, as -test.run takes it.
func quickPattern(names []string) string {
	return "^(" + strings.Join(slices.Sorted(slices.Values(names)), "|") + ")$/^ebpf"
}
