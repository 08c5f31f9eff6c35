package snapshot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one process of the machine.
type Process struct {
	PID, Parent int
	// Start is when it started, in clock ticks since boot; with the PID it names the process for good.
	Start uint64
	// Command is its command line, or the name in brackets where it has none.
	Command string

	state byte
}

// Key names the process as long as the machine runs.
func (p Process) Key() string { return fmt.Sprintf("%d@%d", p.PID, p.Start) }

func (p Process) String() string {
	const enough = 60
	command := p.Command
	if len(command) > enough {
		command = command[:enough] + "…"
	}
	return fmt.Sprintf("pid %d %s", p.PID, command)
}

// isKernel: a kernel thread; they come and go as the kernel likes. kthreadd, the parent of the others, has PID 2.
func (p Process) isKernel() bool { return p.PID == 2 || p.Parent == 2 }

// isDead: it has exited and only its parent has not asked for its status yet.
func (p Process) isDead() bool { return p.state == 'Z' || p.state == 'X' }

// listLiving lists the living processes of the machine by PID, without kernel threads.
func listLiving() (map[int]Process, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := map[int]Process{}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // It has ended since.
		}
		p, err := parseStat(string(stat))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if p.isKernel() || p.isDead() {
			continue
		}
		if line, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline")); err == nil && len(line) > 0 {
			p.Command = string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
		}
		all[p.PID] = p
	}
	return all, nil
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)): pid (name) state ppid …, start time in field 22. The name may hold spaces and brackets.
func parseStat(stat string) (Process, error) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return Process{}, fmt.Errorf("no process name in %q", stat)
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 20 {
		return Process{}, fmt.Errorf("%d fields after the name, want at least 20", len(fields))
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stat[:open]))
	if err != nil {
		return Process{}, err
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return Process{}, err
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return Process{}, err
	}
	return Process{PID: pid, Parent: parent, Start: start, Command: "[" + stat[open+1:end] + "]", state: fields[0][0]}, nil
}

// IsBelow tells whether a process descends from another, itself not included.
func IsBelow(all map[int]Process, p Process, ancestor int) bool {
	for range len(all) { // No longer than the list, should PIDs be reused meanwhile and make a ring.
		if p.Parent == ancestor {
			return true
		}
		parent, ok := all[p.Parent]
		if !ok {
			return false
		}
		p = parent
	}
	return false
}

func (m *machine) listProcesses() (map[string]Thing, error) {
	things := map[string]Thing{}
	for _, p := range m.processes {
		t := Thing{What: p.String()}
		if !m.ours(m.processes, p) {
			t.Outsider = p.String()
		}
		things[p.Key()] = t
	}
	return things, nil
}
