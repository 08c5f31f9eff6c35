package topo

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
)

// HideTools makes tools look as if they were not installed, for the length of a test.
func HideTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	folders := toolFolders
	toolFolders = nil
	t.Cleanup(func() { toolFolders = folders })
}

// LoadMute loads the program that Mute attaches.
func LoadMute(t testing.TB) *ebpf.Program {
	var objects muteObjects
	require.NoError(t, loadMuteObjects(&objects, nil))
	t.Cleanup(func() { objects.Close() })
	return objects.Mute
}

// FindCgroupRoot is CgroupRoot of a list of mounts.
var FindCgroupRoot = findCgroupRoot

// LockCgroup locks a network's folder.
var LockCgroup = lockCgroup

// SetCgroupPatience changes how long Close waits for a process to end, for the length of a test.
func SetCgroupPatience(t *testing.T, d time.Duration) {
	before := cgroupPatience
	cgroupPatience = d
	t.Cleanup(func() { cgroupPatience = before })
}

// ListenOn opens a socket as Drain and Receive do, on the device of an index.
func ListenOn(m *Machine, index int) (fd int, err error) { return m.listen(Device{Index: index}, 1) }
