package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/ci/matrix/initramfs"
)

func TestListOfTheTree(t *testing.T) {
	list, err := ReadList("../../kernels.yaml")
	require.NoError(t, err)
	all, err := list.Select()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(all), 5)
	require.Equal(t, "5.10", all[0].Name, "the oldest first")
}

func TestListIsChecked(t *testing.T) {
	hash := strings.Repeat("0", 64)
	for want, text := range map[string]string{
		"it names none: write at least one under kernels":     "kernels: []",
		`unknown field "kernel"`:                              "kernel: []",
		"name is \"a b\": use letters, digits":                "kernels: [{name: a b, folder: /x}]",
		"which is this machine's own kernel":                  "kernels: [{name: host, folder: /x}]",
		"give it either packages or a folder":                 "kernels: [{name: x}]",
		"suite is missing":                                    "kernels: [{name: x, packages: [{name: p, version: 1, sha256: " + hash + "}]}]",
		"give it a name, a version, and its sha256 in 64 hex": "kernels: [{name: x, suite: s, packages: [{name: p, version: 1}]}]",
		"kernel x is there twice":                             "kernels: [{name: x, folder: /x}, {name: x, folder: /y}]",
	} {
		file := filepath.Join(t.TempDir(), "kernels.yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := ReadList(file)
		require.ErrorContains(t, err, want)
	}
	_, err := ReadList("no/such/file")
	require.ErrorContains(t, err, "name the list with --list")
}

func TestSelect(t *testing.T) {
	list := &List{path: "k.yaml", Kernels: []Kernel{{Name: "5.10"}, {Name: "7.3"}}}
	got, err := list.Select("7.3", "host", "/srv/5.15/", "6.6", "5.10")
	require.EqualError(t, err, "kernel 6.6 is not in k.yaml: choose of 5.10, 7.3, host, name a folder with a slash in it, or add it there")
	require.Equal(t, []Kernel{{Name: "7.3"}, {Name: "host"}, {Name: "5.15", Folder: "/srv/5.15/"}, {Name: "5.10"}}, got, "the others go on")
}

func TestELFWithinBzImage(t *testing.T) {
	image := fakeELF(".x", "kernel", pvhNote)
	for name, payload := range map[string][]byte{"zstd": zstdOf(image), "gzip": gzipOf(image), "not compressed": image} {
		got, ok := elfOf(fakeBzImage("7.9", payload))
		require.True(t, ok, name)
		require.Equal(t, image, got, name)
	}
	// Kernels put the length after the compressed stream, within the payload.
	length := []byte{byte(len(image)), byte(len(image) >> 8), 0, 0}
	got, ok := elfOf(fakeBzImage("7.9", append(zstdOf(image), length...)))
	require.True(t, ok)
	require.Equal(t, image, got)

	cut := zstdOf(image)
	for name, payload := range map[string][]byte{"cut short": cut[:len(cut)/2], "of no known format": []byte("LZMA and what not"), "empty": nil} {
		_, ok := elfOf(fakeBzImage("7.9", payload))
		require.False(t, ok, name)
	}
	require.True(t, bootsAsELF(image))
	require.False(t, bootsAsELF(fakeELF(".x", "kernel", "")), "without the note QEMU refuses it")
}

// kernel writes a folder with a kernel and the modules veth, libcrc32c's user nf_nat and crc32c.
func kernelFolder(t *testing.T, release, modulesOf string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range kernelFiles(release, modulesOf) {
		file := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, content, 0o644))
	}
	return folder
}

func kernelFiles(release, modulesOf string) map[string][]byte {
	magic := "vermagic=" + modulesOf + " SMP mod_unload"
	base := "/lib/modules/" + release + "/kernel/"
	return map[string][]byte{
		"/boot/vmlinuz-" + release:                  fakeBzImage(release, zstdOf(fakeELF(".x", "kernel", pvhNote))),
		base + "drivers/net/veth.ko":                signed(fakeModule("alias=rtnl-link-veth", "depends=", magic)),
		base + "net/netfilter/nf-nat.ko":            fakeModule("depends=nf_conntrack", "softdep=pre: libcrc32c", magic),
		base + "net/netfilter/nf_conntrack.ko":      gzipOf(signed(fakeModule("depends=", "alias=nf_conntrack-10", magic))),
		base + "crypto/crc32c_generic.ko":           fakeModule("alias=libcrc32c", "alias=pci:v00008086*", magic),
		base + "lib/test_bpf.ko":                    fakeModule(magic),
		base + "drivers/net/wireguard/wireguard.ko": fakeModule("depends=libchacha", magic),
		base + "arch/x86/lib/crypto/libchacha.ko":   gzipOf(fakeModule("depends=simd-x", magic)),
		base + "arch/x86/kernel/simd_x.ko":          fakeModule("depends=", magic),
		base + "drivers/gpu/drm.ko":                 fakeModule(magic),
	}
}

func TestFolder(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	folder := kernelFolder(t, "7.9.1-lab", "7.9.1-lab")
	ready, err := c.Get(t.Context(), Kernel{Name: "mine", Folder: folder})
	require.NoError(t, err)
	require.Equal(t, "7.9.1-lab", ready.Release)
	require.Equal(t, "vmlinux", filepath.Base(ready.Image), "the ELF boots quicker")

	archive, err := os.ReadFile(ready.Modules)
	require.NoError(t, err)
	require.Contains(t, string(archive), "signed by the lab", "a kernel of one's own may insist on signatures")
	index := indexOf(t, string(archive))
	require.Equal(t, []string{"veth"}, index.Find("rtnl-link-veth"))
	require.Equal(t, []string{"crc32c_generic", "nf_conntrack", "nf_nat"}, index.Find("nf-nat"), "what it needs first, softly too, by names that are aliases")
	require.Equal(t, []string{"simd_x", "libchacha", "wireguard"}, index.Find("wireguard"), "wherever they lie")
	require.Empty(t, index.Find("drm"), "no network is made of it")
	require.Empty(t, index.Find("test_bpf"), "it would run for a minute")
	require.Empty(t, index.Find("pci:v00008086d00001000"))

	again, err := c.Get(t.Context(), Kernel{Name: "mine", Folder: folder})
	require.NoError(t, err)
	require.Equal(t, ready, again)
}

// indexOf finds the index, which comes last in the archive, between the NULs of its name and of the next header.
func indexOf(t *testing.T, archive string) initramfs.Index {
	t.Helper()
	_, rest, ok := strings.Cut(archive, strings.TrimPrefix(initramfs.IndexPath, "/")+"\x00")
	require.True(t, ok)
	text, _, _ := strings.Cut(strings.TrimLeft(rest, "\x00"), "\x00")
	return initramfs.ParseIndex(text)
}

func TestBrokenCacheIsMadeAnew(t *testing.T) {
	var said []string
	c := Cache{Dir: t.TempDir(), Progress: func(what string) { said = append(said, what) }}
	k := Kernel{Name: "mine", Folder: kernelFolder(t, "7.9.1", "7.9.1")}
	ready, err := c.Get(t.Context(), k)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ready.Image, []byte("rotten"), 0o644))

	ready, err = c.Get(t.Context(), k)
	require.NoError(t, err)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "file vmlinux has another hash than when it was written")
	image, err := os.ReadFile(ready.Image)
	require.NoError(t, err)
	require.NotEqual(t, "rotten", string(image))
}

func TestFoldersThatAreNoKernel(t *testing.T) {
	empty := t.TempDir()
	text := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(text, "vmlinuz"), []byte("text"), 0o644))
	for folder, want := range map[string]string{
		empty:                             "there is no vmlinuz in " + empty,
		text:                              "its vmlinuz is no bzImage",
		kernelFolder(t, "7.9.1", "7.9.0"): "is of kernel 7.9.0, and this kernel is 7.9.1: put the modules beside the kernel that they were built with",
		"/no/such/folder":                 "give one that has vmlinuz and modules",
	} {
		_, err := (&Cache{Dir: t.TempDir()}).Get(t.Context(), Kernel{Name: "mine", Folder: folder})
		require.ErrorContains(t, err, want)
	}
}

func TestPackages(t *testing.T) {
	for extension, compress := range map[string]func([]byte) []byte{".zst": zstdOf, ".gz": gzipOf, "": func(b []byte) []byte { return b }} {
		deb := fakePackage(t, compress, extension, kernelFiles("7.9.1", "7.9.1"))
		store := filepath.Join(t.TempDir(), "linux-image-7.9_7.9.1-1_amd64.deb")
		require.NoError(t, os.WriteFile(store, deb, 0o644))
		fakeApt(t, "cp "+store+" .")
		hash := sha256.Sum256(deb)
		k := Kernel{Name: "7.9", Suite: "sid", Packages: []Package{{Name: "linux-image-7.9", Version: "7.9.1-1", SHA256: hex.EncodeToString(hash[:])}}}
		c := Cache{Dir: t.TempDir()}
		ready, err := c.Get(t.Context(), k)
		require.NoError(t, err)
		require.Equal(t, "linux-image-7.9 7.9.1-1", ready.Origin)
		archive, err := os.ReadFile(ready.Modules)
		require.NoError(t, err)
		require.NotContains(t, string(archive), "signed by", "guests load modules quicker without")
		require.Contains(t, string(archive), "vermagic=7.9.1", "which are whole otherwise")

		text, err := os.ReadFile(filepath.Join(c.Dir, "apt/sid/apt.conf"))
		require.NoError(t, err)
		require.Contains(t, string(text), `Acquire::http::Proxy "http://proxy:1";`, "mirrors are reached as the machine's own apt reaches them")
		sources, err := os.ReadFile(filepath.Join(c.Dir, "apt/sid/etc/sources.list"))
		require.NoError(t, err)
		require.Equal(t, "deb [signed-by="+keyring+" arch=amd64] file:/debian/ sid main\n", string(sources))
	}
}

func TestPackagesThatAreNotThere(t *testing.T) {
	k := Kernel{Name: "7.9", Suite: "sid-security", Packages: []Package{{Name: "linux-image-7.9", Version: "7.9.1-1", SHA256: strings.Repeat("0", 64)}}}
	deb := filepath.Join(t.TempDir(), "linux-image-7.9_7.9.1-1_amd64.deb")
	require.NoError(t, os.WriteFile(deb, []byte("another"), 0o644))
	for want, download := range map[string]string{
		"sid-security has no linux-image-7.9 7.9.1-1: write 7.9.2-1 and its sha256 into ci/kernels.yaml":                          "echo E: not found >&2; exit 100",
		"package linux-image-7.9 7.9.1-1 has the hash ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5, not 0000": "cp " + deb + " .",
	} {
		fakeApt(t, download)
		c := Cache{Dir: t.TempDir()}
		_, err := c.Get(t.Context(), k)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n", "one sentence")
		requireNothingHalfMade(t, c)
	}
}

// requireNothingHalfMade fails if a kernel's folder is there, or a part of one.
func requireNothingHalfMade(t *testing.T, c Cache) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(c.Dir, "kernels"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestInterruptedFetchLeavesNothing(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	fakeApt(t, "echo half > linux-image-7.9_half.deb; echo > "+started+"; exec sleep 60")
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(started); err == nil {
				stop()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	c := Cache{Dir: t.TempDir()}
	k := Kernel{Name: "7.9", Suite: "sid", Packages: []Package{{Name: "linux-image-7.9", Version: "7.9.1-1", SHA256: strings.Repeat("0", 64)}}}
	_, err := c.Get(ctx, k)
	require.ErrorIs(t, err, context.Canceled)
	requireNothingHalfMade(t, c)
}

func TestKilledFetchIsSweptUp(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	half := filepath.Join(c.Dir, "kernels/.partial-123")
	require.NoError(t, os.MkdirAll(half, 0o755))
	_, err := c.Get(t.Context(), Kernel{Name: "mine", Folder: kernelFolder(t, "7.9.1", "7.9.1")})
	require.NoError(t, err)
	require.NoDirExists(t, half)
}

// TestOldKernelsGo has a list that moved on, again and again, and one kernel that nobody has asked for since long.
func TestOldKernelsGo(t *testing.T) {
	c := Cache{Dir: t.TempDir()}
	now := time.Now()
	old := func(entry string, since time.Duration) string {
		folder := filepath.Join(c.Dir, entry)
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.Chtimes(folder, now.Add(-since), now.Add(-since)))
		return folder
	}
	const day = 24 * time.Hour
	forgotten, suite := old("kernels/5.4-0123456789abcdef", 15*day), old("apt/buster", 15*day)
	other, apt := old("kernels/6.1-0123456789abcdef", 13*day), old("apt/bookworm", 13*day)
	versions := []string{old("kernels/mine-1111111111111111", time.Hour), old("kernels/mine-2222222222222222", 2*time.Hour), old("kernels/mine-3333333333333333", 3*time.Hour)}

	ready, err := c.Get(t.Context(), Kernel{Name: "mine", Folder: kernelFolder(t, "7.9.1", "7.9.1")})
	require.NoError(t, err)
	require.FileExists(t, ready.Image)
	for _, gone := range []string{forgotten, suite, versions[2]} {
		require.NoDirExists(t, gone)
	}
	for _, kept := range []string{other, apt, versions[0], versions[1]} {
		require.DirExists(t, kept)
	}

	// What is used stays.
	folder := filepath.Dir(ready.Image)
	require.NoError(t, os.Chtimes(folder, now.Add(-15*day), now.Add(-15*day)))
	_, err = c.Get(t.Context(), Kernel{Name: "5.10", Folder: kernelFolder(t, "5.10.1", "5.10.1")})
	require.NoError(t, err)
	require.NoDirExists(t, folder)
}

// TestNoSpace has a cache on a file system that is full.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	c := Cache{Dir: dir}
	folder := kernelFolder(t, "7.9.1", "7.9.1")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "vmlinuz"), fakeBzImage("7.9.1", make([]byte, 1<<20)), 0o644))
	failed := make(chan error)
	left := make(chan []os.DirEntry, 1)
	go func() {
		runtime.LockOSThread() // Never unlocked: the thread ends, and what it mounted with it.
		err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
		if err == nil {
			_, err = c.Get(t.Context(), Kernel{Name: "mine", Folder: folder})
			kernels, _ := os.ReadDir(filepath.Join(dir, "kernels"))
			left <- kernels
		}
		failed <- err
	}()
	err := <-failed
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs root, to mount a small file system")
	}
	require.ErrorContains(t, err, "no space left on device: make room in "+dir+", or choose another folder with XDG_CACHE_HOME")
	require.NotContains(t, err.Error(), "\n", "one sentence")
	require.Empty(t, <-left, "nothing is half made")
}

func TestPackageThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.deb")
	for text, want := range map[string]string{"!<arch>\n": "holds no data: it is no Debian package", "": "holds no data"} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		err := unpackPackage(file, func(string, io.Reader) error { return nil })
		require.ErrorContains(t, err, want)
	}
}

func TestSignaturesThatAreNone(t *testing.T) {
	module := fakeModule("vermagic=7.9.1")
	require.Equal(t, module, withoutSignature(signed(module)))
	for _, odd := range []string{"", "no module", "~Module signature appended~\n", "\x00\x00\xff\xff~Module signature appended~\n",
		"few bytes, many said\x00\x00\xff\xff~Module signature appended~\n"} {
		require.Equal(t, odd, string(withoutSignature([]byte(odd))), "the kernel is to complain of it")
	}
}

func TestDecompressReadsPlainText(t *testing.T) {
	for _, text := range []string{"", "abc", "plain and long enough"} {
		r, err := decompress(strings.NewReader(text))
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, text, string(bytes.TrimSpace(got)))
	}
}
