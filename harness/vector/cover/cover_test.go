package cover_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/vector/cover"
)

const object = "testdata/branches_bpfel.o"

// loadBranches loads the test object with counters, its tail call filled in.
func loadBranches(t *testing.T, counters *cover.Counters) *ebpf.Collection {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	require.NoError(t, err)
	spec.Maps["calls"].Contents = []ebpf.MapKV{{Key: uint32(0), Value: "last"}}
	collection, err := counters.Load(object, spec, ebpf.NewCollection)
	require.NoError(t, err)
	t.Cleanup(collection.Close)
	return collection
}

// run runs a program on a packet that begins with that byte.
func run(t *testing.T, program *ebpf.Program, first byte) uint32 {
	t.Helper()
	code, err := program.Run(&ebpf.RunOptions{Data: append([]byte{first}, make([]byte, 63)...)})
	require.NoError(t, err)
	return code
}

// ranBranches is what ran of the test object, which says in comments what it should be.
func ranBranches(t *testing.T) *cover.Report {
	t.Helper()
	counters := &cover.Counters{}
	t.Cleanup(func() { require.NoError(t, counters.Close()) })
	loaded := loadBranches(t, counters)
	for _, packet := range []struct {
		first byte
		code  uint32
	}{{0, 2}, {1, 2}, {1, 2}, {2, 2}, {200, 2}} { // XDP_PASS
		require.Equal(t, packet.code, run(t, loaded.Programs["first"], packet.first), "the counters changed what happens to %d", packet.first)
	}
	require.EqualValues(t, 255, run(t, loaded.Programs["full"], 0), "the counters spoilt a register or the stack")
	report, err := counters.Report()
	require.NoError(t, err)
	return report
}

var expected = regexp.MustCompile(`/\* (\d+) \*/$`)

func TestLines(t *testing.T) {
	t.Parallel()
	report := ranBranches(t)
	require.Empty(t, report.Uncovered)
	require.Len(t, report.Files, 1)
	require.True(t, filepath.IsAbs(report.Files[0].Name))

	want, got := map[int]string{}, map[int]string{}
	source, err := os.ReadFile("testdata/branches.c")
	require.NoError(t, err)
	for i, line := range strings.Split(string(source), "\n") {
		if m := expected.FindStringSubmatch(line); m != nil {
			want[i+1] = m[1]
		}
	}
	for _, line := range report.Files[0].Lines {
		if _, known := want[line.Number]; known {
			got[line.Number] = strconv.FormatUint(line.Count, 10)
		}
	}
	require.Equal(t, want, got, "how often each line ran")
	lines, _ := report.Total()
	require.Equal(t, len(report.Files[0].Lines), lines.All)
	require.Equal(t, lines.All-lines.Ran, strings.Count(string(source), "/* 0 */"))
}

func TestBranches(t *testing.T) {
	t.Parallel()
	file := ranBranches(t).Files[0]
	source, err := os.ReadFile("testdata/branches.c")
	require.NoError(t, err)
	text := strings.Split(string(source), "\n")
	ways := func(condition string) map[string]uint64 {
		all := map[string]uint64{}
		for _, line := range file.Lines {
			if strings.Contains(text[line.Number-1], condition) {
				for _, way := range line.Branches {
					all[strings.TrimSpace(strings.Split(text[way.To-1], "/*")[0])] += way.Count
				}
			}
		}
		return all
	}
	require.Equal(t, map[string]uint64{"seen += 1;": 1, "seen += n;": 4}, ways("if (n > 100)"))
	require.Equal(t, map[string]uint64{"if ((void *)(data + 1) > (void *)(long)ctx->data_end)": 5, "}": 0}, ways("data_end"))
	require.Equal(t, map[string]uint64{"seen += i;": 12, "if (*data == 1 || ctx->rx_queue_index > 5)": 4}, ways("i >= *data"))
	require.Equal(t, map[string]uint64{"if (i >= *data)": 11, "if (*data == 1 || ctx->rx_queue_index > 5)": 1}, ways("i < 8"))
	require.Equal(t, map[string]uint64{"if (*data == 1 || ctx->rx_queue_index > 5)": 3, "seen -= 1;": 2, "found = square(*data);": 3}, ways("*data == 1 ||"))
}

func TestProfile(t *testing.T) {
	t.Parallel()
	report := ranBranches(t)
	dir := t.TempDir()
	profile, page := filepath.Join(dir, "c.out"), filepath.Join(dir, "pages", "c.html")
	require.NoError(t, report.WriteFiles(profile, page))

	out, err := goTool(t, "cover", "-html", profile, "-o", filepath.Join(dir, "go.html"))
	require.NoError(t, err, out)
	theirs, err := os.ReadFile(filepath.Join(dir, "go.html"))
	require.NoError(t, err)
	require.Contains(t, string(theirs), `title="12">                seen += i;`)

	ours, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(ours), "<i>12</i>\t\tseen &#43;= i;")
	for _, beyond := range []string{"http:", "https:", "src=", "<link"} {
		require.NotContains(t, string(ours), beyond, "it needs nothing else")
	}
}

// TestTooLarge loads with room for the program, and none for its counters.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	spec, err := ebpf.LoadCollectionSpec(object)
	require.NoError(t, err)
	counters := &cover.Counters{}
	defer counters.Close()
	refusing := func(spec *ebpf.CollectionSpec) (*ebpf.Collection, error) {
		if program := spec.Programs["first"]; program != nil && program.Instructions.Size() > 1000 {
			deepen(program) // more than the verifier takes
		}
		return ebpf.NewCollection(spec)
	}
	loaded, err := counters.Load(object, spec, refusing)
	require.NoError(t, err)
	defer loaded.Close()
	require.EqualValues(t, 2, run(t, loaded.Programs["first"], 1))
	require.EqualValues(t, 255, run(t, loaded.Programs["full"], 1))
	report, err := counters.Report()
	require.NoError(t, err)
	require.Len(t, report.Uncovered, 1)
	require.Equal(t, "first", report.Uncovered[0].Program)
	require.Contains(t, report.Uncovered[0].Why, "the verifier rejects it with counters")
	require.Contains(t, report.String(), "uncovered: program first of "+object)
}

// deepen has a program use more of the stack than there is, which the verifier refuses as it does what is too large for it.
func deepen(program *ebpf.ProgramSpec) {
	start := program.Instructions[0]
	deep := asm.StoreMem(asm.RFP, -1024, asm.R1, asm.DWord).WithMetadata(start.Metadata)
	program.Instructions = append(asm.Instructions{deep, start.WithMetadata(asm.Metadata{})}, program.Instructions[1:]...)
}

func goTool(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"tool"}, arguments...)...).CombinedOutput()
	return string(out), err
}
