package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestCompare(t *testing.T) {
	nothing, something := map[string]Thing{}, Thing{What: "it"}
	for _, test := range []struct {
		name    string
		kind    string
		was, is map[string]Thing
		want    []string
	}{
		{
			name: "equal", kind: "device",
			was: map[string]Thing{"lo": something}, is: map[string]Thing{"lo": something},
		},
		{
			name: "new program", kind: "BPF program",
			was: nothing, is: map[string]Thing{"prog 7": {What: `XDP "balance"`}},
			want: []string{`BPF program prog 7 is new: XDP "balance"`},
		},
		{
			name: "new program of someone else", kind: "BPF program",
			was: nothing, is: map[string]Thing{"prog 7": {What: `XDP "balance"`, Outsider: "pid 1 init"}},
		},
		{
			name: "someone else's program is gone", kind: "BPF program",
			was: map[string]Thing{"prog 7": something}, is: nothing,
		},
		{
			name: "namespace under the number of someone else's lost one", kind: "namespace",
			was: map[string]Thing{"net:[7]": {Outsider: "pid 1 init"}}, is: map[string]Thing{"net:[7]": {What: "held by pid 9 skbench"}},
			want: []string{"namespace net:[7] is new: held by pid 9 skbench"},
		},
		{
			name: "namespace that was always mounted", kind: "namespace",
			was: map[string]Thing{"net:[7]": {What: "mounted at /run/netns/a"}}, is: map[string]Thing{"net:[7]": {What: "mounted at /run/netns/a"}},
		},
		{
			name: "new device", kind: "device",
			was: nothing, is: map[string]Thing{"lxc-web": {What: "index 7"}},
			want: []string{"device lxc-web is new: index 7"},
		},
		{
			name: "lost route", kind: "route",
			was: map[string]Thing{"any/0": {What: "via 10.0.0.1"}}, is: nothing,
			want: []string{"route any/0 is gone: via 10.0.0.1"},
		},
		{
			name: "changed sysctl", kind: "sysctl",
			was: map[string]Thing{"net.ipv4.ip_forward": {What: "0"}}, is: map[string]Thing{"net.ipv4.ip_forward": {What: "1"}},
			want: []string{`sysctl net.ipv4.ip_forward: was "0", is "1"`},
		},
		{
			name: "sysctls of a module loaded meanwhile", kind: "sysctl",
			was: nothing, is: map[string]Thing{"net.netfilter.nf_conntrack_max": {What: "262144"}},
		},
		{
			name: "a new folder tells what is in it", kind: "file",
			was: map[string]Thing{"/run": {}}, is: map[string]Thing{"/run": {}, "/run/lab": {}, "/run/lab/a": {}, "/run/lab/b/c": {}, "/run/lab/b": {}},
			want: []string{"file /run/lab is new"},
		},
		{
			name: "someone else's new folder", kind: "file",
			was: nothing, is: map[string]Thing{"/tmp/job": {Outsider: "pid 9 sh"}, "/tmp/job/out": {Outsider: "pid 9 sh"}, "/tmp/job/pid": {}},
		},
		{
			name: "mount on a mount", kind: "mount",
			was: map[string]Thing{"/tmp": something}, is: map[string]Thing{"/tmp": something, "/tmp #2": {What: "bpf of / from none"}},
			want: []string{"mount /tmp #2 is new: bpf of / from none"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := Compare(Snapshot{Things: map[string]map[string]Thing{test.kind: test.was}}, Snapshot{Things: map[string]map[string]Thing{test.kind: test.is}})
			var lines []string
			for _, d := range got {
				lines = append(lines, d.String())
			}
			require.Equal(t, test.want, lines)
		})
	}
}

func TestCompareLeavesOutWhatWasNotSeen(t *testing.T) {
	unseen := Snapshot{Things: map[string]map[string]Thing{}, Unseen: map[string]string{"netfilter": "no command nft"}}
	seen := Snapshot{Things: map[string]map[string]Thing{"netfilter": {"table ip nat": {}}}}
	require.Empty(t, Compare(unseen, seen))
}

func TestSettle(t *testing.T) {
	maps := func(keys ...string) Snapshot {
		s := Snapshot{Things: map[string]map[string]Thing{"BPF map": {}}}
		for _, key := range keys {
			s.Things["BPF map"][key] = Thing{}
		}
		return s
	}
	for _, test := range []struct {
		name  string
		looks []Snapshot // the last is what every later look sees
		left  []string
	}{
		{name: "clean at once", looks: []Snapshot{maps()}},
		{name: "freed late", looks: []Snapshot{maps("map 3"), maps("map 3"), maps()}},
		{name: "left", looks: []Snapshot{maps("map 3")}, left: []string{"BPF map map 3 is new"}},
		{name: "others' come and go", looks: []Snapshot{maps("map 3", "map 4"), maps("map 4", "map 5"), maps("map 5")}},
		{name: "left among others'", looks: []Snapshot{maps("map 3", "map 4"), maps("map 3", "map 5")}, left: []string{"BPF map map 3 is new"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			looks := 0
			left, err := Settle(maps(), func() (Snapshot, error) {
				looks++
				return test.looks[min(looks, len(test.looks))-1], nil
			}, 300*time.Millisecond)
			require.NoError(t, err)
			var lines []string
			for _, d := range left {
				lines = append(lines, d.String())
			}
			require.Equal(t, test.left, lines)
		})
	}
}

func TestTakeSeesThisMachine(t *testing.T) {
	needRoot(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	s, err := Take(Options{Folders: []string{folder}})
	require.NoError(t, err)

	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	for kind, key := range map[string]string{
		"namespace": own,
		"device":    "lo",
		"address":   "127.0.0.1/8 on device 1",
		"mount":     "/proc",
		"sysctl":    "net.core.somaxconn",
		"file":      file,
	} {
		require.Contains(t, s.Things[kind], key)
	}
	require.NotEmpty(t, s.Things["rule"])
	require.NotEmpty(t, s.Things["process"])
	for kind, why := range s.Unseen {
		t.Logf("not seen here: %s (%s)", kind, why)
	}
}

// A cgroup that nobody stands in is held by whoever has it, or the one around it, open: as for a lock.
func TestOpenCgroupIsHeld(t *testing.T) {
	needRoot(t)
	mounts, err := readMounts("/proc/self/mountinfo")
	require.NoError(t, err)
	at := slices.IndexFunc(mounts, func(m mount) bool { return m.fstype == "cgroup2" })
	if at < 0 {
		t.Skip("no cgroup2 is mounted")
	}
	outer, err := os.MkdirTemp(mounts[at].point, "skbench-snapshot-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.Remove(outer) })
	inner := filepath.Join(outer, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))
	t.Cleanup(func() { os.Remove(inner) })

	holders := func() (string, string) {
		s, err := Take(Options{})
		require.NoError(t, err)
		require.Contains(t, s.Things["cgroup"], inner)
		return s.Things["cgroup"][outer].Outsider, s.Things["cgroup"][inner].Outsider
	}
	ofOuter, ofInner := holders()
	require.Empty(t, ofOuter)
	require.Empty(t, ofInner)
	f, err := os.Open(outer)
	require.NoError(t, err)
	defer f.Close()
	ofOuter, ofInner = holders()
	require.Contains(t, ofOuter, "snapshot.test")
	require.Contains(t, ofInner, "snapshot.test")
}

func TestHiddenNamespacesAreCounted(t *testing.T) {
	needRoot(t)
	if _, err := os.Stat(slab); err != nil {
		t.Skip("this kernel does not show its own count of network namespaces")
	}
	before, err := countHidden()
	require.NoError(t, err)
	const lost = 30 // Several, since those of others on the machine come and go.
	for range lost {
		socket, err := socketOfLostNamespace()
		require.NoError(t, err)
		defer unix.Close(socket)
	}
	after, err := countHidden()
	require.NoError(t, err)
	require.Greater(t, after-before, lost/2)
}

// socketOfLostNamespace opens a socket in a namespace that no thread stands in and no descriptor names.
func socketOfLostNamespace() (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // Never unlocked: the thread ends, and leaves the namespace to the socket.
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		}
	}()
	<-done
	return fd, err
}

// The main thread is the one that does not end with its goroutine, so no goroutine that gives a thread away may meet it.
func init() { runtime.LockOSThread() }

func TestParseStat(t *testing.T) {
	rest := " S 7 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4242 1 1"
	for _, name := range []string{"sh", "a b", "(sd-pam)", ") R 1 ("} {
		p, err := parseStat(fmt.Sprintf("12 (%s)%s", name, rest))
		require.NoError(t, err)
		require.Equal(t, Process{PID: 12, Parent: 7, Start: 4242, Command: "[" + name + "]", state: 'S'}, p)
	}
	_, err := parseStat("12 (sh) S 7")
	require.Error(t, err)
}

func TestAddRules(t *testing.T) {
	things := map[string]Thing{}
	addRules(things, "nftables", "table ip nat {\n\tchain POSTROUTING {\n\t\tmasquerade\n\t\tmasquerade\n\t}\n}\n")
	addRules(things, "ip filter", "# Generated at noon\n*filter\n:INPUT ACCEPT [12:3400]\nCOMMIT\n")
	require.Equal(t, map[string]Thing{
		"nftables / table ip nat / table ip nat":                          {},
		"nftables / table ip nat / chain POSTROUTING / chain POSTROUTING": {},
		"nftables / table ip nat / chain POSTROUTING / masquerade":        {},
		"nftables / table ip nat / chain POSTROUTING / masquerade #2":     {},
		"ip filter / *filter":       {},
		"ip filter / :INPUT ACCEPT": {},
		"ip filter / COMMIT":        {},
	}, things)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to see what other processes hold")
	}
}
