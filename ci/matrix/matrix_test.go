package matrix

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/vm"
)

// needQEMU skips where there is no QEMU. `make setup-matrix` installs it.
func needQEMU(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("runs without the race detector")
	}
	if _, err := exec.LookPath(vm.Command); err != nil {
		t.Skipf("needs %s: make setup-matrix", vm.Command)
	}
}

// options are those of a small run on one old kernel.
func options(t *testing.T) Options {
	t.Helper()
	tree, err := filepath.Abs("../..")
	require.NoError(t, err)
	return Options{
		Tree: tree, List: filepath.Join(tree, "ci/kernels.yaml"), Kernels: []string{"6.1"}, Out: t.TempDir(), Progress: func(what string) { t.Log(what) },
	}
}

// TestEveryEnd runs tests that end in every way that there is, spread over two guests: whatever a test does to its guest, it and all others have
// their cells, and the kernel one column.
func TestEveryEnd(t *testing.T) {
	needQEMU(t)
	o := options(t)
	o.Suites, o.Silence, o.MemoryMiB = []string{"ci/matrix/testdata/suite"}, 10*time.Second, 400
	o.Parallel, o.testsOfAGuest = 2, 4
	m, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, m.Problems)
	require.Len(t, m.Kernels, 1)
	column := m.Kernels[0]
	require.Empty(t, column.Problem)
	require.Contains(t, column.Release, "6.1.")
	require.Positive(t, column.FirstTestSeconds)
	require.Equal(t, 6, column.Boots, "two, and one after each test that took its guest or its process with it")

	states, reasons, logs := map[string]job.State{}, map[string]string{}, map[string]string{}
	files := map[string][]string{}
	for _, c := range column.Cells {
		require.Equal(t, o.Suites[0], c.Suite)
		states[c.Name], reasons[c.Name], logs[c.Name], files[c.Name] = c.State, c.Reason, c.Log, c.Files
	}
	require.Equal(t, map[string]job.State{
		"TestPasses": job.Pass, "TestPasses/part": job.Pass,
		"TestFails": job.Fail, "TestFails/good": job.Pass, "TestFails/bad": job.Fail,
		"TestFindsItsFiles":      job.Pass,
		"TestNamesWhatIsMissing": job.Unsupported,
		"TestSaysNeither":        job.Inconclusive,
		"TestPanics":             job.Crash, "TestPanics/before": job.Pass, "TestPanics/at": job.Crash, "TestPanics/after": job.Pass,
		"TestHangs":                  job.Timeout,
		"TestTakesAllMemory":         job.Crash,
		"TestMakesTheKernelComplain": job.Fail,
		"TestExits":                  job.Crash,
		"TestRunsLast":               job.Pass,
	}, states)
	require.Equal(t, "needs bpf_warp: first in Linux 9.9", reasons["TestNamesWhatIsMissing"])
	require.Contains(t, reasons["TestPanics/at"], "the kernel panicked: sysrq triggered crash")
	require.Contains(t, logs["TestPanics/at"], "Call Trace", "the last lines of the console")
	require.Contains(t, reasons["TestHangs"], "the guest hangs: it sent nothing for")
	require.Contains(t, reasons["TestMakesTheKernelComplain"], "the kernel complained: WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 made up")
	require.Contains(t, reasons["TestTakesAllMemory"], "the guest ran out of memory")
	require.Contains(t, reasons["TestExits"], "the process died")
	require.Contains(t, logs["TestFails/bad"], "R1 is no pointer", "the verifier's log came with the test that names it")
	require.Len(t, files["TestFails/bad"], 1)
	text, err := os.ReadFile(filepath.Join(o.Out, files["TestFails/bad"][0]))
	require.NoError(t, err)
	require.Equal(t, "R1 is no pointer", string(text))
	require.NoError(t, m.Write(o.Out))
}

// TestResultsBySerialPort runs a guest that has no virtio: what it tells, and the files that it sends, come all the same.
func TestResultsBySerialPort(t *testing.T) {
	needQEMU(t)
	o := options(t)
	o.Suites, o.Run, o.withoutVirtio = []string{"ci/matrix/testdata/suite"}, "^TestPasses$|^TestFails$", true
	m, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, m.Kernels[0].Problem, m.Kernels[0].Console)
	require.Equal(t, 1, m.Kernels[0].Boots)
	states := map[string]job.State{}
	for _, c := range m.Kernels[0].Cells {
		states[c.Name] = c.State
		if c.Name == "TestFails/bad" {
			require.Contains(t, c.Log, "R1 is no pointer", "the verifier's log came with the test that names it")
		}
	}
	require.Equal(t, map[string]job.State{
		"TestPasses": job.Pass, "TestPasses/part": job.Pass, "TestFails": job.Fail, "TestFails/good": job.Pass, "TestFails/bad": job.Fail,
	}, states)
}
