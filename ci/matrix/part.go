package matrix

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skbench/skbench/ci/matrix/job"
	"github.com/skbench/skbench/ci/matrix/kernel"
	"github.com/skbench/skbench/harness/feature"
)

// testsOfAGuest is how many tests are worth a guest of their own: it takes three seconds to boot, and longer until what they run is translated.
const testsOfAGuest = 20

// guests is how many guests a kernel's tests are spread over, so that the last kernel does not hold one processor while the others idle.
func (p *plan) guests(most int) int {
	n := 1
	for _, s := range p.suites {
		n = max(n, p.pieces(s, most))
	}
	return n
}

// pieces is how many guests a suite is spread over. One of which a pattern chooses tests stays whole: they may be few.
func (p *plan) pieces(s suite, most int) int {
	if s.only != "" {
		return 1
	}
	return max(1, min(most, len(s.tests)/cmp.Or(p.testsOfAGuest, testsOfAGuest)))
}

// part is what one guest has of a kernel's column: of large suites every Of-th test, and what is not spread if it is the first.
type part struct {
	Number, Of int // from 0 on; the zero value is all of it
}

// others are the tests of a suite that other guests have. has tells whether this one has any.
func (p *plan) others(s suite, of part) (others []string, has bool) {
	pieces := p.pieces(s, of.Of)
	for i, test := range s.tests {
		if i%pieces != of.Number {
			others = append(others, test)
		}
	}
	return others, of.Number < pieces
}

// whole is a kernel's column while its guests fill it in.
type whole struct {
	kernel.Kernel
	column *Column

	mu      sync.Mutex
	started time.Time
	parts   []*Column // that have ended
	of      int       // how many there will be
}

// part fills in one part of a kernel's column, and the column itself when it is the last to end.
func (r *run) part(ctx context.Context, w *whole, of part) {
	w.mu.Lock()
	if w.started.IsZero() {
		w.started = time.Now()
	}
	w.mu.Unlock()
	found := &Column{Name: w.Name}
	c := newCollector(found, r.Out, r.say)
	c.part = of
	if of.Number > 0 {
		c.folder = filepath.Join(c.folder, of.String()) // Two guests may leave files of the same name.
	}
	var err error
	if w.Name == kernel.Host {
		err = r.host(ctx, c)
	} else {
		err = r.guests(ctx, w.Kernel, c)
	}
	if err != nil {
		found.Problem = err.Error()
	}
	found.Cells = c.cellsInOrder()

	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts = append(w.parts, found)
	if len(w.parts) < w.of {
		return
	}
	w.column.join(w.parts)
	w.column.Seconds = time.Since(w.started).Seconds()
	r.say(fmt.Sprintf("kernel %s: %s", w.Name, w.column.summary()))
}

// String is "guest-2" for the second.
func (p part) String() string { return fmt.Sprintf("guest-%d", p.Number+1) }

// join makes a column of its parts, in whichever order they ended.
func (c *Column) join(parts []*Column) {
	cells := map[cellName]*job.Cell{}
	var problems []string
	for _, p := range parts {
		c.Release, c.Origin, c.Machine = cmp.Or(c.Release, p.Release), cmp.Or(c.Origin, p.Origin), cmp.Or(c.Machine, p.Machine)
		c.Console = cmp.Or(c.Console, p.Console)
		if p.Problem != "" && !slices.Contains(problems, p.Problem) {
			problems = append(problems, p.Problem)
		}
		c.ProcessorSeconds += p.ProcessorSeconds
		c.BootSeconds, c.FirstTestSeconds = max(c.BootSeconds, p.BootSeconds), max(c.FirstTestSeconds, p.FirstTestSeconds)
		c.MemoryMiB, c.Boots = max(c.MemoryMiB, p.MemoryMiB), c.Boots+p.Boots
		for _, cell := range p.Cells {
			name := cellName{cell.Suite, cell.Name}
			if same := cells[name]; same != nil { // that of the suite itself, in two guests
				same.Reason, same.Log = same.Reason+"; "+cell.Reason, same.Log+"\n"+cell.Log
				same.Files = append(same.Files, cell.Files...)
				continue
			}
			cells[name] = cell
		}
		for _, found := range p.Features {
			same := func(other feature.Finding) bool { return other.Kind == found.Kind && other.Name == found.Name }
			if !slices.ContainsFunc(c.Features, same) {
				c.Features = append(c.Features, found)
			}
		}
	}
	slices.Sort(problems)
	c.Problem = strings.Join(problems, "; ")
	c.Cells = append(c.Cells, inOrder(cells)...) // an empty list where there is none, never null
}
