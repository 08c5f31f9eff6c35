// Package kernel gets kernels ready to boot: Debian's packages fetched with apt, or a folder of the user's, unpacked without root into a cache that
// is checked by hash.
//
//	list, err := kernel.ReadList("ci/kernels.yaml")
//	wanted, err := list.Select("5.10", "7.3")
//	ready, err := cache.Get(ctx, wanted[0])
package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// List is ci/kernels.yaml.
type List struct {
	Mirror  Mirror   `yaml:"mirror"`
	Kernels []Kernel `yaml:"kernels"`

	path string
}

// Mirror is where Debian's packages come from. Empty: where this machine's own apt gets them.
type Mirror struct {
	Debian   string `yaml:"debian"`
	Security string `yaml:"security"`
}

// Kernel says where one kernel comes from: packages of a suite, or a folder.
type Kernel struct {
	Name     string    `yaml:"name"`
	Suite    string    `yaml:"suite"`
	Packages []Package `yaml:"packages"`
	Folder   string    `yaml:"folder"`
}

// Package is a Debian package, pinned.
type Package struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
	SHA256  string `yaml:"sha256"` // in hex
}

// Host names the machine's own kernel, which runs without a virtual machine.
const Host = "host"

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// ReadList reads a list of kernels.
func ReadList(path string) (*List, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("list of kernels: %w: run this in the source tree, or name the list with --list", err)
	}
	list := &List{path: path}
	if err := yaml.UnmarshalWithOptions(text, list, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("list of kernels %s: %w", path, err)
	}
	var problems []error
	for i, k := range list.Kernels {
		if err := k.check(); err != nil {
			problems = append(problems, fmt.Errorf("list of kernels %s: kernels[%d]: %w", path, i, err))
		}
		if slices.ContainsFunc(list.Kernels[:i], func(other Kernel) bool { return other.Name == k.Name }) {
			problems = append(problems, fmt.Errorf("list of kernels %s: kernel %s is there twice: give one another name", path, k.Name))
		}
	}
	if len(list.Kernels) == 0 {
		problems = append(problems, fmt.Errorf("list of kernels %s: it names none: write at least one under kernels", path))
	}
	return list, errors.Join(problems...)
}

func (k Kernel) check() error {
	switch {
	case !namePattern.MatchString(k.Name):
		return fmt.Errorf("name is %q: use letters, digits and . _ + -", k.Name)
	case k.Name == Host:
		return fmt.Errorf("name is %q, which is this machine's own kernel: choose another", k.Name)
	case (k.Folder != "") == (len(k.Packages) > 0):
		return fmt.Errorf("%s: give it either packages or a folder", k.Name)
	case len(k.Packages) > 0 && k.Suite == "":
		return fmt.Errorf("%s: suite is missing: write the Debian suite that has the packages", k.Name)
	}
	for _, p := range k.Packages {
		if p.Name == "" || p.Version == "" || !hashPattern.MatchString(p.SHA256) {
			return fmt.Errorf("%s: package %q: give it a name, a version, and its sha256 in 64 hex digits", k.Name, p.Name)
		}
	}
	return nil
}

// Select returns the kernels of these names, in their order; all of the list without any. A name with a slash is a folder; Host is this machine.
// What is not there is told in the error; the others are returned all the same.
func (l *List) Select(names ...string) ([]Kernel, error) {
	if len(names) == 0 {
		return l.Kernels, nil
	}
	var selected []Kernel
	var problems []error
	for _, name := range names {
		i := slices.IndexFunc(l.Kernels, func(k Kernel) bool { return k.Name == name })
		switch {
		case i >= 0:
			selected = append(selected, l.Kernels[i])
		case name == Host:
			selected = append(selected, Kernel{Name: Host})
		case strings.Contains(name, "/"):
			selected = append(selected, Kernel{Name: filepath.Base(filepath.Clean(name)), Folder: name})
		default:
			problems = append(problems, fmt.Errorf("kernel %s is not in %s: choose of %s, name a folder with a slash in it, or add it there",
				name, l.path, strings.Join(l.names(), ", ")))
		}
	}
	return selected, errors.Join(problems...)
}

func (l *List) names() (names []string) {
	for _, k := range l.Kernels {
		names = append(names, k.Name)
	}
	return append(names, Host)
}
