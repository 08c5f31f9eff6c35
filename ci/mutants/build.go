package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/harness/vector/cover"
)

// An object is one of the files that clang makes, by its name in bpf/generate.go.
type object struct {
	name   string // xdp
	source string // bpf_xdp.c
	code   []byte // hash of what it is made of, but for types and lines
	lines  map[place]bool
}

// place is a line of a file of the sources.
type place struct {
	file string
	line int
}

var compiled = regexp.MustCompile(`(?m)^//go:generate compile .*?(\w+) (bpf_\w+\.c)$`)

// objects reads which objects there are, and compiles them as they are.
func (b *bench) readObjects(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(b.source, "generate.go"))
	if err != nil {
		return err
	}
	for _, found := range compiled.FindAllStringSubmatch(string(text), -1) {
		o := &object{name: found[1], source: found[2]}
		file, err := b.compile(ctx, b.source, o, b.temporary)
		if err != nil {
			return err
		}
		if o.code, err = codeHash(file); err != nil {
			return err
		}
		if o.lines, err = b.linesOf(file); err != nil {
			return err
		}
		b.objects = append(b.objects, o)
	}
	if len(b.objects) == 0 {
		return fmt.Errorf("%s/generate.go compiles nothing", b.source)
	}
	return nil
}

// compile compiles an object from that folder of sources into another. Warnings are for those who write C on purpose.
func (b *bench) compile(ctx context.Context, from string, o *object, to string) (string, error) {
	file := filepath.Join(to, o.name+"_bpfel.o")
	clang := exec.CommandContext(ctx, "clang-19", "-O2", "-mcpu=v3", "-isystem", "include", "-w", "-fno-strict-aliasing", "-target", "bpfel", "-g",
		"-fno-ident", "-fdebug-compilation-dir", ".", "-c", o.source, "-o", file)
	clang.Dir = from
	if out, err := clang.CombinedOutput(); err != nil {
		return "", errDoesNotCompile{fmt.Errorf("%s does not compile: %w\n%s", o.source, err, out), string(out)}
	}
	return file, exec.CommandContext(ctx, "llvm-strip-19", "-g", file).Run()
}

// codeHash is a hash of the instructions, data and relocations of an object.
func codeHash(file string) ([]byte, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hash := sha256.New()
	for _, section := range f.Sections {
		if strings.Contains(section.Name, ".BTF") || section.Type == elf.SHT_NOBITS || section.Type == elf.SHT_NULL {
			continue
		}
		data, err := section.Data()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(hash, "%s %d\n", section.Name, len(data))
		hash.Write(data)
	}
	return hash.Sum(nil), nil
}

// linesOf lists the lines that an object has code of.
func (b *bench) linesOf(file string) (map[place]bool, error) {
	spec, err := ebpf.LoadCollectionSpec(file)
	if err != nil {
		return nil, err
	}
	var counters cover.Counters
	defer counters.Close()
	counters.Expect(file, spec)
	report, err := counters.Report()
	if err != nil {
		return nil, err
	}
	lines := map[place]bool{}
	for _, f := range report.Files {
		for _, line := range f.Lines {
			lines[place{filepath.Clean(f.Name), line.Number}] = true
		}
	}
	return lines, nil
}

// with makes a copy of the sources with the mutant in it, below a folder.
func (b *bench) with(m mutant, folder string) (string, error) {
	copied := filepath.Join(folder, "bpf")
	if err := os.CopyFS(filepath.Join(copied, "lib"), os.DirFS(filepath.Join(b.source, "lib"))); err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(b.source, "*.c"))
	if err != nil {
		return "", err
	}
	for _, source := range sources {
		if err := copyFile(source, filepath.Join(copied, filepath.Base(source))); err != nil {
			return "", err
		}
	}
	include, err := filepath.Abs(filepath.Join(b.source, "include"))
	if err != nil {
		return "", err
	}
	if err := os.Symlink(include, filepath.Join(copied, "include")); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(b.source, m.File))
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(text), "\n")
	if lines[m.Line-1] != m.Old {
		return "", errors.New(m.File + " has changed while its mutants ran: run this again")
	}
	if rest := m.Old[len(codeOf(m.Old)):]; rest != "" {
		m.New += rest // the comment, which may go on
	}
	lines[m.Line-1] = m.New
	return copied, os.WriteFile(filepath.Join(copied, m.File), []byte(strings.Join(lines, "\n")), 0o644)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// build builds the mutant's objects: those that have code of its line, and are made of other code than before.
func (b *bench) build(ctx context.Context, m mutant) (folder string, differ bool, err error) {
	if folder, err = os.MkdirTemp(b.temporary, "mutant-"); err != nil {
		return "", false, err
	}
	sources, err := b.with(m, folder)
	if err != nil {
		return folder, false, err
	}
	for _, o := range b.objects {
		if !o.lines[place{m.File, m.Line}] {
			continue
		}
		file, err := b.compile(ctx, sources, o, folder)
		if err != nil {
			return folder, false, err
		}
		code, err := codeHash(file)
		if err != nil {
			return folder, false, err
		}
		if bytes.Equal(code, o.code) {
			err = os.Remove(file)
		} else {
			differ = true
		}
		if err != nil {
			return folder, false, err
		}
	}
	return folder, differ, os.RemoveAll(sources)
}

type errDoesNotCompile struct {
	error
	says string // of the compiler
}

// blames tells whether the compiler finds fault with the mutant's line: else it is the machine that is broken, as when a disk is full.
func (e errDoesNotCompile) blames(m mutant) bool {
	return strings.Contains(e.says, fmt.Sprintf("%s:%d:", m.File, m.Line))
}

// hashFiles hashes files with their names. Folders are left out: tests leave sequences that failed in one.
func hashFiles(to io.Writer, patterns ...string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if errors.Is(err, unix.EISDIR) {
				continue
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(to, "%s %d\n%s", file, len(text), text)
		}
	}
	return nil
}
