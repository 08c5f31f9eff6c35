package kernel

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blakesmith/ar"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// fakeELF is an ELF file with one section of its own, as far as debug/elf reads it, and one note.
func fakeELF(section, content string, note string) []byte {
	const header, sectionHeader, programHeader = 64, 64, 56
	names := "\x00" + section + "\x00.shstrtab\x00"
	var b bytes.Buffer
	contentAt := header + programHeader
	noteAt := contentAt + len(content)
	namesAt := noteAt + len(note)
	sectionsAt := namesAt + len(names)
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	write := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	write(uint16(elf.ET_REL), uint16(elf.EM_X86_64), uint32(1), uint64(0), uint64(header), uint64(sectionsAt), uint32(0),
		uint16(header), uint16(programHeader), uint16(1), uint16(sectionHeader), uint16(3), uint16(2))
	write(uint32(elf.PT_NOTE), uint32(0), uint64(noteAt), uint64(0), uint64(0), uint64(len(note)), uint64(len(note)), uint64(1))
	b.WriteString(content + note + names)
	entry := func(name, kind uint32, at, size int) {
		write(name, kind, uint64(0), uint64(0), uint64(at), uint64(size), uint32(0), uint32(0), uint64(1), uint64(0))
	}
	entry(0, uint32(elf.SHT_NULL), 0, 0)
	entry(1, uint32(elf.SHT_PROGBITS), contentAt, len(content))
	entry(uint32(2+len(section)), uint32(elf.SHT_STRTAB), namesAt, len(names))
	return b.Bytes()
}

// fakeModule is a module that says these things of itself.
func fakeModule(info ...string) []byte {
	return fakeELF(".modinfo", strings.Join(info, "\x00")+"\x00", "")
}

// signed is a module with a signature as the kernel's build appends one.
func signed(module []byte) []byte {
	const signature = "signed by the lab"
	about := make([]byte, 12)
	binary.BigEndian.PutUint32(about[8:], uint32(len(signature)))
	return slices.Concat(module, []byte(signature), about, []byte("~Module signature appended~\n"))
}

const pvhNote = "\x04\x00\x00\x00\x04\x00\x00\x00\x12\x00\x00\x00Xen\x00\x00\x00\x00\x01"

// fakeBzImage is a kernel of a release with a payload, as its header has it.
func fakeBzImage(release string, payload []byte) []byte {
	const setupSectors, versionAt = 1, 0x300
	b := make([]byte, 0x400)
	b[0x1f1] = setupSectors
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], versionAt-0x200)
	copy(b[versionAt:], release+" (someone@somewhere) #1 SMP\x00")
	binary.LittleEndian.PutUint32(b[0x248:], 0)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)))
	return append(b, payload...)
}

func zstdOf(content []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(content, nil)
}

func gzipOf(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close()
	return b.Bytes()
}

// fakePackage is a Debian package with these files.
func fakePackage(t *testing.T, compress func([]byte) []byte, extension string, files map[string][]byte) []byte {
	t.Helper()
	var data bytes.Buffer
	archive := tar.NewWriter(&data)
	for name, content := range files {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: "." + name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}))
		_, err := archive.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	var b bytes.Buffer
	members := ar.NewWriter(&b)
	require.NoError(t, members.WriteGlobalHeader())
	for _, member := range []struct {
		name    string
		content []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", make([]byte, 1024)}, {"data.tar" + extension, compress(data.Bytes())}} {
		require.NoError(t, members.WriteHeader(&ar.Header{Name: member.name, ModTime: time.Unix(0, 0), Mode: 0o644, Size: int64(len(member.content))}))
		_, err := members.Write(member.content)
		require.NoError(t, err)
	}
	return b.Bytes()
}

// fakeApt puts commands of apt's in the PATH's place: downloads are copies of a folder's files.
func fakeApt(t *testing.T, download string) {
	t.Helper()
	if _, err := os.Stat(keyring); err != nil {
		t.Skipf("needs %s: make setup-matrix", keyring)
	}
	folder := t.TempDir()
	for name, script := range map[string]string{
		"apt-get": `case "$1" in
indextargets) echo 'Debian|Debian|file:/debian/'; echo 'Debian|Debian-Security|file:/security/' ;;
update) ;;
download) ` + download + ` ;;
esac`,
		"apt-cache":  `echo " linux-image-7.9 | 7.9.2-1 | mirror"`,
		"apt-config": `echo 'Acquire::http::Proxy "http://proxy:1";'`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
}
