package topo

import (
	"testing"

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
