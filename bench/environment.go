package bench

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
)

// environment says where and when a run happened, and what may explain its
// figures. What cannot be found out is left away.
func environment(cpu int) map[string]string {
	env := map[string]string{
		"time":    time.Now().UTC().Format(time.RFC3339),
		"goos":    runtime.GOOS,
		"goarch":  runtime.GOARCH,
		"pkg":     "github.com/skbench/skbench/bench",
		"kernel":  kernelRelease(),
		"cpu":     cpuModel(),
		"cpus":    fmt.Sprint(runtime.NumCPU()),
		"pinning": fmt.Sprintf("inline: generator and datapath on CPU %d; split: the datapath on CPU %d", cpu, max(cpu-1, 0)),
		"method": "Inline rates and costs are in CPU time of the one CPU that generator and datapath share, by the scheduler's clock; " +
			"split ones in time, and costs by the receiving thread's clock. Sides take turns, forwards and backwards (ABBA), and no sample is left out. " +
			"Each sample follows packets that are not counted, after which the CPU's caches hold what the side needs. " +
			"The run goes through its benchmarks in laps, and brings up anew in each what it measures.",
		"offloads": "off, but where a figure says on",
	}
	add := func(key, value string) {
		if value != "" {
			env[key] = value
		}
	}
	add("commit", commit())
	add("objects", objects())
	add("wire", fingerprint(_WireBytes, nil))
	add("kernel-config", kernelConfig())
	add("iptables", firstLine(exec.Command("iptables", "--version")))
	add("mitigations", mitigations())
	return env
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// commit is that of the source which this binary was built from, with "+changes"
// behind it when the tree was not clean.
func commit() (revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value + revision
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += "+changes"
		}
	}
	return revision
}

// objects are the fingerprints of the BPF programs that are built in.
func objects() string {
	prints := bpf.Fingerprints()
	var all []string
	for _, name := range slices.Sorted(maps.Keys(prints)) {
		all = append(all, name+" "+prints[name])
	}
	return strings.Join(all, ", ")
}

// kernelConfig is the beginning of the SHA-256 of what the kernel was built with, where
// the kernel or its package tells.
func kernelConfig() string {
	config, err := os.Open("/proc/config.gz")
	if err != nil {
		text, err := os.ReadFile("/boot/config-" + kernelRelease())
		return fingerprint(text, err)
	}
	defer config.Close()
	unpacked, err := gzip.NewReader(config)
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(unpacked)
	return fingerprint(text, err)
}

func fingerprint(text []byte, err error) string {
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func firstLine(cmd *exec.Cmd) string {
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// mitigations names the CPU's weaknesses that the kernel works around, since each
// costs something.
func mitigations() string {
	files, _ := filepath.Glob("/sys/devices/system/cpu/vulnerabilities/*")
	var active []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if state := strings.TrimSpace(string(text)); err == nil && strings.HasPrefix(state, "Mitigation: ") {
			active = append(active, filepath.Base(file)+": "+strings.TrimPrefix(state, "Mitigation: "))
		}
	}
	return strings.Join(active, "; ")
}
