package topo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// RestoreIptables runs iptables-restore --noflush, or its IPv6 twin, inside the machine: rules in the format of
// iptables-save(8) are put in, and rules that are not mentioned stay.
func (m *Machine) RestoreIptables(ctx context.Context, family Family, rules string) error {
	_, err := m.iptables(ctx, family, "-restore", rules, "--noflush")
	return err
}

// SaveIptables returns a table ("nat") of the machine in the format of iptables-save(8), each rule with the packets and bytes
// that it has matched: "[7:420] -A FORWARD -j ACCEPT".
func (m *Machine) SaveIptables(ctx context.Context, family Family, table string) (string, error) {
	return m.iptables(ctx, family, "-save", "", "-c", "-t", table)
}

// iptables runs a tool of the iptables family ("-save", "-restore") inside the machine, and returns what it prints.
func (m *Machine) iptables(ctx context.Context, family Family, tool, input string, args ...string) (string, error) {
	name := "iptables" + tool
	if family == IPv6 {
		name = "ip6tables" + tool
	}
	path, err := lookTool(name)
	if err != nil {
		return "", fmt.Errorf("topo: %s is not installed: install the package iptables", name)
	}
	lock, err := lockFile()
	if err != nil {
		return "", fmt.Errorf("topo: running %s: %w", name, err)
	}
	defer lock.Close()

	var out, problem strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &problem
	cmd.ExtraFiles = []*os.File{lock} // the child's descriptor 3
	cmd.Env = append(os.Environ(), "XTABLES_LOCKFILE=/proc/self/fd/3")
	if err := m.Start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("topo: %s on %s: %w: %s", name, m.name, err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// lockFile is what a tool locks in place of the one file that all iptables of a computer share: each works in a namespace of
// its own, and none needs to wait. It is memory, and gone when closed.
func lockFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("xtables.lock", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "xtables.lock"), nil
}

// toolFolders hold programs of the system administrator, and are not in everybody's PATH.
var toolFolders = []string{"/usr/sbin/", "/sbin/"}

func lookTool(name string) (path string, err error) {
	for _, folder := range append([]string{""}, toolFolders...) {
		if path, err = exec.LookPath(folder + name); err == nil {
			return path, nil
		}
	}
	return "", err
}
