package main

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// progress tells what is being done: on one line that changes where a person
// watches, on plain lines elsewhere.
type progress struct {
	to       *os.File
	terminal bool
}

func newProgress(to *os.File) *progress {
	return &progress{to: to, terminal: term.IsTerminal(int(to.Fd()))}
}

func (p *progress) say(what string) {
	if p.terminal {
		fmt.Fprintf(p.to, "\r\x1b[K%s", what)
		return
	}
	fmt.Fprintln(p.to, what)
}

// done leaves the terminal's line empty for what comes after.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
