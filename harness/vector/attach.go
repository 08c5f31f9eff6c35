package vector

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/topo"
)

// An Attachment puts a program at a hook of a device of the suite's network.
type Attachment struct {
	Program string `yaml:"program"`
	Device  string `yaml:"device"`
	Hook    Hook   `yaml:"hook"` // xdp, tc ingress or tc egress

	located
}

// A Hook is a place of a device where programs run.
type Hook string

// The hooks.
const (
	XDP       Hook = "xdp"
	TCIngress Hook = "tc ingress"
	TCEgress  Hook = "tc egress"
)

var hooks = []string{string(XDP), string(TCIngress), string(TCEgress)}

func (h *Hook) read(w *written) error {
	text, err := w.scalar("a hook")
	if err == nil && !slices.Contains(hooks, text) {
		err = w.at.errorf("%s", unknown("hook", text, hooks))
	}
	*h = Hook(text)
	return err
}

// attach attaches the suite's programs. Close of the network detaches them.
func (s *Suite) attach(machine *topo.Machine, loaded *Loaded) error {
	if s.Attach == nil {
		return s.at("").errorf("the suite attaches no program to a device, so nothing can be sent: say under attach where programs stand")
	}
	for i := range s.Attach {
		a := &s.Attach[i]
		program := loaded.Programs[a.Program]
		if program == nil {
			return a.at("program").errorf("%s", unknown("program", a.Program, loaded.Object.Programs()))
		}
		var names []string
		for _, d := range machine.Devices() {
			names = append(names, d.Name)
		}
		if !slices.Contains(names, a.Device) {
			return a.at("device").errorf("%s", unknown("device", a.Device, names))
		}
		if err := a.attach(machine, program.Program); err != nil {
			return a.at("hook").errorf("%w", err)
		}
	}
	return nil
}

func (a *Attachment) attach(machine *topo.Machine, program *ebpf.Program) error {
	xdp := program.Type() == ebpf.XDP
	if xdp != (a.Hook == XDP) || !xdp && program.Type() != ebpf.SchedCLS {
		return fmt.Errorf("program %s is of type %s, which does not stand at %s", a.Program, program.Type(), a.Hook)
	}
	var err error
	switch a.Hook {
	case XDP:
		_, err = machine.AttachXDP(program, a.Device, topo.XDPBest)
	case TCIngress:
		_, err = machine.AttachTC(program, a.Device, topo.In, topo.TCBest)
	case TCEgress:
		_, err = machine.AttachTC(program, a.Device, topo.Out, topo.TCBest)
	}
	return err
}

// place is where a step's frames have to be sent for its program to see them; an error says why there is none.
func (s *Suite) place(p *prepared) (*Attachment, error) {
	var at *Attachment
	for i := range s.Attach {
		a := &s.Attach[i]
		device := p.context.Ingress
		if a.Hook == TCEgress && p.context.Device != "" {
			device = p.context.Device
		}
		if a.Program != p.program.Name || device != "" && device != a.Device {
			continue
		}
		if at != nil {
			return nil, fmt.Errorf("program %s is attached to %s and %s: the context has to name one", p.program.Name, at.Device, a.Device)
		}
		at = a
	}
	if at == nil && p.context.Ingress != "" {
		return nil, fmt.Errorf("program %s is not attached to %s", p.program.Name, p.context.Ingress)
	}
	if at == nil {
		return nil, fmt.Errorf("program %s is attached nowhere", p.program.Name)
	}
	for _, name := range p.context.names() {
		if name != "ingress" && name != "device" {
			return nil, errors.New("a context with " + name + " cannot be sent")
		}
	}
	return at, nil
}
