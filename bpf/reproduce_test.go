package bpf_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/model"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

// A played thing is one of a generated sequence: a change of state, or a packet.
type played struct {
	change func(*rig) error // by the agent; nil: a packet

	at      place
	in      model.Flow
	frame   []byte
	cookie  uint64
	fate    model.Fate // what was right, as the model had it before
	out     model.Flow
	certain bool
	opens   bool                      // a flow
	flows   int                       // that there were before
	known   map[model.Flow]model.Flow // they, if they are few: both directions, as packets arrive, and as they leave
}

// A place is where packets meet a program, and what a suite calls it.
type place struct {
	hook                     func(*rig) hook
	object, program, context string
}

var (
	atXDP        = place{(*rig).xdp, "xdp_bpfel.o", "xdp_entry", "{ingress: nic}"}
	atFromNetdev = place{(*rig).fromNetdev, "host_bpfel.o", "from_netdev", "{ingress: nic, device: nic}"}
	atFromA      = place{(*rig).fromA, "lxc_bpfel.o", "from_container", "{ingress: lxc-a, device: lxc-a}"}
	atFromB      = place{(*rig).fromB, "lxc_bpfel.o", "from_container", "{ingress: lxc-b, device: lxc-b}"}
)

// reproduce writes a suite into a folder ("": that for temporary files) that does what a sequence did, up to its last packet, of which it wants what is right. It plays the sequence
// once more to learn what lay in the maps. A suite knows the programs of one object: what those of others, and the agent, changed on the
// way, it puts into the maps.
func reproduce(t testing.TB, folder string, sequence []played) (name, text string) {
	t.Helper()
	for len(sequence) > 0 && sequence[len(sequence)-1].change != nil {
		sequence = sequence[:len(sequence)-1]
	}
	if len(sequence) == 0 {
		return "", ""
	}
	last := sequence[len(sequence)-1]
	r := newRig(t)
	out := &strings.Builder{}
	file, err := os.CreateTemp(folder, "skbench-generated-*.yaml")
	require.NoError(t, err)
	defer file.Close()
	fmt.Fprintf(out, "extends: %s\nobject: %s\nprogram: %s\n", from(t, file.Name(), "testdata/node1.yaml"), from(t, file.Name(), objectFile(last.at.object)), last.at.program)
	fmt.Fprintf(out, "map_sizes: {ct: 1024, frontends: %d, leads_to: %d, services: %d, slots: %d, backends: %d}\n", smallMaps.Services, 2*smallMaps.Services, 2*smallMaps.Services, smallMaps.Slots, smallMaps.Backends)
	fmt.Fprintf(out, "network:\n  neighbours:\n")
	for _, m := range []machine{node2, client, gateway} {
		fmt.Fprintf(out, "    - {device: nic, address: %q, mac: %q}\n    - {device: nic, address: %q, mac: %q}\n", m.ipv4, m.mac, m.ipv6, m.mac)
	}
	fmt.Fprintf(out, "maps: {frontends: [], leads_to: [], services: [], slots: [], backends: []}\nvectors:\n  - name: generated\n    steps:\n")
	known := contents(t, r)
	for i, p := range sequence {
		if p.change != nil {
			require.NoError(t, p.change(r))
			continue
		}
		now := contents(t, r)
		code, data := r.meet(t, p)
		if p.at.object != last.at.object {
			continue
		}
		fmt.Fprintf(out, "      - program: %s\n        context: %s\n        packet: {hex: %x} # %s\n", p.at.program, p.at.context, p.frame, p.in)
		writeChanges(out, known, now)
		out.WriteString("        want: " + p.want(t, i == len(sequence)-1, code, data) + "\n")
		known = contents(t, r)
	}
	_, err = file.WriteString(out.String())
	require.NoError(t, err)
	return file.Name(), out.String()
}

// TestSequenceAsASuite has the suite of a sequence that is right pass, and fail once something else is said to be right.
func TestSequenceAsASuite(t *testing.T) {
	t.Parallel()
	for _, last := range []place{atXDP, atFromA} {
		t.Run(last.program, func(t *testing.T) {
			g := newGenerated(t, newRig(t))
			g.ingress = "XDP"
			for _, f := range families {
				frontend := model.Frontend{Addr: node1.at(f, 30080), Protocol: uint8(bpf.TCP)}
				backend := podA.at(f, 8080)
				g.change(func(r *rig) error {
					return r.PutService(bpf.Service{Frontend: raw(frontend), Backends: at(backend), External: true})
				})
				g.node.Serve(frontend, backend)
				request := model.Flow{Src: client.at(f, 40000), Dst: frontend.Addr, Protocol: frontend.Protocol}
				g.send(nil, client, request)
				if last.program == atXDP.program {
					g.send(nil, client, request)
					continue
				}
				answer, _ := g.node.Answer(request)
				g.send(nil, podA, answer)
			}
			failed := func() int {
				file, text := reproduce(t, t.TempDir(), g.sequence)
				results := vector.RunFiles(t.Context(), []string{file}, vector.Options{}, nil)
				require.NoError(t, results[0].Err, text)
				return results[0].Failed()
			}
			require.Zero(t, failed())
			wrong := &g.sequence[len(g.sequence)-1]
			wrong.out.Dst = client.at(v6, 40001)
			require.Equal(t, 1, failed())
		})
	}
}

// from is the path of a file of this folder from where another lies.
func from(t testing.TB, other, name string) string {
	t.Helper()
	absolute, err := filepath.Abs(name)
	require.NoError(t, err)
	relative, err := filepath.Rel(filepath.Dir(other), absolute)
	require.NoError(t, err)
	return relative
}

// meet runs a packet without looking at what becomes of it.
func (r *rig) meet(t testing.TB, p played) (code uint32, data []byte) {
	t.Helper()
	at := p.at.hook(r)
	options := &ebpf.RunOptions{Data: p.frame, DataOut: make([]byte, len(p.frame)+256), Context: at.context(len(p.frame))}
	r.ns.try(t, func() (err error) {
		code, err = at.program.Run(options)
		return err
	})
	data = options.DataOut
	if at.point == bpf.AtXDP && len(data) == len(p.frame)+handoffSize {
		data = data[handoffSize:]
	}
	return code, data
}

// want is what the suite wants of a packet: what became of it, as that was right, but of the last what is right.
func (p *played) want(t testing.TB, last bool, code uint32, data []byte) string {
	t.Helper()
	kind := ebpf.SchedCLS
	if p.at.object == atXDP.object {
		kind = ebpf.XDP
	}
	if !last {
		verdict := vector.VerdictOf(kind, code)
		became, err := packet.Decode(data)
		if err != nil || !became.Src().IsValid() || bytes.Equal(data, p.frame) {
			return fmt.Sprintf("{verdict: %s}", verdict)
		}
		return fmt.Sprintf("{verdict: %s, packet: {%s}}", verdict, p.layers(t, model.Flow{Src: became.Src(), Dst: became.Dst(), Protocol: p.in.Protocol}))
	}
	pass, send := "XDP_PASS", "XDP_TX"
	if kind != ebpf.XDP {
		pass, send = "TC_ACT_OK", "TC_ACT_REDIRECT"
	}
	kept := "maps: {ct: {" + p.conntrack() + "}}"
	switch {
	case !p.certain:
		return "{" + kept + "} # any of the service's backends"
	case p.fate == model.Untouched:
		return fmt.Sprintf("{verdict: %s, packet: unchanged, %s}", pass, kept)
	case p.fate == model.Dropped: // the client is told
		return fmt.Sprintf("{verdict: %s, packet: {%s: {dst: %q}}, %s}", send, ipOf(p.in.Src.Addr()), p.in.Src.Addr(), kept)
	case p.fate == model.Local && kind == ebpf.XDP:
		send = pass
	}
	return fmt.Sprintf("{verdict: %s, packet: {%s}, %s}", send, p.layers(t, p.out), kept)
}

// conntrack is what has to be there when the packet is through.
func (p *played) conntrack() string {
	if p.known == nil || p.opens && (!p.certain || p.out.Src.Port() == 0) {
		entries := 2 * p.flows
		if p.opens {
			entries += 2
		}
		return fmt.Sprintf("count: %d", entries)
	}
	after := maps.Clone(p.known)
	if p.opens {
		after[p.in], after[p.out.Reverse()] = p.out, p.in.Reverse()
	}
	var entries []string
	for in, out := range after {
		entries = append(entries, fmt.Sprintf("{key: {%s, proto: %d}, value: {%s}}", ends(in), in.Protocol, ends(out)))
	}
	slices.Sort(entries)
	return "exact: true, entries: [" + strings.Join(entries, ", ") + "]"
}

func ends(f model.Flow) string {
	return fmt.Sprintf("saddr: %q, daddr: %q, sport: %d, dport: %d", f.Src.Addr(), f.Dst.Addr(), f.Src.Port(), f.Dst.Port())
}

func ipOf(addr netip.Addr) string {
	if addr.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// layers are those of the packet as it leaves; a port 0 may be any.
func (p *played) layers(t testing.TB, out model.Flow) string {
	t.Helper()
	l4 := strings.ToLower(bpf.Protocol(p.in.Protocol).String())
	if out.Src.Port() == 0 {
		return fmt.Sprintf("%s: {src: %q}, %s: {dst: %q}", ipOf(out.Src.Addr()), out.Src.Addr(), l4, out.Dst)
	}
	as, err := packet.Build(packet.Layers{message(bpf.Protocol(p.in.Protocol), out.Src, out.Dst)}, packet.Defaults{Cookie: p.cookie})
	require.NoError(t, err)
	checksum := uint16(0)
	if tcp, ok := as.TCP(); ok {
		checksum = tcp.Checksum
	} else if udp, ok := as.UDP(); ok {
		checksum = udp.Checksum
	}
	return fmt.Sprintf("%s: {src: %q, dst: %q, checksum: %d}", l4, out.Src, out.Dst, checksum)
}

// contents are the entries of those maps that sequences change; of arrays, those that are not zero.
func contents(t testing.TB, r *rig) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for name, m := range map[string]*ebpf.Map{
		"ct": r.Maps.CT, "frontends": r.Maps.Frontends, "leads_to": r.Maps.LeadsTo, "services": r.Maps.Services, "slots": r.Maps.Slots, "backends": r.Maps.Backends,
	} {
		all[name] = map[string]string{}
		for key, value := range rawEntries(t, m) {
			if m.Type() != ebpf.Array || strings.Trim(value, "\x00") != "" {
				all[name][key] = value
			}
		}
	}
	return all
}

func rawEntries(t testing.TB, m *ebpf.Map) map[string]string {
	t.Helper()
	all := map[string]string{}
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		all[string(key)] = string(value)
	}
	require.NoError(t, entries.Err())
	return all
}

// writeChanges writes what leads from one state of the maps to another.
func writeChanges(out *strings.Builder, before, now map[string]map[string]string) {
	var changes strings.Builder
	for _, name := range []string{"backends", "slots", "services", "leads_to", "frontends", "ct"} {
		var entries []string
		for key, value := range now[name] {
			if before[name][key] != value {
				entries = append(entries, fmt.Sprintf("{key: {hex: %x}, value: {hex: %x}}", key, value))
			}
		}
		for key := range before[name] {
			if _, there := now[name][key]; !there {
				entries = append(entries, fmt.Sprintf("{key: {hex: %x}, absent: true}", key))
			}
		}
		if entries != nil {
			fmt.Fprintf(&changes, "          %s:\n            - %s\n", name, strings.Join(entries, "\n            - "))
		}
	}
	if changes.Len() > 0 {
		fmt.Fprintf(out, "        maps:\n%s", &changes)
	}
}
