package initramfs

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entry is what the kernel reads of one.
type entry struct {
	mode  uint32
	major uint32
	minor uint32
	text  string
}

// unpack reads an archive as init/initramfs.c does.
func unpack(t *testing.T, archive string) map[string]entry {
	t.Helper()
	entries := map[string]entry{}
	at := 0
	for {
		require.Zero(t, at%4, "headers are aligned")
		require.Equal(t, "070701", archive[at:at+6])
		var n [13]uint32
		for i := range n {
			_, err := fmt.Sscanf(archive[at+6+8*i:at+14+8*i], "%08x", &n[i])
			require.NoError(t, err)
		}
		size, nameSize := int(n[6]), int(n[11])
		name := archive[at+110 : at+110+nameSize-1]
		require.Zero(t, archive[at+110+nameSize-1])
		at = (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			require.Equal(t, at, len(archive))
			return entries
		}
		require.NotContains(t, entries, name)
		entries[name] = entry{n[1], n[9], n[10], archive[at : at+size]}
		at = (at + size + 3) &^ 3
	}
}

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := NewArchive(&b)
	a.Device("/dev/console", 5, 1)
	a.File("/etc/hosts", 0o644, []byte("odd"))
	a.File("/etc/hosts", 0o644, []byte("what is there stays"))
	a.Link("/sbin/modprobe", "/init")
	a.Folder("/artefacts")
	require.NoError(t, a.Close())
	require.Equal(t, map[string]entry{
		"dev": {mode: 0o040755}, "dev/console": {mode: 0o020600, major: 5, minor: 1},
		"etc": {mode: 0o040755}, "etc/hosts": {mode: 0o100644, text: "odd"},
		"sbin": {mode: 0o040755}, "sbin/modprobe": {mode: 0o120777, text: "/init"},
		"artefacts": {mode: 0o040755},
	}, unpack(t, b.String()))
}

func TestProgramBringsItsLibraries(t *testing.T) {
	const program = "/bin/ls"
	if _, err := os.Stat(program); err != nil {
		t.Skip("needs " + program)
	}
	var b bytes.Buffer
	a := NewArchive(&b)
	a.Program(program)
	require.NoError(t, a.Close())
	entries := unpack(t, b.String())
	require.Contains(t, entries, "lib64/ld-linux-x86-64.so.2", "what starts it, by the name that it says")
	require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(entries)), func(name string) bool { return strings.HasSuffix(name, "/libc.so.6") }))
}

func TestTree(t *testing.T) {
	from := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(from, "a/b"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(from, "a/b/text"), []byte("x"), 0o600))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(from, "broken")))
	var b bytes.Buffer
	a := NewArchive(&b)
	a.Tree("/t", from)
	require.NoError(t, a.Close())
	require.Equal(t, map[string]entry{
		"t": {mode: 0o040755}, "t/a": {mode: 0o040755}, "t/a/b": {mode: 0o040755}, "t/a/b/text": {mode: 0o100600, text: "x"},
	}, unpack(t, b.String()))
}

func TestErrorsAreKeptUntilClose(t *testing.T) {
	a := NewArchive(&bytes.Buffer{})
	a.Copy("/x", "/no/such/file")
	a.File("/y", 0o644, nil)
	require.ErrorContains(t, a.Close(), "initramfs: open /no/such/file")
}

func TestIndex(t *testing.T) {
	index := Index{
		Modules: map[string]Module{
			"ip_vs": {Path: "/m/ip_vs.ko", Needs: []string{"nf_conntrack", "crc32c"}}, "nf_conntrack": {Path: "/m/c.ko", Needs: []string{"crc32c"}},
			"crc32c": {Path: "/m/crc.ko", Needs: []string{}}, "ip_vs_rr": {Path: "/m/rr.ko", Needs: []string{"ip_vs"}},
		},
		Aliases: []Alias{{"crypto_crc32c", "crc32c"}, {"net_pf_16_proto_16_family_IPVS", "ip_vs"}, {"wild_*", "crc32c"}},
	}
	require.Equal(t, index, ParseIndex(index.String()))
	for name, want := range map[string][]string{
		"ip_vs_rr":                       {"crc32c", "nf_conntrack", "ip_vs", "ip_vs_rr"},
		"net-pf-16-proto-16-family-IPVS": {"crc32c", "nf_conntrack", "ip_vs"},
		"wild-card":                      {"crc32c"},
		"veth":                           nil,
	} {
		require.Equal(t, want, index.Find(name), name)
	}
}
