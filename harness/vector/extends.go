package vector

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// inherited are the fields that a suite may take over from another file; those that are mappings take over what they lack.
var inherited = []string{"constants", "context", "map_sizes", "maps", "network", "tail_calls"}

// extend adds to a suite what it takes over from the file that it extends.
func extend(suite *written, dir string) (*written, error) {
	name := suite.child("extends")
	if name == nil || suite.kind != mapping {
		return suite, nil
	}
	if name.kind != scalar {
		return nil, name.at.errorf("the name of a file belongs here, not %s", name)
	}
	base, err := readBase(filepath.Join(dir, name.text), name.at)
	if err != nil {
		return nil, err
	}
	out := *suite
	out.fields = slices.Clone(suite.fields)
	for _, f := range base.fields {
		if !slices.Contains(inherited, f.name) {
			return nil, f.at.errorf("only %s are taken over, no %s", strings.Join(inherited, ", "), f.name)
		}
		out.inherit(f)
	}
	return &out, nil
}

func readBase(path string, at place) (*written, error) {
	const most = 16 << 20
	file, err := os.Open(path)
	if err != nil {
		return nil, at.errorf("there is no file %s to extend: %w", path, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return nil, at.errorf("%s: %w", path, err)
	}
	documents, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	if len(documents) != 1 || documents[0] == nil || documents[0].kind != mapping {
		return nil, at.errorf("%s is no file to extend: it has to be one mapping", path)
	}
	return documents[0], nil
}

// inherit adds a field, or to a mapping of that name what it lacks.
func (w *written) inherit(f field) {
	i := slices.IndexFunc(w.fields, func(own field) bool { return own.name == f.name })
	if i < 0 {
		w.fields = append(w.fields, f)
		return
	}
	own := w.fields[i].value
	if own.kind != mapping || f.value.kind != mapping {
		return
	}
	merged := *own
	merged.fields = slices.Clone(own.fields)
	for _, part := range f.value.fields {
		if own.get(part.name) == nil {
			merged.fields = append(merged.fields, part)
		}
	}
	w.fields[i].value = &merged
}
