package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// apt is apt with sources and state of its own: the machine's stay as they are. Packages are found through signed indexes.
type apt struct {
	dir    string // its state
	mirror Mirror
	suites []string
}

// keyring signs all suites that Debian supports; the package of the same name has it.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// aptConfig keeps apt within a folder. Hooks of the machine's configuration are left out with it, but how it reaches mirrors is taken over.
const aptConfig = `Dir "%[1]s";
Dir::State "state";
Dir::State::status "%[1]s/state/status";
Dir::Cache "cache";
Dir::Etc "etc";
Dir::Etc::SourceList "%[1]s/etc/sources.list";
Dir::Etc::SourceParts "sources.list.d";
Dir::Etc::Trusted "trusted.gpg";
Dir::Etc::TrustedParts "trusted.gpg.d";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
Acquire::Languages "none";
Acquire::Retries "3";
%[2]s`

// prepare writes apt's configuration and sources, and reads the indexes.
func (a *apt) prepare(ctx context.Context) error {
	for _, command := range []string{"apt-get", "apt-config"} {
		if _, err := exec.LookPath(command); err != nil {
			return fmt.Errorf("there is no %s to fetch Debian's kernels with: fetch on a Debian or Ubuntu machine, or give folders with --kernels", command)
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("there is no %s to check Debian's signatures with: apt-get install debian-archive-keyring", keyring)
	}
	if err := a.findMirror(ctx); err != nil {
		return err
	}
	for _, folder := range []string{"state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "etc/trusted.gpg.d"} {
		if err := os.MkdirAll(filepath.Join(a.dir, folder), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"state/status":     "",
		"etc/sources.list": a.sources(),
		"apt.conf":         fmt.Sprintf(aptConfig, a.dir, a.access(ctx)),
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if _, err := a.run(ctx, a.dir, "apt-get", "update", "--quiet", "--error-on=any"); err != nil {
		return fmt.Errorf("read the indexes of Debian's suites %s: %w: see whether the mirror is reachable and has them", strings.Join(a.suites, ", "), err)
	}
	return nil
}

func (a *apt) sources() string {
	var text strings.Builder
	for _, suite := range a.suites {
		mirror := a.mirror.Debian
		if isSecurity(suite) {
			mirror = a.mirror.Security
		}
		fmt.Fprintf(&text, "deb [signed-by=%s arch=amd64] %s %s main\n", keyring, mirror, suite)
	}
	return text.String()
}

func isSecurity(suite string) bool { return strings.HasSuffix(suite, "-security") }

// findMirror fills in mirrors that the list leaves open from the machine's own apt.
func (a *apt) findMirror(ctx context.Context) error {
	if a.mirror.Debian != "" && a.mirror.Security != "" {
		return nil
	}
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)").Output()
	if err != nil {
		return fmt.Errorf("ask apt for its mirrors: %w", err)
	}
	for line := range strings.Lines(string(targets)) {
		origin, rest, _ := strings.Cut(strings.TrimSpace(line), "|")
		label, uri, _ := strings.Cut(rest, "|")
		switch {
		case origin != "Debian":
		case label == "Debian" && a.mirror.Debian == "":
			a.mirror.Debian = uri
		case label == "Debian-Security" && a.mirror.Security == "":
			a.mirror.Security = uri
		}
	}
	if a.mirror.Debian == "" || a.mirror.Security == "" {
		return errors.New("this machine's apt knows no Debian mirror: run apt-get update, or write one under mirror in ci/kernels.yaml")
	}
	return nil
}

// access is how the machine's apt reaches mirrors: proxies, time-outs, and what it forgives of their clocks.
func (a *apt) access(ctx context.Context) string {
	// Errors leave apt's defaults.
	text, _ := exec.CommandContext(ctx, "apt-config", "dump", "--format", "%F \"%v\";%n", "Acquire").Output()
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		if slices.ContainsFunc([]string{"http", "https", "socks", "Check-Valid-Until", "Check-Date", "ForceIPv4", "ForceIPv6"}, func(wanted string) bool {
			return name == "Acquire::"+wanted || strings.HasPrefix(name, "Acquire::"+wanted+"::")
		}) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// download fetches a package into a folder, under a name that apt chooses, and returns its path.
func (a *apt) download(ctx context.Context, p Package, suite, folder string) (string, error) {
	if _, err := a.run(ctx, folder, "apt-get", "download", "--quiet", p.Name+"="+p.Version); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		there := a.versions(ctx, p.Name)
		if len(there) == 0 {
			return "", fmt.Errorf("%s has no package %s any more: write a newer kernel of the series into ci/kernels.yaml (%w)", suite, p.Name, err)
		}
		if !slices.Contains(there, p.Version) {
			return "", fmt.Errorf("%s has no %s %s: write %s and its sha256 into ci/kernels.yaml", suite, p.Name, p.Version, there[0])
		}
		return "", fmt.Errorf("fetch %s %s: %w", p.Name, p.Version, err)
	}
	found, err := filepath.Glob(filepath.Join(folder, p.Name+"_*.deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("fetch %s: apt left %d files in place of one", p.Name, len(found))
	}
	return found[0], nil
}

// versions are those of a package that the suites have, the newest first.
func (a *apt) versions(ctx context.Context, name string) (versions []string) {
	text, _ := a.run(ctx, a.dir, "apt-cache", "madison", name)
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, "|"); len(fields) > 1 {
			versions = append(versions, strings.TrimSpace(fields[1]))
		}
	}
	return versions
}

// run runs one of apt's commands in a folder. Its error is what the command complained of.
func (a *apt) run(ctx context.Context, dir, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.dir, "apt.conf"), "LC_ALL=C")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", command, err, oneLine(complaint.String()))
	}
	return out.String(), nil
}

// oneLine joins the lines of a complaint.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
