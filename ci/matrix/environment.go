package matrix

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/skbench/skbench/ci/matrix/vm"
	"github.com/skbench/skbench/harness/feature"
)

func hostRelease() (string, error) { return feature.Release() }

// environment says where and when the matrix was made.
func environment(accelerator vm.Accelerator, o Options) map[string]string {
	release, _ := hostRelease()
	e := map[string]string{
		"time": time.Now().UTC().Format(time.RFC3339), "kernel": release, "cpu": processor(), "cpus": fmt.Sprint(runtime.NumCPU()),
		"goos": runtime.GOOS, "goarch": runtime.GOARCH, "go": runtime.Version(),
	}
	if accelerator != "" {
		e["accelerator"] = string(accelerator)
		if out, err := exec.Command(vm.Command, "--version").Output(); err == nil {
			e["qemu"] = string(bytes.TrimSpace(bytes.SplitN(out, []byte("\n"), 2)[0]))
		}
	}
	if o.Quick {
		e["suite"] = "quick"
	}
	return e
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
