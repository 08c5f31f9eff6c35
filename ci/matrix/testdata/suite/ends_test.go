// Package suite ends in every way that a test can, for the test of package matrix. Nobody runs it on a machine that they need.
package suite

import (
	"os"
	"testing"
	"time"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

func TestPasses(t *testing.T) {
	t.Run("part", func(t *testing.T) { t.Log("not shown") })
}

func TestFails(t *testing.T) {
	t.Run("good", func(*testing.T) {})
	t.Run("bad", func(t *testing.T) {
		file := os.Getenv("TMPDIR") + "/verifier-1.log"
		if err := os.WriteFile(file, []byte("R1 is no pointer"), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("the program is rejected, see %s", file)
	})
}

func TestFindsItsFiles(t *testing.T) {
	if _, err := os.Stat("testdata/beside.txt"); err != nil {
		t.Fatal(err)
	}
}

func TestNamesWhatIsMissing(t *testing.T) {
	t.Attr("unsupported", "bpf_warp")
	t.Attr("since", "9.9")
	t.Skip("needs bpf_warp: first in Linux 9.9")
}

func TestSaysNeither(t *testing.T) {
	t.Attr("inconclusive", "bpf_weft")
	t.Skip("needs bpf_weft: who knows")
}

// The kernel dies, and with it all that is not told yet.
func TestPanics(t *testing.T) {
	t.Run("before", func(*testing.T) {})
	t.Run("at", func(t *testing.T) {
		write(t, "/proc/sys/kernel/sysrq", "1")
		write(t, "/proc/sysrq-trigger", "c")
		time.Sleep(time.Hour)
	})
	t.Run("after", func(*testing.T) {})
}

func TestHangs(*testing.T) {
	for {
	}
}

func TestTakesAllMemory(*testing.T) {
	var taken [][]byte
	for {
		page := make([]byte, 64<<20)
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
		taken = append(taken, page)
	}
}

// What the kernel writes while a test runs fails it.
func TestMakesTheKernelComplain(t *testing.T) {
	write(t, "/dev/kmsg", "WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 made up\n")
	time.Sleep(200 * time.Millisecond)
}

func TestExits(*testing.T) { os.Exit(3) }

func TestRunsLast(*testing.T) {}
