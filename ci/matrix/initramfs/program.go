package initramfs

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// libraryFolders are where a machine's dynamic linker looks, those of Debian first.
var libraryFolders = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// Program adds a program of this machine under its path, with the libraries that it is linked with.
func (a *Archive) Program(path string) {
	a.Copy(path, path)
	a.libraries(path)
}

// libraries adds what an ELF file is linked with, and what that is linked with.
func (a *Archive) libraries(name string) {
	if a.err != nil {
		return
	}
	file, err := elf.Open(name)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return // a script, or no program at all
	}
	if err != nil {
		a.err = err
		return
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			interpreter := make([]byte, program.Filesz)
			if _, err := program.ReadAt(interpreter, 0); err != nil {
				a.err = fmt.Errorf("%s: %w", name, err)
				return
			}
			path := strings.TrimRight(string(interpreter), "\x00")
			a.Copy(path, path)
		}
	}
	needed, err := file.ImportedLibraries()
	if err != nil {
		return // linked with nothing
	}
	for _, library := range needed {
		a.library(library, name)
	}
}

func (a *Archive) library(library, of string) {
	for _, folder := range libraryFolders {
		path := filepath.Join(folder, library)
		if a.there[path] {
			return
		}
		if _, err := os.Stat(path); err == nil {
			a.Program(path)
			return
		}
	}
	if a.err == nil {
		a.err = fmt.Errorf("%s needs the library %s, which is in none of %s", of, library, strings.Join(libraryFolders, ", "))
	}
}

// Tree adds a folder of this machine with all that is in it, each file with the libraries that it is linked with.
func (a *Archive) Tree(to, from string) {
	err := filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			return nil // Links to nowhere and devices are left out.
		}
		a.Copy(filepath.Join(to, below), name)
		a.libraries(name)
		return a.err
	})
	if err != nil && a.err == nil {
		a.err = err
	}
}
