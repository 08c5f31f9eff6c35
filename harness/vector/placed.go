package vector

import (
	"errors"
	"fmt"
	"path"

	"github.com/skbench/skbench/topo"
)

// Placed is a suite's object on a machine of a network: loaded, its maps filled, its programs attached.
type Placed struct {
	Loaded      *Loaded
	Attachments []*topo.Attachment
}

// Place puts the suite's object on a machine, with maps of its own, and attaches its programs where the suite says under attach. Devices in constants and
// maps are the machine's. Neither the suite's network nor its vectors have a part in it.
func (s *Suite) Place(machine *topo.Machine, o Options) (*Placed, error) {
	object, err := s.open()
	if err != nil {
		return nil, err
	}
	index := func(name string) (uint32, error) {
		d, err := machine.Device(name)
		return uint32(d.Index), err
	}
	c := s.settings(o)
	c.Device = index
	for _, a := range s.Attach {
		c.Programs = append(c.Programs, a.Program)
	}
	loaded, err := s.load(object, c)
	if err != nil {
		return nil, err
	}
	placed := &Placed{Loaded: loaded}
	err = s.fill(loaded, newEncoder(loaded.Spec, index))
	for i := 0; i < len(s.Attach) && err == nil; i++ {
		err = placed.attach(&s.Attach[i], machine)
	}
	if err != nil {
		return nil, errors.Join(err, placed.Close())
	}
	return placed, nil
}

// fill puts what the suite says of maps.
func (s *Suite) fill(loaded *Loaded, e *encoder) error {
	tables, err := newTables(loaded, e, 0)
	if err != nil {
		return err
	}
	fillings, err := tables.encode(s.Maps)
	for _, f := range fillings {
		if err == nil {
			err = f.put()
		}
	}
	return errors.Join(err, tables.close())
}

// attach attaches to every device of the machine that is meant, if the machine is.
func (p *Placed) attach(a *Attachment, machine *topo.Machine) error {
	if a.Node != "" && a.Node != machine.Name() {
		return nil
	}
	program := p.Loaded.Programs[a.Program]
	if program == nil {
		return a.at("program").errorf("%s", unknown("program", a.Program, p.Loaded.Object.Programs()))
	}
	if a.Hook == Cgroup {
		return p.add(a.attach(machine, program, ""))
	}
	for _, d := range machine.Devices() {
		match, err := path.Match(a.Device, d.Name)
		if err != nil {
			return a.at("device").errorf("%q is no name of a device: %w", a.Device, err)
		}
		if match {
			if err := p.add(a.attach(machine, program, d.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Placed) add(a *topo.Attachment, err error) error {
	if err == nil {
		p.Attachments = append(p.Attachments, a)
	}
	return err
}

// Close detaches the programs, and releases them and the maps.
func (p *Placed) Close() error {
	var errs []error
	for _, a := range p.Attachments {
		if err := a.Close(); err != nil {
			errs = append(errs, fmt.Errorf("vector: %w", err))
		}
	}
	return errors.Join(append(errs, p.Loaded.Close())...)
}
