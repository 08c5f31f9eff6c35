package reports

import (
	"slices"
	"strings"
)

// matrixTable is the rows of one suite.
type matrixTable struct {
	suite string
	rows  []matrixRow
}

// matrixRow is one test or program on all kernels.
type matrixRow struct {
	name  string
	depth int  // how many tests are around it
	leaf  bool // it has no parts
	cells []*Cell
}

// tables sorts all cells into rows, in the order of suites and of names. Where a kernel has no cell for a test, that of the test around it stands in
// if it says why.
func (m *Matrix) tables() (tables []matrixTable) {
	var suites []string
	names := map[string][]string{}
	index := make([]map[string]*Cell, len(m.Kernels))
	key := func(suite, name string) string { return suite + "\x00" + name }
	for i, k := range m.Kernels {
		index[i] = map[string]*Cell{}
		for j := range k.Cells {
			c := &k.Cells[j]
			index[i][key(c.Suite, c.Name)] = c
			if !slices.Contains(suites, c.Suite) {
				suites = append(suites, c.Suite)
			}
			names[c.Suite] = append(names[c.Suite], c.Name)
		}
	}
	for _, suite := range suites {
		all := names[suite]
		slices.SortFunc(all, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
		all = slices.Compact(all)
		table := matrixTable{suite: suite}
		for i, name := range all {
			row := matrixRow{name: name, depth: strings.Count(name, "/")}
			row.leaf = i+1 == len(all) || !strings.HasPrefix(all[i+1], name+"/")
			for j := range m.Kernels {
				row.cells = append(row.cells, nearest(index[j], func(name string) string { return key(suite, name) }, name))
			}
			table.rows = append(table.rows, row)
		}
		tables = append(tables, table)
	}
	return tables
}

// nearest is the cell of a test, or of the one around it that was skipped or died.
func nearest(cells map[string]*Cell, key func(string) string, name string) *Cell {
	if c := cells[key(name)]; c != nil {
		return c
	}
	for {
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			return nil
		}
		name = name[:slash]
		if c := cells[key(name)]; c != nil {
			if c.State == Pass {
				return nil
			}
			return c
		}
	}
}

// sum is what a row and its parts come to on one kernel: the worst of their states, and how many parts pass of how many that can.
type sum struct {
	state        State
	cell         *Cell // the one in that state that says most
	pass, others int
	unsupported  int
}

// sumOf sums up the rows from i on that belong to the row i, for a kernel.
func (t matrixTable) sumOf(i, kernel int) (s sum) {
	top := t.rows[i]
	s.state = Pass
	seen := false
	for _, row := range t.rows[i:] {
		if row.name != top.name && !strings.HasPrefix(row.name, top.name+"/") {
			break
		}
		c := row.cells[kernel]
		if c == nil {
			continue
		}
		if row.leaf {
			switch c.State {
			case Pass:
				s.pass++
			case Unsupported:
				s.unsupported++
			default:
				s.others++
			}
		}
		if !row.leaf && !c.State.bad() {
			continue // A test around others passes when its parts are skipped.
		}
		if better := slices.Index(states, c.State) - slices.Index(states, s.state); !seen || better < 0 || (better == 0 && s.cell.Reason == "" && c.Reason != "") {
			s.state, s.cell = c.State, c
		}
		seen = true
	}
	if !seen {
		s.state = ""
		return s
	}
	if s.state == Unsupported && s.pass > 0 {
		s.state = Pass
	}
	return s
}

// rowsBelow is how many rows belong to the row i.
func (t matrixTable) rowsBelow(i int) (n int) {
	for _, row := range t.rows[i+1:] {
		if !strings.HasPrefix(row.name, t.rows[i].name+"/") {
			break
		}
		n++
	}
	return n
}
