package scenarios

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// Where the machine lets nobody make control groups, as in most containers, no program sees sockets: services are balanced packet
// by packet, and what is about sockets is skipped with the reason.
func TestWithoutControlGroups(t *testing.T) {
	t.Parallel()
	feature.Need(t, feature.CgroupFolders)
	if _, err := exec.LookPath("umount"); err != nil {
		t.Skip(err)
	}
	root, err := topo.CgroupRoot()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	// These tests again, in a mount namespace of their own, from which the hierarchy is taken away.
	cmd := exec.Command("sh", "-c", `umount -l "$1" && exec "$2" -test.v -test.run "$3"`, "sh", root, self,
		"^(TestHairpin|TestSocketConnectsToTheBackend)$/^ebpf$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestHairpin/ebpf/IPv6")
	require.Contains(t, string(out), "--- SKIP: TestSocketConnectsToTheBackend")
	require.Contains(t, string(out), "no cgroup2 is mounted")
}
