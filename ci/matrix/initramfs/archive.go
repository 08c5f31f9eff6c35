// Package initramfs writes the root file systems of guests: archives in cpio's newc format, any number of which may stand one after another
// (Documentation/driver-api/early-userspace/buffer-format.rst).
package initramfs

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// Archive writes one archive. Paths are absolute in the guest; folders above a file are made on the way. Errors are kept until Close.
type Archive struct {
	to    io.Writer
	err   error
	inode uint32
	there map[string]bool // paths already written
}

// NewArchive begins an archive.
func NewArchive(to io.Writer) *Archive { return &Archive{to: to, there: map[string]bool{"/": true}} }

// File adds a regular file with these permissions. What is already there stays.
func (a *Archive) File(name string, perm fs.FileMode, content []byte) {
	a.add(name, 0o100000|uint32(perm.Perm()), content)
}

// Copy adds a file of this machine, with its permissions; links are followed.
func (a *Archive) Copy(name, from string) {
	if a.err != nil || a.there[path.Clean(name)] {
		return
	}
	content, err := os.ReadFile(from)
	if err != nil {
		a.err = err
		return
	}
	info, err := os.Stat(from)
	if err != nil {
		a.err = err
		return
	}
	a.File(name, info.Mode(), content)
}

// Link adds a symbolic link.
func (a *Archive) Link(name, to string) { a.add(name, 0o120777, []byte(to)) }

// Folder adds an empty folder.
func (a *Archive) Folder(name string) { a.add(name, 0o040755, nil) }

// Device adds a character device. The kernel needs /dev/console before anything runs that could make it.
func (a *Archive) Device(name string, major, minor uint32) {
	a.entry(name, 0o020600, nil, major, minor)
}

func (a *Archive) add(name string, mode uint32, content []byte) { a.entry(name, mode, content, 0, 0) }

func (a *Archive) entry(name string, mode uint32, content []byte, major, minor uint32) {
	name = path.Clean("/" + name)
	if a.err != nil || a.there[name] {
		return
	}
	a.Folder(path.Dir(name))
	a.there[name] = true
	a.write(name[1:], mode, content, major, minor)
}

// Close ends the archive and returns the first error. It closes nothing below.
func (a *Archive) Close() error {
	a.write("TRAILER!!!", 0, nil, 0, 0)
	if a.err != nil {
		return fmt.Errorf("initramfs: %w", a.err)
	}
	return nil
}

// write writes a header of 13 numbers of eight hex digits, the name with its NUL, and the content, each padded to four bytes.
func (a *Archive) write(name string, mode uint32, content []byte, major, minor uint32) {
	if a.err != nil {
		return
	}
	a.inode++
	const links = 1
	var b bytes.Buffer
	b.WriteString("070701")
	for _, number := range []uint32{
		a.inode, mode, 0, 0, links, 0, uint32(len(content)), 0, 0, major, minor, uint32(len(name) + 1), 0, // uid, gid, mtime and checksum are 0
	} {
		fmt.Fprintf(&b, "%08x", number)
	}
	b.WriteString(name + "\x00")
	pad(&b)
	b.Write(content)
	pad(&b)
	_, a.err = a.to.Write(b.Bytes())
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
