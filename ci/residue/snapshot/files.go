package snapshot

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// foreignFolders are other services' own, and change at any time.
var foreignFolders = []string{
	"/run/log",     // journald
	"/run/systemd", // units, sessions
	"/run/udev",    // what udev knows of devices
	"/run/user",    // programs of logged-in users
}

func (m *machine) listFiles() (map[string]Thing, error) {
	roots := append([]string{"/run", "/dev/shm"}, m.folders...)
	for _, mount := range m.mounts {
		if mount.fstype == "bpf" {
			roots = append(roots, mount.point)
		}
	}
	m.holdFolders()
	things := map[string]Thing{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, os.ErrNotExist):
				return nil // Gone since its folder was read, or no such folder on this machine.
			case err != nil:
				return err
			case slices.Contains(foreignFolders, path):
				return fs.SkipDir
			case path != root:
				things[path] = m.thing("", m.holders[path]...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return things, nil
}

// holdFolders lets whoever holds a file hold the folders above it.
func (m *machine) holdFolders() {
	for _, name := range slices.Collect(maps.Keys(m.holders)) {
		if !filepath.IsAbs(name) {
			continue
		}
		for folder := filepath.Dir(name); folder != "/"; folder = filepath.Dir(folder) {
			m.share(name, folder)
		}
	}
}

// listCgroups lists the folders of every mounted cgroup hierarchy. A folder's holders are the processes in it and below it, and those that
// have it or a folder around it open: so a lock on a folder holds all that is in it.
func (m *machine) listCgroups() (map[string]Thing, error) {
	things := map[string]Thing{}
	for _, mount := range m.mounts {
		if mount.fstype != "cgroup" && mount.fstype != "cgroup2" {
			continue
		}
		holders := map[string][]Process{}
		var folders []string
		err := filepath.WalkDir(mount.point, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) || err == nil && !entry.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			folders = append(folders, path)
			inside := m.membersOf(path)
			for ; len(inside) > 0 && len(path) >= len(mount.point); path = filepath.Dir(path) {
				holders[path] = append(holders[path], inside...)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, folder := range folders { // Each comes after the one around it.
			if around := filepath.Dir(folder); folder != mount.point && around != mount.point {
				m.share(around, folder)
			}
			things[folder] = m.thing("", append(holders[folder], m.holders[folder]...)...)
		}
	}
	return things, nil
}

func (m *machine) membersOf(cgroup string) []Process {
	// An error is no harm: the folder is gone, or is threaded and lists no processes of its own.
	text, _ := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	var members []Process
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if p, ok := m.processes[pid]; ok && err == nil {
			members = append(members, p)
		}
	}
	return members
}

// mount is one line of mountinfo.
type mount struct {
	root, point, fstype, source string
}

// readMounts reads /proc/PID/mountinfo (proc_pid_mountinfo(5)): ID, parent, device, root, mount point, options, optional fields up to "-",
// type, source, options of the file system.
func readMounts(name string) ([]mount, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []mount
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		head, tail, ok := strings.Cut(lines.Text(), " - ")
		h, t := strings.Fields(head), strings.Fields(tail)
		if !ok || len(h) < 5 || len(t) < 2 {
			return nil, fmt.Errorf("%s: unexpected line %q", name, lines.Text())
		}
		all = append(all, mount{root: h[3], point: h[4], fstype: t[0], source: t[1]})
	}
	return all, lines.Err()
}

func (m *machine) listMounts() (map[string]Thing, error) {
	things := map[string]Thing{}
	for _, mount := range m.mounts {
		key := mount.point
		for n := 2; ; n++ { // Mounts can cover one another.
			if _, taken := things[key]; !taken {
				break
			}
			key = fmt.Sprintf("%s #%d", mount.point, n)
		}
		things[key] = Thing{What: fmt.Sprintf("%s of %s from %s", mount.fstype, mount.root, mount.source)}
	}
	return things, nil
}

// unsteadySysctls change by themselves.
var unsteadySysctls = []string{
	"net.netfilter.nf_conntrack_count", // how many connections there are now
}

// listSysctls reads all of /proc/sys/net of the machine's own namespace. Keys that cannot be read (write-only ones, secrets never set) are
// left out.
func (m *machine) listSysctls() (map[string]Thing, error) {
	things := map[string]Thing{}
	const root = "/proc/sys"
	err := filepath.WalkDir(root+"/net", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) || err == nil && entry.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		key := strings.ReplaceAll(strings.TrimPrefix(path, root+"/"), "/", ".")
		if value, err := os.ReadFile(path); err == nil && !slices.Contains(unsteadySysctls, key) {
			things[key] = Thing{What: strings.Join(strings.Fields(string(value)), " ")}
		}
		return nil
	})
	return things, err
}
