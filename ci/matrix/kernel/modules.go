package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/skbench/skbench/ci/matrix/initramfs"
)

// wantedFolders hold modules that networks are made of, wholly; wantedFiles name single ones elsewhere.
var (
	wantedFolders = []string{
		"arch/x86/crypto", "crypto", "lib", "net/802", "net/8021q", "net/bridge", "net/core", "net/ipv4", "net/ipv6", "net/key", "net/llc", "net/mpls",
		"net/netfilter", "net/netlink", "net/packet", "net/sched", "net/tls", "net/unix", "net/xfrm", "drivers/net/wireguard", "drivers/net/vxlan",
		"drivers/net/ipvlan", "drivers/virtio",
	}
	wantedFiles = []string{
		"drivers/net/veth", "drivers/net/dummy", "drivers/net/vxlan", "drivers/net/geneve", "drivers/net/ifb", "drivers/net/macvlan", "drivers/net/macvtap",
		"drivers/net/tun", "drivers/net/tap", "drivers/net/vrf", "drivers/net/nlmon", "drivers/net/netkit", "drivers/char/virtio_console",
	}
	// A test of the kernel's own runs when it is loaded: test_bpf takes a minute and a gigabyte.
	unwanted = []string{"lib/test_", "lib/tests/", "crypto/tcrypt", "crypto/tests/", "lib/crypto/tests/"}
)

// wanted tells whether a guest may need a module, by its path in the kernel's tree.
func wanted(file string) bool {
	if slices.ContainsFunc(unwanted, func(prefix string) bool { return strings.HasPrefix(file, prefix) }) {
		return false
	}
	base, _, _ := strings.Cut(file, ".ko")
	return slices.Contains(wantedFiles, base) ||
		slices.ContainsFunc(wantedFolders, func(folder string) bool { return strings.HasPrefix(file, folder+"/") })
}

// module is one as it came, and what its .modinfo section says.
type module struct {
	file    string // in the kernel's tree
	content []byte // ELF, not compressed
	needs   []string
	aliases []string
	release string // of the kernel that it was built for
}

// modules collects a kernel's modules.
type modules struct {
	byName map[string]*module
	spare  map[string]spare // those that are not wanted for themselves
	// unsigned has signatures left out, where the kernel is known to load modules without: to check one takes an emulated processor longer than
	// to load the module. The packages that they came in are checked by hash.
	unsigned bool
}

// spare is a module as it came, compressed or not.
type spare struct {
	file    string
	content []byte
}

// take takes a module. file is its path below lib/modules/RELEASE/kernel.
func (m *modules) take(file string, content io.Reader) error {
	if wanted(file) {
		return m.add(file, content)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("module %s: %w", file, err)
	}
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	m.spare[initramfs.Name(base)] = spare{file, text}
	return nil
}

// complete adds what those taken depend on, wherever in the kernel's tree it lies.
func (m *modules) complete() error {
	for {
		var missing []string
		for _, module := range m.byName {
			for _, need := range module.needs {
				name := initramfs.Name(need)
				if _, ok := m.spare[name]; ok && m.byName[name] == nil {
					missing = append(missing, name)
				}
			}
		}
		if len(missing) == 0 {
			return nil
		}
		for _, name := range missing {
			if err := m.add(m.spare[name].file, bytes.NewReader(m.spare[name].content)); err != nil {
				return err
			}
		}
	}
}

// add adds a module.
func (m *modules) add(file string, content io.Reader) error {
	plain, err := decompress(content)
	if err != nil {
		return fmt.Errorf("module %s: %w", file, err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return fmt.Errorf("module %s: %w", file, err)
	}
	if m.unsigned {
		text = withoutSignature(text)
	}
	base, _, _ := strings.Cut(file, ".ko")
	added := &module{file: base + ".ko", content: text}
	if err := added.read(); err != nil {
		return fmt.Errorf("module %s: %w", file, err)
	}
	m.byName[initramfs.Name(path.Base(base))] = added
	return nil
}

// withoutSignature returns a module without what is appended to its ELF file (struct module_signature of the kernel): the signature; 12 bytes, the
// last four of which are its length in network byte order; and a mark.
func withoutSignature(content []byte) []byte {
	const mark, about = "~Module signature appended~\n", 12
	signed, ok := bytes.CutSuffix(content, []byte(mark))
	if !ok || len(signed) < about {
		return content
	}
	length := int(binary.BigEndian.Uint32(signed[len(signed)-4:]))
	if end := len(signed) - about - length; end >= 0 {
		return signed[:end]
	}
	return content
}

// read reads .modinfo: entries such as depends=a,b that end with a NUL each.
func (m *module) read() error {
	file, err := elf.NewFile(bytes.NewReader(m.content))
	if err != nil {
		return err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return errors.New("it has no .modinfo section: it is no kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "depends":
			m.needs = append(m.needs, strings.FieldsFunc(value, func(r rune) bool { return r == ',' })...)
		case "softdep": // "pre: a b post: c"; names may be aliases
			for word := range strings.FieldsSeq(value) {
				if !strings.HasSuffix(word, ":") {
					m.needs = append(m.needs, word)
				}
			}
		case "alias":
			m.aliases = append(m.aliases, value)
		case "vermagic":
			m.release, _, _ = strings.Cut(value, " ")
		}
	}
	return nil
}

// check refuses modules that the kernel of a release would not load.
func (m *modules) check(release string) error {
	for name, module := range m.byName {
		if module.release != release {
			return fmt.Errorf("module %s is of kernel %s, and this kernel is %s: put the modules beside the kernel that they were built with", name, module.release, release)
		}
	}
	return nil
}

// write writes the modules and their index as an archive.
func (m *modules) write(to io.Writer) error {
	index := initramfs.Index{Modules: map[string]initramfs.Module{}}
	archive := initramfs.NewArchive(to)
	for name, module := range m.byName {
		place := path.Join("/lib/modules", module.file)
		archive.File(place, 0o644, module.content)
		index.Modules[name] = initramfs.Module{Path: place, Needs: m.resolve(module.needs)}
		for _, alias := range module.aliases {
			if !ofBus(alias) {
				index.Aliases = append(index.Aliases, initramfs.Alias{Pattern: initramfs.Name(alias), Module: name})
			}
		}
	}
	archive.File(initramfs.IndexPath, 0o644, []byte(index.String()))
	return archive.Close()
}

// resolve turns needs, some of which are aliases (libcrc32c is crc32c's), into names of modules. What no module is called is in the kernel already.
func (m *modules) resolve(needs []string) (names []string) {
	for _, need := range needs {
		need = initramfs.Name(need)
		if m.byName[need] != nil {
			names = append(names, need)
			continue
		}
		for name, module := range m.byName {
			if slices.ContainsFunc(module.aliases, func(alias string) bool { return initramfs.Name(alias) == need }) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names) // Aliases come in no order.
	return slices.Compact(names)
}

// ofBus tells names by which devices are found, of which guests have few.
func ofBus(alias string) bool {
	for _, bus := range []string{"pci:", "usb:", "acpi", "of:", "platform:", "dmi", "cpu:"} {
		if strings.HasPrefix(alias, bus) {
			return true
		}
	}
	return false
}
