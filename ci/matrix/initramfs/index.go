package initramfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// IndexPath is where a guest finds the index of its modules.
const IndexPath = "/lib/modules/index"

// Index tells a guest's modprobe what to load for a name. Packages bring none, since depmod makes it where a kernel is installed. It is kept as
// lines of words, which a guest reads within a millisecond each time that its kernel wants a module.
type Index struct {
	// Modules are those of the archive, by name with underscores.
	Modules map[string]Module
	// Aliases are further names, with * for any text, and the modules that they stand for.
	Aliases []Alias
}

// Module is one that can be loaded, after those that it needs.
type Module struct {
	Path  string
	Needs []string
}

// Alias is a further name of a module.
type Alias struct{ Pattern, Module string }

// String writes the index: "module NAME PATH NEEDS…" and "alias PATTERN NAME".
func (i Index) String() string {
	var lines []string
	for name, m := range i.Modules {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("module %s %s %s", name, m.Path, strings.Join(m.Needs, " ")))+"\n")
	}
	for _, a := range i.Aliases {
		lines = append(lines, fmt.Sprintf("alias %s %s\n", a.Pattern, a.Module))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// ParseIndex reads what String wrote.
func ParseIndex(text string) Index {
	i := Index{Modules: map[string]Module{}}
	for line := range strings.Lines(text) {
		switch words := strings.Fields(line); {
		case len(words) >= 3 && words[0] == "module":
			i.Modules[words[1]] = Module{Path: words[2], Needs: words[3:]}
		case len(words) == 3 && words[0] == "alias":
			i.Aliases = append(i.Aliases, Alias{Pattern: words[1], Module: words[2]})
		}
	}
	return i
}

// Find returns the names of the modules to load for a name or alias, each after those that it needs. There is none for what the kernel has built in.
func (i Index) Find(name string) (names []string) {
	name = Name(name)
	if _, ok := i.Modules[name]; ok {
		return i.withNeeds(nil, name)
	}
	for _, a := range i.Aliases {
		if ok, _ := path.Match(a.Pattern, name); ok {
			names = i.withNeeds(names, a.Module)
		}
	}
	return names
}

func (i Index) withNeeds(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	for _, need := range i.Modules[name].Needs {
		names = i.withNeeds(names, need)
	}
	return append(names, name)
}

// Name writes a module's name as the kernel does, which takes - for _.
func Name(name string) string { return strings.ReplaceAll(name, "-", "_") }
