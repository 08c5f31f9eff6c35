package snapshot

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// listNamespaces lists the network namespaces that can be seen: where a thread stands, what a descriptor or a bind mount holds.
func (m *machine) listNamespaces() (map[string]Thing, error) {
	things := map[string]Thing{}
	for name, holders := range m.holders {
		if isNamespace(name) {
			things[name] = m.thing("", holders...)
		}
	}
	seen := map[string]bool{}
	for pid := range m.processes {
		proc := fmt.Sprintf("/proc/%d", pid)
		if mnt := readLink(proc + "/ns/mnt"); !seen[mnt] {
			seen[mnt] = true
			mounts, _ := readMounts(proc + "/mountinfo")
			addMounted(things, mounts)
		}
	}
	return things, nil
}

// isNamespace tells whether the target of a link or descriptor is a network namespace.
func isNamespace(name string) bool { return strings.HasPrefix(name, "net:[") }

// addMounted adds the namespaces that a bind mount keeps, such as those of "ip netns add".
func addMounted(things map[string]Thing, mounts []mount) {
	for _, mount := range mounts {
		if mount.fstype == "nsfs" && isNamespace(mount.root) {
			things[mount.root] = Thing{What: "mounted at " + mount.point}
		}
	}
}

const slab = "/sys/kernel/slab/net_namespace"

// listHiddenNamespaces counts the namespaces that the kernel has and no process shows, as things numbered from 1: those that only a socket, a
// descriptor under way or a lost reference keeps.
func (m *machine) listHiddenNamespaces() (map[string]Thing, error) {
	if merged, err := os.ReadFile(slab + "/aliases"); err != nil || strings.TrimSpace(string(merged)) != "0" {
		return nil, unseen("the kernel does not show its own count of network namespaces (" + slab + ")")
	}
	hidden, err := countHidden()
	if err != nil {
		return nil, err
	}
	things := map[string]Thing{}
	for i := range hidden {
		things["#"+strconv.Itoa(i+1)] = m.thing("the kernel counts more network namespaces than can be seen", m.holders[strangers]...)
	}
	return things, nil
}

// countHidden asks the kernel how many network namespaces it has beyond those that can be seen. Since 6.13 it frees those that died only after
// the next one has died (net_complete_free, net/core/net_namespace.c), on a work queue that gives no sign, and others on this machine make
// and drop some meanwhile: so one is made and dropped, and the lowest difference of several is the nearest to the truth.
func countHidden() (int, error) {
	const tries, pause = 5, 20 * time.Millisecond
	lowest := math.MaxInt
	for range tries {
		if err := dropNamespace(); err != nil {
			return 0, err
		}
		time.Sleep(pause)
		m, err := lookAround(Options{})
		if err != nil {
			return 0, err
		}
		visible, err := m.listNamespaces()
		if err != nil {
			return 0, err
		}
		kernel, err := countSlab()
		if err != nil {
			return 0, err
		}
		lowest = min(lowest, kernel-(len(visible)-1)) // The machine's own namespace is not in the slab.
	}
	return max(lowest, 0), nil
}

// dropNamespace makes a network namespace and drops it.
func dropNamespace() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET}
	return cmd.Run()
}

// countSlab counts the allocated objects. Unless shrunk first, the slab counts each object of its per-CPU pages as allocated.
func countSlab() (int, error) {
	if err := os.WriteFile(filepath.Join(slab, "shrink"), []byte("1"), 0); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(slab, "objects"))
	if err != nil {
		return 0, err
	}
	count, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ") // "14 N0=14": in all, then per memory node.
	return strconv.Atoi(count)
}
