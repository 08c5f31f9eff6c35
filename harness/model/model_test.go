package model_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/model"
)

var (
	client   = netip.MustParseAddrPort("172.31.0.1:40000")
	frontend = netip.MustParseAddrPort("172.16.0.1:30080")
	pod      = netip.MustParseAddrPort("10.0.1.1:8080")
	remote   = netip.MustParseAddrPort("10.0.2.1:8080")
	stranger = netip.MustParseAddrPort("10.0.2.9:8080")
	snat     = netip.MustParseAddrPort("172.16.0.1:50000")
)

func newNode(backends ...netip.AddrPort) *model.Node {
	n := &model.Node{
		Addrs: []netip.Addr{frontend.Addr()}, Pods: []netip.Addr{pod.Addr()}, MinPort: 49152, MaxPort: 65535,
	}
	n.Serve(model.Frontend{Addr: frontend, Protocol: 6}, backends...)
	return n
}

func flow(src, dst netip.AddrPort) model.Flow { return model.Flow{Src: src, Dst: dst, Protocol: 6} }

func TestFirstPacket(t *testing.T) {
	t.Parallel()
	in := flow(client, frontend)
	for name, c := range map[string]struct {
		backends []netip.AddrPort
		fate     model.Fate
		out      model.Flow
		wrong    string // empty: right
	}{
		"remote":                         {[]netip.AddrPort{remote}, model.Remote, flow(snat, remote), ""},
		"local":                          {[]netip.AddrPort{pod, remote}, model.Local, flow(client, pod), ""},
		"none":                           {nil, model.Dropped, model.Flow{}, ""},
		"none, let pass":                 {nil, model.Untouched, in, "must be dropped"},
		"untouched":                      {[]netip.AddrPort{remote}, model.Untouched, in, "the backends are"},
		"not a backend":                  {[]netip.AddrPort{remote}, model.Remote, flow(snat, stranger), "the backends are"},
		"remote, client's address":       {[]netip.AddrPort{remote}, model.Remote, flow(client, remote), "an address of the node"},
		"remote, a port not reserved":    {[]netip.AddrPort{remote}, model.Remote, flow(frontend, remote), "the source port"},
		"remote, to the stack":           {[]netip.AddrPort{remote}, model.Local, flow(snat, remote), "on another node"},
		"local, the node's address":      {[]netip.AddrPort{pod}, model.Local, flow(snat, pod), "the client's address"},
		"local, another port":            {[]netip.AddrPort{pod}, model.Local, flow(netip.AddrPortFrom(client.Addr(), 50000), pod), "must be kept"},
		"local, sent to another machine": {[]netip.AddrPort{pod}, model.Remote, flow(client, pod), "a pod of this node"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newNode(c.backends...).Saw(in, c.fate, c.out)
			if c.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wrong)
		})
	}
}

func TestFlowsStand(t *testing.T) {
	t.Parallel()
	n := newNode(remote)
	in, out := flow(client, frontend), flow(snat, remote)
	require.NoError(t, n.Saw(in, model.Remote, out))
	n.Serve(model.Frontend{Addr: frontend, Protocol: 6}, stranger)
	require.NoError(t, n.Saw(in, model.Remote, out), "a running flow keeps its backend")
	require.ErrorContains(t, n.Saw(in, model.Remote, flow(snat, stranger)), "its flow is remote")
	require.ErrorContains(t, n.Saw(in, model.Dropped, model.Flow{}), "its flow is remote")

	answer, known := n.Answer(in)
	require.True(t, known)
	require.Equal(t, flow(remote, snat), answer)
	require.NoError(t, n.Saw(answer, model.Remote, in.Reverse()))
	require.ErrorContains(t, n.Saw(answer, model.Untouched, answer), "its flow is remote")

	other := flow(netip.MustParseAddrPort("172.31.0.2:40000"), frontend)
	n.Serve(model.Frontend{Addr: frontend, Protocol: 6}, remote)
	require.ErrorContains(t, n.Saw(other, model.Remote, out), "answers to it are those of")

	require.Equal(t, []model.Flow{in}, n.Flows())
	n.Forget(answer)
	require.Empty(t, n.Flows())
	require.NoError(t, n.Saw(other, model.Remote, out), "the port is free again")
}

// A client that reaches one local backend through two frontends from one port.
func TestClientPortIsTaken(t *testing.T) {
	t.Parallel()
	n := newNode(pod)
	second := netip.AddrPortFrom(frontend.Addr(), 30081)
	n.Serve(model.Frontend{Addr: second, Protocol: 6}, pod)
	require.NoError(t, n.Saw(flow(client, frontend), model.Local, flow(client, pod)))
	require.ErrorContains(t, n.Saw(flow(client, second), model.Local, flow(client, pod)), "answers to it are those of")
	require.NoError(t, n.Saw(flow(client, second), model.Local, flow(netip.AddrPortFrom(client.Addr(), 50000), pod)))
}

func TestWithdrawn(t *testing.T) {
	t.Parallel()
	n := newNode(remote)
	n.Withdraw(model.Frontend{Addr: frontend, Protocol: 6})
	require.NoError(t, n.Saw(flow(client, frontend), model.Untouched, flow(client, frontend)))
	require.ErrorContains(t, n.Saw(flow(client, frontend), model.Remote, flow(snat, remote)), "no service and no flow")
}

// TestRight has a datapath do what is right, as the model says it before.
func TestRight(t *testing.T) {
	t.Parallel()
	in := flow(client, frontend)
	for name, c := range map[string]struct {
		backends []netip.AddrPort
		fate     model.Fate
		out      model.Flow
	}{
		"remote": {[]netip.AddrPort{remote}, model.Remote, flow(netip.AddrPortFrom(snat.Addr(), 0), remote)},
		"local":  {[]netip.AddrPort{pod}, model.Local, flow(client, pod)},
		"none":   {nil, model.Dropped, model.Flow{}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(c.backends...)
			fate, out, certain := n.Right(in)
			require.True(t, certain)
			require.Equal(t, c.fate, fate)
			require.Equal(t, c.out, out)
			if fate == model.Dropped {
				return
			}
			if out.Src.Port() == 0 {
				out.Src = snat
			}
			require.NoError(t, n.Saw(in, fate, out))
			fate, answer, _ := n.Right(out.Reverse())
			require.Equal(t, model.Remote, fate)
			require.Equal(t, in.Reverse(), answer)
		})
	}
	_, _, certain := newNode(pod, remote).Right(in)
	require.False(t, certain, "a choice")
	fate, out, _ := newNode(pod).Right(flow(client, stranger))
	require.Equal(t, model.Untouched, fate)
	require.Equal(t, flow(client, stranger), out)
}
