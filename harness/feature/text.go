package feature

import (
	"fmt"
	"io"
	"strings"
)

// WriteText prints findings for people: grouped by kind in the order given, in aligned columns.
func WriteText(w io.Writer, findings []Finding) error {
	state, name, since := 0, 0, 0 // widths of the columns
	for _, f := range findings {
		state, name, since = max(state, len(f.State)), max(name, len(f.Name)), max(since, len(f.release()))
	}
	var text strings.Builder
	for i, f := range findings {
		if i == 0 || f.Kind != findings[i-1].Kind {
			if i > 0 {
				text.WriteByte('\n')
			}
			fmt.Fprintf(&text, "%s\n", f.Kind)
		}
		line := fmt.Sprintf("  %-*s  %-*s  %-*s  %s", state, f.State, name, f.Name, since, f.release(), f.explain())
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// release says since when the kernel has the feature.
func (f Finding) release() string {
	if f.Since == (Version{}) {
		return ""
	}
	return "since " + f.Since.String()
}
