// Package vector runs BPF programs by BPF_PROG_RUN and checks what they did: packet and maps in; verdict, packet and maps
// out. Programs may be anyone's: any ELF object from clang, with type information or without.
//
//	vector.Run(t, "testdata/xdp.yaml")
//
// A suite is a plain value, written as a YAML file or in Go. Beneath it are the parts that other ways of testing use too:
// [Open] reads an object, [Object.Load] makes its programs and maps, [Network.Up] makes the namespace around them, and
// [Program.Run] runs one program on one packet.
package vector

import (
	"fmt"

	"github.com/skbench/skbench/harness/packet"
)

// A Suite is vectors of the programs of one object, and what those need around them.
type Suite struct {
	Name string `yaml:"name"` // default: the name of its file
	// Extends names a file to take constants, context, map sizes, maps, network and tail calls over from.
	Extends string `yaml:"extends"`
	Object  string `yaml:"object"` // the ELF file; in a file, relative to its folder
	// Program names the program that vectors run unless they say otherwise. It may be left open if the object has one only.
	Program string `yaml:"program"`
	// Constants sets global variables of the object before it is loaded: in .rodata (const volatile), .data and .bss.
	Constants map[string]any `yaml:"constants"`
	// MapSizes gives maps another number of entries.
	MapSizes map[string]uint32 `yaml:"map_sizes"`
	// TailCalls puts programs into the slots of program arrays, by their names. Programs that the object itself puts there, by
	// libbpf's initialisers or by the BTF declaration tag "tail:MAP/SLOT", need not be named.
	TailCalls map[string]map[uint32]string `yaml:"tail_calls"`
	Network   Network                      `yaml:"network"`
	Maps      Contents                     `yaml:"maps"`    // what every vector starts from
	Context   Context                      `yaml:"context"` // of every vector, where it does not say otherwise
	// KeepState lets a vector find the maps as the one before left them. Without it each starts from the same.
	KeepState bool    `yaml:"keep_state"`
	Vectors   Vectors `yaml:"vectors"`
	// Attach says where programs stand when vectors are sent, with --live.
	Attach []Attachment `yaml:"attach"`
	// Fixtures are more vectors, behind the others: a list, or the name of a JSON file that holds it.
	Fixtures Fixtures `yaml:"fixtures"`

	located
	dir string // that relative names of files start from
}

// A Vector is one case: one run of a program, or a sequence of runs that share their state.
type Vector struct {
	Name string `yaml:"name"` // default: "vector 3", by its place
	Step
	// Group names vectors that share their state: one finds the maps as the one of its group right before it left them.
	Group string `yaml:"group"`
	// Steps are what is done one after the other, in place of the single step that the vector itself says.
	Steps Steps `yaml:"steps"`
}

// name is what results call the vector, the i-th of its suite.
func (v *Vector) name(i int) string {
	if v.Name != "" {
		return v.Name
	}
	return fmt.Sprintf("vector %d", i+1)
}

// Vectors are written as a list. One that says each, a list of mappings, stands for a vector for each of them, with $name
// replaced by its values.
type Vectors []Vector

func (v *Vectors) read(w *written) error {
	expanded, err := expand(w)
	if err != nil {
		return err
	}
	return read(expanded, (*[]Vector)(v))
}

// A Step is a run of a program, or several alike.
type Step struct {
	Program string   `yaml:"program"` // default: the suite's
	Maps    Contents `yaml:"maps"`    // put before the program runs
	Packet  Packet   `yaml:"packet"`
	Context Context  `yaml:"context"`
	Repeat  int      `yaml:"repeat"`  // so many times; default: once
	Foreach *Frames  `yaml:"foreach"` // for each of these frames, in place of Packet
	Want    Want     `yaml:"want"`

	located
}

// Steps are written as Vectors are.
type Steps []Step

func (s *Steps) read(w *written) error {
	expanded, err := expand(w)
	if err != nil {
		return err
	}
	return read(expanded, (*[]Step)(s))
}

// Want is what is expected of a step. What it does not name may be anything.
type Want struct {
	Verdict Verdict  `yaml:"verdict"`
	Packet  Packet   `yaml:"packet"`
	Context Context  `yaml:"context"`
	Maps    Contents `yaml:"maps"`

	located
}

// A Packet is a frame to send or to expect: Layers, Bytes, a Frame of a capture, or Unchanged.
type Packet struct {
	Layers packet.Layers
	Bytes  []byte
	Frame  *Frame
	// Unchanged expects the packet that was sent.
	Unchanged bool
	// Mask has the bits of Bytes that count set; bytes beyond it count all. It is for what is different each time.
	Mask []byte
	// Exact expects nothing beside what is named: Layers as they would be sent, or no byte more than Bytes.
	Exact bool
}

// read reads layers by their names (a mapping of them, outermost first), or one of hex, base64, frame, and layers, a list of
// mappings of layers, for packets that have two of a kind.
func (p *Packet) read(w *written) error {
	if w.kind == scalar && w.text == "unchanged" {
		p.Unchanged = true
		return nil
	}
	if err := w.expect(mapping); err != nil {
		return err
	}
	forms := map[string]bool{}
	inline := &written{kind: mapping, at: w.at}
	for _, f := range w.fields {
		var err error
		form := f.name
		switch f.name {
		case "exact":
			p.Exact, err = f.value.bool()
			form = ""
		case "mask":
			p.Mask, err = readBytes(f.value)
			form = ""
		case "hex", "base64":
			p.Bytes, err = f.value.bytes(f.name)
		case "frame":
			p.Frame = &Frame{}
			err = read(f.value, p.Frame)
		case "layers":
			p.Layers, err = readLayers(f.value)
		default:
			inline.fields = append(inline.fields, f)
			form = "layers by name"
		}
		if err != nil {
			return err
		}
		if form != "" {
			forms[form] = true
		}
	}
	if p.Mask != nil && p.Bytes == nil {
		return w.get("mask").at.errorf("a mask is for a packet in hex or base64")
	}
	if len(forms) > 1 {
		return w.at.errorf("a packet is one of layers by their names, layers, hex, base64 and frame")
	}
	if inline.fields != nil {
		var err error
		p.Layers, err = readLayers(inline)
		return err
	}
	return nil
}

// isZero tells whether the packet says nothing.
func (p *Packet) isZero() bool {
	return p.Layers == nil && p.Bytes == nil && p.Frame == nil && !p.Unchanged
}

// A Frame is one frame of a capture, a pcap or pcapng file.
type Frame struct {
	File   string `yaml:"file"`   // relative to the suite's folder
	Number int    `yaml:"number"` // from 1 on, as Wireshark counts; default: 1
}

// Frames are frames of a capture.
type Frames struct {
	File  string `yaml:"file"`
	First int    `yaml:"first"` // default: 1
	Last  int    `yaml:"last"`  // default: the last there is
}
