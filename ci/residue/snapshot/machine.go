package snapshot

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// machine is what one look around found: who is there and holds what. The lists of things start from it.
type machine struct {
	ours      func(all map[int]Process, p Process) bool
	folders   []string
	processes map[int]Process
	// holders of a thing, by its name: net:[inode], "prog 12", "map 12", "link 12", "btf 12", the path of an open file, or one of the
	// two below.
	holders map[string][]Process
	mounts  []mount
	own     string // net:[inode] of the machine's own network namespace
}

// What cannot be told exactly.
const (
	// mappedMaps are the BPF maps that a process has in its memory. They live on there when all descriptors are closed, and nothing tells
	// which maps they are.
	mappedMaps = "mapped maps"
	// strangers is what may hang on a network namespace other than the machine's own: programs of TC filters and of XDP without a link, and
	// namespaces that only a socket holds. The kernel tells of them only to whoever enters.
	strangers = "strangers"
)

func lookAround(o Options) (*machine, error) {
	m := &machine{ours: o.Ours, folders: o.Folders, holders: map[string][]Process{}, own: readLink("/proc/self/ns/net")}
	if m.ours == nil {
		m.ours = func(map[int]Process, Process) bool { return false }
	}
	var err error
	if m.processes, err = listLiving(); err != nil {
		return nil, err
	}
	for _, pid := range slices.Sorted(maps.Keys(m.processes)) {
		m.addHoldings(m.processes[pid])
	}
	if m.mounts, err = readMounts("/proc/self/mountinfo"); err != nil {
		return nil, err
	}
	return m, nil
}

// addHoldings notes what a process holds. Nothing is an error here: a process may end while it is looked at.
func (m *machine) addHoldings(p Process) {
	proc := fmt.Sprintf("/proc/%d", p.PID)
	links, _ := filepath.Glob(proc + "/task/*/ns/net") // Threads of one process may stand in different namespaces.
	links = append(links, proc+"/exe", proc+"/cwd", proc+"/root")
	for _, link := range links {
		m.addHolder(readLink(link), p)
	}
	if maps, _ := os.ReadFile(proc + "/maps"); bytes.Contains(maps, []byte("anon_inode:bpf-map")) {
		m.addHolder(mappedMaps, p)
	}
	descriptors, _ := os.ReadDir(proc + "/fd")
	for _, d := range descriptors {
		target := readLink(proc + "/fd/" + d.Name())
		if strings.HasPrefix(target, "anon_inode:bpf") || target == "anon_inode:btf" {
			target = bpfObject(proc + "/fdinfo/" + d.Name())
		}
		m.addHolder(target, p)
	}
}

func (m *machine) addHolder(name string, p Process) {
	if name != "" && !slices.Contains(m.holders[name], p) {
		m.holders[name] = append(m.holders[name], p)
	}
	if isNamespace(name) && name != m.own {
		m.addHolder(strangers, p)
	}
}

// share lets whoever holds one thing hold another too, which the first keeps alive.
func (m *machine) share(from, to string) {
	for _, p := range m.holders[from] {
		m.addHolder(to, p)
	}
}

func readLink(name string) string {
	target, _ := os.Readlink(name)
	return target
}

// bpfObject names the object behind a descriptor, from lines such as "prog_id:\t12" of its fdinfo: a link gives its program's too, so the
// order matters.
func bpfObject(fdinfo string) string {
	f, err := os.Open(fdinfo)
	if err != nil {
		return ""
	}
	defer f.Close()
	ids := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, id, ok := strings.Cut(lines.Text(), ":"); ok {
			ids[name] = strings.TrimSpace(id)
		}
	}
	for _, sort := range []string{"link", "prog", "map", "btf"} {
		if id, ok := ids[sort+"_id"]; ok {
			return sort + " " + id
		}
	}
	return ""
}

// thing describes something that processes hold: the outsider among them if there is one, else who of the run does.
func (m *machine) thing(what string, holders ...Process) Thing {
	t := Thing{What: what}
	for _, p := range holders {
		if !m.ours(m.processes, p) {
			t.Outsider = p.String()
			return t
		}
	}
	if len(holders) > 0 {
		t.What = strings.TrimSpace(what + " held by " + holders[0].String())
	}
	return t
}
