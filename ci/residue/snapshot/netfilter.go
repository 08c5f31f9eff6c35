package snapshot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// listNetfilter lists the packet filter of the machine's own namespace: what nftables knows, and what the older tables know where they exist.
func (m *machine) listNetfilter() (map[string]Thing, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, unseen("no command nft")
	}
	things := map[string]Thing{}
	ruleset, err := output("nft", "--stateless", "--terse", "list", "ruleset")
	if err != nil {
		return nil, err
	}
	addRules(things, "nftables", ruleset)
	for family, command := range map[string]string{"ip": "iptables-legacy-save", "ip6": "ip6tables-legacy-save"} {
		// The command would make the tables that it is asked for, so it is asked for those that are there.
		names, err := os.ReadFile("/proc/net/" + family + "_tables_names")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, table := range strings.Fields(string(names)) {
			rules, err := output(command, "-t", table)
			if err != nil {
				return nil, err
			}
			addRules(things, family+" "+table, rules)
		}
	}
	return things, nil
}

var (
	counters = regexp.MustCompile(`\[\d+:\d+\]`)
	comments = regexp.MustCompile(`(?m)^#.*$`) // They hold the time.
)

// addRules adds each line under the lines that enclose it: table { chain { rule } }.
func addRules(things map[string]Thing, where, rules string) {
	rules = comments.ReplaceAllString(counters.ReplaceAllString(rules, ""), "")
	enclosing := []string{where}
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "}" && len(enclosing) > 1:
			enclosing = enclosing[:len(enclosing)-1]
		case strings.HasSuffix(line, "{"):
			enclosing = append(enclosing, strings.TrimSuffix(line, " {"))
			fallthrough
		default:
			addLine(things, strings.Join(enclosing, " / ")+" / "+strings.TrimSuffix(line, " {"))
		}
	}
}

func addLine(things map[string]Thing, line string) {
	key := line
	for n := 2; ; n++ {
		if _, taken := things[key]; !taken {
			things[key] = Thing{}
			return
		}
		key = fmt.Sprintf("%s #%d", line, n)
	}
}

func output(command string, args ...string) (string, error) {
	out, err := exec.Command(command, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return "", fmt.Errorf("%s %s: %w: %s", command, strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}
