// Package vector runs BPF programs by BPF_PROG_RUN and checks what they did: packet and maps in; verdict, packet and maps
// out. Programs may be anyone's: any ELF object from clang, with type information or without.
//
//	vector.Run(t, "testdata/xdp.yaml")
//
// A suite is a plain value, written as a YAML file or in Go. Beneath it are the parts that other ways of testing use too:
// [Open] reads an object, [Object.Load] makes its programs and maps, and [Program.Run] runs one program on one packet.
package vector

import (
	"github.com/skbench/skbench/harness/packet"
)

// A Suite is the vectors of one program, and what it needs around it. Each vector starts from the same state.
type Suite struct {
	Name   string `yaml:"name"`   // default: the name of its file
	Object string `yaml:"object"` // the ELF file; in a file, relative to its folder
	// Program names the program that vectors run unless they say otherwise. It may be left open if the object has one only.
	Program string `yaml:"program"`
	// Constants sets variables of the object before it is loaded, in .rodata (const volatile) as well as in .data and .bss.
	Constants map[string]any `yaml:"constants"`
	// MapSizes gives maps another number of entries.
	MapSizes map[string]uint32 `yaml:"map_sizes"`
	// TailCalls puts programs into the slots of program arrays, after those that the object itself puts there.
	TailCalls map[string]map[uint32]string `yaml:"tail_calls"`
	Context   Context                      `yaml:"context"` // of every vector, where it does not say otherwise
	Vectors   []Vector                     `yaml:"vectors"`

	located
	dir string // that relative names of files start from
}

// A Vector is one case: one run of the program, or a sequence of runs that share their state.
type Vector struct {
	Name string `yaml:"name"`
	Step
	// Steps are what is done one after the other, in place of the single step that the vector itself says.
	Steps []Step `yaml:"steps"`
}

// A Step is one run of a program.
type Step struct {
	Program string  `yaml:"program"` // default: the suite's
	Packet  Packet  `yaml:"packet"`
	Context Context `yaml:"context"`
	Want    Want    `yaml:"want"`

	located
}

// Want is what is expected of a step. What it does not name may be anything.
type Want struct {
	Verdict Verdict `yaml:"verdict"`
	Packet  Packet  `yaml:"packet"`
	Context Context `yaml:"context"`

	located
}

// A Packet is a frame to send or to expect: one of Layers, Bytes and Unchanged.
type Packet struct {
	Layers packet.Layers
	Bytes  []byte
	// Unchanged expects the packet that was sent.
	Unchanged bool
	// Exact expects nothing beside what is named: Layers as they would be sent, or no byte more than Bytes.
	Exact bool
}

func (p *Packet) read(w *written) error {
	if w.kind == scalar && w.text == "unchanged" {
		p.Unchanged = true
		return nil
	}
	if err := w.expect(mapping); err != nil {
		return err
	}
	rest := &written{kind: mapping, at: w.at}
	for _, f := range w.fields {
		var err error
		switch f.name {
		case "exact":
			p.Exact, err = f.value.bool()
		case "hex", "base64":
			p.Bytes, err = f.value.bytes(f.name)
		case "layers":
			p.Layers, err = readLayers(f.value)
		default:
			rest.fields = append(rest.fields, f)
		}
		if err != nil {
			return err
		}
	}
	if len(rest.fields) > 0 {
		layers, err := readLayers(rest)
		if err != nil {
			return err
		}
		p.Layers = append(p.Layers, layers...)
	}
	if p.Layers != nil && p.Bytes != nil {
		return w.at.errorf("a packet is layers, hex or base64: one of them")
	}
	return nil
}
