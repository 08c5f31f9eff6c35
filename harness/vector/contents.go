package vector

// Contents are maps by their names, and what is in them or expected there.
type Contents map[string]Table

// A Table is entries of a map. A list of entries is short for it.
type Table struct {
	Entries []Entry `yaml:"entries"`
	Exact   bool    `yaml:"exact"` // expected: these entries and no others; of arrays, zero everywhere else
	Count   *int    `yaml:"count"` // expected: so many entries

	located
}

func (t *Table) read(w *written) error {
	t.locate(w)
	if w.kind == list {
		return read(w, &t.Entries)
	}
	type plain Table // without this method
	return read(w, (*plain)(t))
}

// An Entry is a key and what is there. Keys and values are written as the map's types have them: structs and unions by the
// names of their members, arrays as lists, numbers with the names that the object has for them, addresses, prefixes (as keys of
// LPM tries) and MACs as people write them. Numbers that the type does not say to be big-endian, but are, stand in {be: 80}; bytes
// as they are in {hex: …}, which is also for objects without type information. What is left out is zero, and when expected anything.
type Entry struct {
	Key any `yaml:"key"`
	// Value of a per-CPU map is the sum over all CPUs, number by number.
	Value  any    `yaml:"value"`
	CPUs   []any  `yaml:"cpus"`   // the values of a per-CPU map one by one, from CPU 0 on
	Map    *Table `yaml:"map"`    // the inner map, of a map of maps
	Absent bool   `yaml:"absent"` // expected: no such entry

	located
}
