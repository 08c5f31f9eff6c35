package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// programsOf names the programs that a datapath's packets meet, where a program's
// result does not name its datapath.
var programsOf = map[string][]string{
	"xdp":         {"xdp_entry"},
	"xdp-generic": {"xdp_entry"},
	"tc":          {"from_netdev", "to_netdev"},
	"ebpf":        {"from_netdev", "to_netdev", "from_container", "to_container"},
}

// explain says which part of what was measured changed along with c, and so why.
func (d *Diff) explain(c Change) string {
	r := c.result()
	if r.Benchmark == program {
		return d.sentence(c, func(part Change, p *Result) bool {
			return p.Benchmark == program && p.Params[program] == r.Params[program] && part.Unit() != c.Unit() && unitOf(part.Unit()).isCount()
		})
	}
	programs := func(part Change, p *Result) bool {
		return p.Benchmark == program && r.Params["datapath"] != "" &&
			(p.Params["datapath"] == r.Params["datapath"] || slices.Contains(programsOf[r.Params["datapath"]], p.Params[program]))
	}
	because := d.sentence(c, programs)
	empty := d.sentence(c, func(part Change, p *Result) bool {
		return r.Params["datapath"] != emptyPath && p.Params["datapath"] == emptyPath && sameBut(p.Params, r.Params, "datapath", "offered", "services", "packets")
	})
	switch {
	case because != "" && empty != "":
		return because + "; " + empty
	case because != "":
		return because
	case empty != "":
		return empty + ": the machine, its kernel or the generator, and not the datapath alone"
	case d.has(programs):
		return "neither its programs nor the empty path changed for the worse"
	default:
		return ""
	}
}

// sentence lists the changes for the worse that are parts of c.
func (d *Diff) sentence(c Change, isPart func(Change, *Result) bool) string {
	parts := slices.DeleteFunc(Regressions(d.Changes), func(part Change) bool {
		return part.Name == c.Name && part.Unit() == c.Unit() || !isPart(part, part.result())
	})
	var all []string
	for _, h := range headlinesOf(parts) {
		all = append(all, h.name+" "+effects(h.changes))
	}
	if len(all) > 4 {
		all = append(all[:3], fmt.Sprintf("%d more", len(all)-3))
	}
	return strings.Join(all, ", ")
}

func (d *Diff) has(isPart func(Change, *Result) bool) bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool { return isPart(c, c.result()) })
}

// sameBut tells whether two choices of parameters are the same, those named left aside.
func sameBut(a, b map[string]string, aside ...string) bool {
	a, b = maps.Clone(a), maps.Clone(b)
	for _, name := range aside {
		delete(a, name)
		delete(b, name)
	}
	return maps.Equal(a, b)
}

// setting is a line of the environment that is not the same in both runs.
type setting struct{ Name, Old, New string }

// settings lists what differs between the environments, the time and what each run
// says of itself left aside.
func (d *Diff) settings() (all []setting) {
	both := maps.Clone(d.Old.Environment)
	maps.Copy(both, d.New.Environment)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if slices.Contains([]string{"time", "untrusted", "method", "side-by-side"}, key) {
			continue
		}
		if a, b := d.Old.Environment[key], d.New.Environment[key]; a != b {
			all = append(all, setting{key, a, b})
		}
	}
	return all
}
