package vector

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/skbench/skbench/topo"
)

// An Attachment puts a program at a hook of a device of the suite's network.
type Attachment struct {
	Program string `yaml:"program"`
	Node    string `yaml:"node"`   // of a lab; default: every node
	Device  string `yaml:"device"` // its name; of a lab's nodes, with the wildcards of path.Match: eth0, lxc-*
	Hook    Hook   `yaml:"hook"`   // xdp, tc ingress or tc egress; in a lab also cgroup, which has no device

	located
}

// A Hook is a place of a device where programs run.
type Hook string

// The hooks.
const (
	XDP       Hook = "xdp"
	TCIngress Hook = "tc ingress"
	TCEgress  Hook = "tc egress"
	Cgroup    Hook = "cgroup" // where the program's section says: connect4 and others
)

var hooks = []string{string(XDP), string(TCIngress), string(TCEgress), string(Cgroup)}

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
			return a.at("device").errorf("%s (devices stand under network)", unknown("device", a.Device, names))
		}
		if _, err := a.attach(machine, program, a.Device); err != nil {
			return err
		}
	}
	return nil
}

// attach attaches a program to one device, or to the machine's control group.
func (a *Attachment) attach(machine *topo.Machine, program *Program, device string) (done *topo.Attachment, err error) {
	fits := map[Hook]bool{XDP: program.Type() == ebpf.XDP, TCIngress: program.Type() == ebpf.SchedCLS, TCEgress: program.Type() == ebpf.SchedCLS}
	fits[Cgroup] = strings.HasPrefix(program.Type().String(), "CGroup")
	if !fits[a.Hook] {
		return nil, a.at("hook").errorf("program %s is of type %s, which does not stand at %s", a.Program, program.Type(), a.Hook)
	}
	switch a.Hook {
	case XDP:
		done, err = machine.AttachXDP(program.Program, device, topo.XDPBest)
	case TCIngress:
		done, err = machine.AttachTC(program.Program, device, topo.In, topo.TCBest)
	case TCEgress:
		done, err = machine.AttachTC(program.Program, device, topo.Out, topo.TCBest)
	case Cgroup:
		done, err = machine.AttachCgroup(program.Program, program.Spec.AttachType)
	}
	if err != nil {
		return nil, a.at("hook").errorf("%w", err)
	}
	return done, nil
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
