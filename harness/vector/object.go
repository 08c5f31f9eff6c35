package vector

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
)

// An Object is an ELF file that was read: programs and maps that are in no kernel yet.
type Object struct {
	Path string
	Spec *ebpf.CollectionSpec
}

// Open reads an ELF file of BPF programs, as clang makes it. Pinning by name is forgotten: nothing that a test makes may be
// found by others, nor outlive it.
//
// A path may have the wildcards of [filepath.Match], for parts that differ between machines; it has to name one file then.
func Open(path string) (*Object, error) {
	if strings.ContainsAny(path, "*?[") {
		found, err := filepath.Glob(path)
		if err != nil || len(found) > 1 {
			return nil, &InputError{File: path, Text: fmt.Sprintf("this names %d objects: name one", len(found)), Err: err}
		}
		if len(found) == 1 {
			path = found[0]
		}
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &InputError{File: path, Text: "there is no such object", Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("vector: object: %w", err)
	}
	return ReadObject(path, content)
}

// ReadObject is Open for a file that is in memory already; path names it in errors.
func ReadObject(path string, content []byte) (object *Object, err error) {
	// The readers of ELF and BTF are not made for hostile input.
	defer func() {
		if r := recover(); r != nil {
			err = &InputError{File: path, Text: fmt.Sprintf("this is no ELF object of BPF programs: %v", r)}
		}
	}()
	if claimed := claimedBytes(content); claimed > maxClaimed {
		return nil, &InputError{File: path, Text: fmt.Sprintf("the variables of this object are of %d bytes: it may have up to %d", claimed, uint64(maxClaimed))}
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(content))
	if err != nil {
		return nil, &InputError{File: path, Text: unreadable(content, err), Err: err}
	}
	for _, m := range spec.Maps {
		unpin(m)
	}
	return &Object{Path: path, Spec: spec}, nil
}

// unreadable says why an object cannot be read, and what to do where that is known.
func unreadable(content []byte, err error) string {
	if !bytes.HasPrefix(content, []byte(elf.ELFMAG)) {
		return "this is no ELF object of BPF programs: name what clang -g -O2 -target bpf -c makes of the source"
	}
	if file, broken := elf.NewFile(bytes.NewReader(content)); broken != nil || file.Machine != elf.EM_BPF {
		return fmt.Sprintf("this is no ELF object of BPF programs: %v", err)
	}
	text := fmt.Sprintf("this object cannot be used: %v", err)
	if strings.Contains(err.Error(), "*btf.Fwd") {
		text += ": clang leaves out the members of a type that only the definition of a map within a map names; declare a variable of that type, too"
	}
	return text
}

// maxClaimed bounds the memory that an object takes: far more than programs have as global variables.
const maxClaimed = 64 << 20

// claimedBytes is what an object says its variables take, which a file of a kilobyte may say are gigabytes: sections that are not in the
// file, as .bss, and each symbol's size. It is 0 for what is no ELF file.
func claimedBytes(content []byte) (n uint64) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return 0
	}
	add := func(size uint64) {
		if n += size; n < size {
			n = math.MaxUint64
		}
	}
	for _, s := range file.Sections {
		if s.Type == elf.SHT_NOBITS {
			add(s.Size)
		}
	}
	symbols, err := file.Symbols()
	if err != nil {
		return n
	}
	for _, s := range symbols {
		add(s.Size)
	}
	return n
}

func unpin(m *ebpf.MapSpec) {
	m.Pinning = ebpf.PinNone
	if m.InnerMap != nil {
		unpin(m.InnerMap)
	}
}

// Programs lists the names of the object's programs.
func (o *Object) Programs() []string { return slices.Sorted(maps.Keys(o.Spec.Programs)) }

// Maps lists the names of the object's maps, those of its global variables not included.
func (o *Object) Maps() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(o.Spec.Maps)) {
		if !isGlobal(name) {
			names = append(names, name)
		}
	}
	return names
}
