package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWatch(t *testing.T) {
	for _, test := range []struct{ name, script, says string }{
		{"loads", "exit 0", ""},
		{"refuses", "echo operation not permitted >&2; exit 1", "this machine cannot load a BPF program: operation not permitted"},
		{"never answers", "trap '' TERM INT; while :; do sleep 1; done", "the kernel did not load a BPF program within 100ms: its BPF is stuck, and only a reboot mends that"},
	} {
		t.Run(test.name, func(t *testing.T) {
			patience := time.Minute
			if test.name == "never answers" {
				patience = 100 * time.Millisecond
			}
			err := watch(exec.Command("sh", "-c", test.script), patience)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, test.says, strings.TrimSpace(err.Error()))
		})
	}
}

// TestWhatEveryChangeMustPass runs .ci/run with stand-ins for go and make: where no program loads it checks what needs none, runs the scenarios in
// a virtual machine, and says so.
func TestWhatEveryChangeMustPass(t *testing.T) {
	text, err := os.ReadFile("../../.ci/run")
	require.NoError(t, err)
	const why = "BPF is stuck here"
	for _, test := range []struct {
		name, canload string
		inVM          bool
	}{
		{"programs load", "exit 0", false},
		{"programs do not load", "echo " + why + " >&2; exit 1", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := t.TempDir()
			write := func(name, content string) {
				file := filepath.Join(tree, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(content), 0o755))
			}
			write(".ci/run", string(text))
			write("bin/go", "#!/bin/sh\nmkdir -p out\nprintf '#!/bin/sh\\n"+test.canload+"\\n' > \"$3\"\nchmod +x \"$3\"\n")
			write("bin/make", "#!/bin/sh\necho \"$@\" >> made\n")
			cmd := exec.Command(filepath.Join(tree, ".ci/run"))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(tree, "bin")+":"+os.Getenv("PATH"))
			said, err := cmd.CombinedOutput()
			require.NoError(t, err, string(said))
			made, err := os.ReadFile(filepath.Join(tree, "made"))
			require.NoError(t, err)
			targets := strings.Split(strings.TrimSpace(string(made)), "\n")
			if test.inVM {
				require.Equal(t, []string{"check", "test-vm"}, targets)
			} else {
				require.Contains(t, targets, "test")
				require.NotContains(t, targets, "test-vm")
			}
			require.Equal(t, test.inVM, strings.Contains(string(said), why), "the reason")
			require.Equal(t, test.inVM, strings.Contains(string(said), "the scenarios run in a virtual machine"), string(said))
		})
	}
}
