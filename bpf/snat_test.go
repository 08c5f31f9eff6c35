package bpf_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

// TestSourcePortCollides has two clients use the same port: the backend must see two.
func TestSourcePortCollides(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, at := range []hook{r.xdp(), r.fromNetdev()} {
		for _, port := range []uint16{40000, 50000} { // outside of the range for SNAT, and inside
			t.Run(fmt.Sprintf("%s/port=%d", at.point, port), func(t *testing.T) {
				eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
					require.NoError(t, r.DeleteFlows())
					r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
					one := r.send(t, at, client, node1, message(p, client.at(f, port), node1.at(f, 30080)))
					two := r.send(t, at, silent, node1, message(p, silent.at(f, port), node1.at(f, 30080)))
					if port == 50000 {
						require.Equal(t, port, one.Src().Port(), "a port of the range is kept while it is free")
					}
					require.NotEqual(t, one.Src(), two.Src())

					for to, from := range map[machineName]outcome{"client": one, "silent": two} {
						out := r.send(t, at, node2, node1, message(p, remote.at(f, 80), from.Src()))
						out.became(t, frame(node1, to.machine()), message(p, node1.at(f, 30080), to.machine().at(f, port)))
					}
				})
			})
		}
	}
}

// machineName stands for a machine where a key is needed.
type machineName string

func (n machineName) machine() machine {
	return map[machineName]machine{"client": client, "silent": silent}[n]
}

// TestFlowsMeetAtOneBackend has a pod talk from one port to two services that have the same backend: the answers must be
// told apart, though neither flow needs another source address.
func TestFlowsMeetAtOneBackend(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		require.NoError(t, r.DeleteFlows())
		var seen []outcome
		for _, frontend := range []uint16{80, 81} {
			r.serve(t, p, cluster.at(f, frontend), podB.at(f, 8080))
			seen = append(seen, r.send(t, r.fromA(), podA, lxcA, message(p, podA.at(f, 40000), cluster.at(f, frontend))))
		}
		seen[0].became(t, message(p, podA.at(f, 40000), podB.at(f, 8080)))
		require.Equal(t, podA.addr(f), seen[1].Src().Addr())
		require.NotEqual(t, seen[0].Src(), seen[1].Src())
		for i, frontend := range []uint16{80, 81} {
			out := r.send(t, r.fromB(), podB, lxcB, message(p, podB.at(f, 8080), seen[i].Src()))
			out.became(t, message(p, cluster.at(f, frontend), podA.at(f, 40000)))
		}
	})
}

// TestNodeOfOneFamily has a node without IPv6 be asked to lend its address.
func TestNodeOfOneFamily(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.IPv6 = netip.Addr{} })
	r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(bpf.UDP, podA.at(v6, 40000), world.at(v6, 80))).dropped(t, bpf.SNATNoAddress)
	r.serve(t, bpf.UDP, node1.at(v6, 30080), remote.at(v6, 80))
	r.send(t, r.xdp(), client, node1, message(bpf.UDP, client.at(v6, 40000), node1.at(v6, 30080))).dropped(t, bpf.SNATNoAddress)
}

// TestSourcePortsRunOut gives SNAT four ports.
func TestSourcePortsRunOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 50003} })
	eachFlow(t, balanced, func(t *testing.T, f family, p bpf.Protocol) {
		for name, send := range map[string]func(port uint16) outcome{
			"NodePort in XDP": func(port uint16) outcome {
				return r.send(t, r.xdp(), client, node1, message(p, client.at(f, port), node1.at(f, 30080)))
			},
			"NodePort in TC": func(port uint16) outcome {
				return r.send(t, r.fromNetdev(), client, node1, message(p, client.at(f, port), node1.at(f, 30080)))
			},
			"masquerading": func(port uint16) outcome {
				return r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(p, podA.at(f, port), world.at(f, 80)))
			},
		} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, r.DeleteFlows())
				r.serve(t, p, node1.at(f, 30080), remote.at(f, 80))
				used := map[uint16]bool{}
				for i := range uint16(4) {
					out := send(40000 + i)
					require.Equal(t, bpf.NoDrop, out.event.Reason)
					used[out.Src().Port()] = true
				}
				require.Equal(t, map[uint16]bool{50000: true, 50001: true, 50002: true, 50003: true}, used)

				send(40004).dropped(t, bpf.SNATNoPort)
				require.Equal(t, bpf.NoDrop, send(40003).event.Reason, "running flows go on")

				if name == "masquerading" {
					// Ports are per destination: another one has all of them.
					out := r.send(t, r.toNetdev(r.lxcA), node1, gateway, message(p, podA.at(f, 40000), world.at(f, 81)))
					require.Equal(t, bpf.NoDrop, out.event.Reason)
				}
			})
		}
	})
}
