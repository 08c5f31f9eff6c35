package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/datapath/iptables"
	"github.com/skbench/skbench/harness/datapath/ipvs"
	"github.com/skbench/skbench/harness/datapath/nftables"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// row is a datapath that is compared with others, under the name that results give
// it.
type row struct {
	name     string
	datapath func(traffic) harness.Datapath
}

// everyRow is all that there is; mainRows is one of each kind.
var (
	everyRow = []row{
		{"xdp", eBPF()},
		{"xdp-generic", eBPF(ebpf.GenericXDP())},
		{"tc", eBPF(ebpf.WithoutXDP())},
		{"iptables", func(traffic) harness.Datapath { return iptables.Datapath() }},
		{"nftables", func(traffic) harness.Datapath { return nftables.Datapath() }},
		{"ipvs", func(traffic) harness.Datapath { return ipvs.Datapath() }},
	}
	mainRows = []row{everyRow[0], everyRow[2], everyRow[3]}
)

// eBPF is the datapath without what is for tests, and with room for all flows.
func eBPF(opts ...ebpf.Option) func(traffic) harness.Datapath {
	return func(t traffic) harness.Datapath {
		sizes := bpf.MapSizes{Flows: uint32(max(1<<16, 4*t.flows)), Services: uint32(max(8192, 4*t.services))}
		all := append([]ebpf.Option{ebpf.WithoutTrace(), ebpf.WithoutSockets(), ebpf.WithMapSizes(sizes)}, opts...)
		return ebpf.Datapath(all...)
	}
}

// lacking says what this machine has not got that the datapath needs, or "".
func lacking(d harness.Datapath) string {
	for _, f := range d.Needs() {
		if finding := f.Check(); finding.State != feature.Yes {
			return fmt.Sprintf("this machine lacks %s: %s", finding.Name, finding.Reason)
		}
	}
	return ""
}

// side is one of the ways that are compared: a wire, and what stands at its end.
type side struct {
	name   string
	params map[string]string // of its results
	wire   *wire
	close  func() error                // of the lab or network behind the wire
	forget func(context.Context) error // every flow that is known behind the wire
}

func (t traffic) params(datapath string) map[string]string {
	params := map[string]string{
		"datapath": datapath, "mode": "inline", "family": family(t.family), "size": strconv.Itoa(t.size),
		"flows": strconv.Itoa(t.flows), "services": strconv.Itoa(t.services), "backend": "remote",
	}
	if t.size == imix {
		params["size"] = "imix"
	}
	if t.local {
		params["backend"] = "local"
	}
	return params
}

func family(f topo.Family) string {
	if f == topo.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// bringUp readies the empty path and then a side for each row. Rows that the machine
// cannot run are left out, and absent tells of each. Sides that are up are returned
// with an error too, to be closed.
func (p plan) bringUp(ctx context.Context, t traffic, rows []row, cpu int, absent func(row, string)) (sides []*side, err error) {
	names, ups := []string{"the empty path"}, []func() (*side, error){func() (*side, error) { return emptyPath(ctx, t, cpu) }}
	for _, row := range rows {
		datapath := row.datapath(t)
		if reason := lacking(datapath); reason != "" {
			absent(row, reason)
			continue
		}
		names = append(names, row.name)
		ups = append(ups, func() (*side, error) { return throughDatapath(ctx, row.name, datapath, t, cpu) })
	}
	p.say("bringing up " + strings.Join(names, ", "))
	return warmedUp(ctx, ups)
}

// warmedUp brings sides up and shows that each forwards. Sides that are up are returned with
// an error too, to be closed.
func warmedUp(ctx context.Context, ups []func() (*side, error)) (sides []*side, err error) {
	if sides, err = atOnce(ups); err != nil {
		return sides, err
	}
	for _, s := range sides {
		if err := s.warmUp(ctx); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

// atOnce brings up so many at a time as there are CPUs, since most of it is waiting for the
// kernel. Those that are up are returned in their order, with an error too, to be closed.
func atOnce[S any](ups []func() (S, error)) (up []S, err error) {
	all, ok := make([]S, len(ups)), make([]bool, len(ups))
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, bringUp := range ups {
		group.Go(func() (err error) {
			all[i], err = bringUp()
			ok[i] = err == nil
			return err
		})
	}
	err = group.Wait()
	for i := range all {
		if ok[i] {
			up = append(up, all[i])
		}
	}
	return up, err
}

// generatorAlone is the wire without a way back: the NIC under test drops every frame.
func generatorAlone(ctx context.Context, t traffic, cpu int) (*side, error) {
	network, err := topo.Up(ctx, t.topology())
	if err != nil {
		return nil, err
	}
	s := &side{name: "generator", params: t.params("generator"), close: func() error { network.Close(); return nil }}
	if s.wire, err = newWire(network, t, firstNodePort, cpu); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.wire.dropAtOnce(network); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	delete(s.params, "datapath")
	return s, nil
}

// emptyPath is nothing but the wire: the NIC under test sends every frame back, or
// into the pod.
func emptyPath(ctx context.Context, t traffic, cpu int) (*side, error) {
	network, err := topo.Up(ctx, t.topology())
	if err != nil {
		return nil, err
	}
	s := &side{
		name: "empty", params: t.params("empty"),
		close:  func() error { network.Close(); return nil },
		forget: func(context.Context) error { return nil },
	}
	if s.wire, err = newWire(network, t, firstNodePort, cpu); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.wire.bounce(network, t); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// throughDatapath has node port services whose backends are pods on another node,
// which the tester stands in for, or one on the node itself.
func throughDatapath(ctx context.Context, name string, d harness.Datapath, t traffic, cpu int) (*side, error) {
	lab, err := harness.New(ctx, t.topology(), d, harness.Unobserved())
	if err != nil {
		return nil, fmt.Errorf("bench: the %s side: %w", name, err)
	}
	s := &side{name: name, params: t.params(name), close: lab.Close, forget: lab.Forget}
	if err := lab.Serve(ctx, t.served()); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.wire, err = newWire(lab.Network(), t, backendPort, cpu); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// warmUp makes the datapath know every flow, and shows that it works at all. Of the
// very first packets some are lost where the node has to find its pod.
func (s *side) warmUp(ctx context.Context) error {
	if _, err := s.wire.once(ctx); err != nil {
		return err
	}
	got, err := s.wire.saturate(ctx, 10*time.Millisecond)
	if err != nil {
		return err
	}
	if err := got.loss(); err != nil {
		return fmt.Errorf("bench: the %s side does not forward: %w", s.name, err)
	}
	return nil
}

func (s *side) Close() error { return errors.Join(s.wire.Close(), s.close()) }

func closeAll[C io.Closer](all []C) (err error) {
	for _, c := range all {
		err = errors.Join(err, c.Close())
	}
	return err
}
