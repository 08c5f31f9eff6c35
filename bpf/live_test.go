package bpf_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// live is node 1 with its pod a, and the client, on a real network: for what BPF_PROG_RUN cannot show.
type live struct {
	*bpf.Node
	network           *topo.Network
	node, pod, client *topo.Machine
	events            *ringbuf.Reader
}

func newLive(t *testing.T, offloads bool) *live {
	topology := topo.Topology{Offloads: offloads}
	topology.AddNode("node1")
	topology.AddPod("a-on-node1", "node1")
	topology.AddHost("client")
	network, err := topo.Up(t.Context(), topology)
	require.NoError(t, err)
	t.Cleanup(func() { network.Close() })

	l := &live{network: network}
	l.node, _ = network.Machine("node1")
	l.pod, _ = network.Machine("a-on-node1")
	l.client, _ = network.Machine("client")
	nic, err := l.node.Device("eth0")
	require.NoError(t, err)
	lxc, err := l.node.Device("lxc-a")
	require.NoError(t, err)

	config := goodConfig() // the addresses of topo are those of the other tests
	config.NIC, config.NICMAC = nic.Index, nic.MAC
	l.Node, err = bpf.Load(config, bpf.Options{Sizes: smallMaps})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	l.events, err = ringbuf.NewReader(l.Maps.Events)
	require.NoError(t, err)
	t.Cleanup(func() { l.events.Close() })

	pod := topology.Pods[0]
	require.NoError(t, l.PutEndpoint(bpf.Endpoint{Device: lxc.Index, MAC: pod.MAC, DeviceMAC: lxc.MAC, IPv4: pod.IPv4, IPv6: pod.IPv6}))
	for _, a := range []struct {
		program   *ebpf.Program
		device    string
		direction topo.Direction
	}{
		{l.Programs.FromContainer, "lxc-a", topo.In}, {l.Programs.ToContainer, "lxc-a", topo.Out},
		{l.Programs.FromNetdev, "eth0", topo.In}, {l.Programs.ToNetdev, "eth0", topo.Out},
	} {
		attachment, err := l.node.AttachTC(a.program, a.device, a.direction, topo.TCBest)
		require.NoError(t, err)
		t.Cleanup(func() { attachment.Close() })
	}
	attachment, err := l.node.AttachXDP(l.Programs.XDPEntry, "eth0", topo.XDPDriver)
	require.NoError(t, err)
	t.Cleanup(func() { attachment.Close() })
	return l
}

// expect waits for the event of a packet at a program.
func (l *live) expect(t *testing.T, cookie uint64, at bpf.Point) bpf.Event {
	t.Helper()
	l.events.SetDeadline(time.Now().Add(patience))
	for {
		record, err := l.events.Read()
		require.NoError(t, err, "packet %d at %s", cookie, at)
		event, err := bpf.ReadEvent(record.RawSample)
		require.NoError(t, err)
		if number, found := packet.FindCookie(event.Data); found && number == cookie && event.Point == at {
			return event
		}
	}
}

// TestXDPTellsTC takes the forward half of a masqueraded flow away: the answer that XDP has translated looks like a packet
// from the world to the pod, and without XDP's word TC would remember it as one.
func TestXDPTellsTC(t *testing.T) {
	t.Parallel()
	l := newLive(t, false)
	require.NoError(t, l.network.Mute())
	for cookie, f := range map[uint64]family{1: v4, 2: v6} {
		require.NoError(t, l.DeleteFlows())
		request, err := packet.Build(packet.UDP{Src: podA.at(f, 40000), Dst: client.at(f, 53)},
			packet.Defaults{SrcMAC: podA.mac, DstMAC: lxcA.mac, Cookie: cookie})
		require.NoError(t, err)
		require.NoError(t, l.pod.Inject("eth0", request.Data))
		translated, err := packet.Decode(l.expect(t, cookie, bpf.AtToNetdev).Data)
		require.NoError(t, err)

		forward := bpf.Tuple{Src: podA.at(f, 40000), Dst: client.at(f, 53), Protocol: bpf.UDP}
		require.NoError(t, l.EvictFlow(forward))
		reply, err := packet.Build(packet.UDP{Src: client.at(f, 53), Dst: translated.Src()},
			packet.Defaults{SrcMAC: client.mac, DstMAC: node1.mac, Cookie: cookie + 10})
		require.NoError(t, err)
		require.NoError(t, l.client.Inject("eth0", reply.Data))
		require.Equal(t, bpf.Pass, l.expect(t, cookie+10, bpf.AtXDP).Verdict)
		require.Equal(t, bpf.RedirectPeer, l.expect(t, cookie+10, bpf.AtFromNetdev).Verdict)

		flows, err := l.Flows()
		require.NoError(t, err)
		require.Len(t, flows, 1, "%s: %s", f, flows)
		require.True(t, flows[0].Reply)
	}
}

// TestPartialChecksums has a pod's kernel leave its checksums to the hardware, of which only the node's NIC has none: what
// it then computes is right only if translation has kept the partial checksum right.
func TestPartialChecksums(t *testing.T) {
	t.Parallel()
	l := newLive(t, true)
	l.completeChecksums(t, "eth0")

	arrived := l.captureAt(t, "client")
	for _, f := range families {
		service := cluster.at(f, 80)
		for _, p := range balanced {
			backend := l.echoServer(t, p, client.addr(f))
			require.NoError(t, l.PutService(bpf.Service{Frontend: bpf.Frontend{Addr: service, Protocol: p}, Backends: at(backend)}))
			for name, to := range map[string]netip.AddrPort{"to a service": service, "masqueraded": backend} {
				t.Run(fmt.Sprintf("%s/%s/%s", f, p, name), func(t *testing.T) {
					before := len(arrived())
					l.talk(t, p, to)
					frames := arrived()[before:]
					require.NotEmpty(t, frames)
					for _, frame := range frames {
						require.NoError(t, packet.VerifyChecksums(frame), "%s", frame)
						require.Equal(t, node1.addr(f), frame.Src().Addr(), "%s", frame)
					}
				})
			}
		}
	}
}

// TestAnswerToPartialChecksum has a pod's kernel leave a checksum to the hardware in a packet that the programs answer: the
// kernel must not write that checksum into the answer.
func TestAnswerToPartialChecksum(t *testing.T) {
	t.Parallel()
	l := newLive(t, true)
	l.completeChecksums(t, "lxc-a")
	answers := make(chan *packet.Packet, 64)
	capture, err := l.network.Capture(func(frame topo.Frame) {
		p, _ := packet.Decode(frame.Data)
		for _, f := range families {
			if frame.Device.Machine == "a-on-node1" && frame.Direction == topo.In && packet.Match(timeExceeded(f, lxcA, podA), p) == nil {
				answers <- p
			}
		}
	})
	require.NoError(t, err)
	t.Cleanup(func() { capture.Close() })
	for _, f := range families {
		for _, p := range balanced {
			require.NoError(t, l.PutService(bpf.Service{
				Frontend: bpf.Frontend{Addr: cluster.at(f, 80), Protocol: p}, Backends: at(client.at(f, 80)),
			}))
			t.Run(fmt.Sprintf("%s/%s", f, p), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go l.send(ctx, p, cluster.at(f, 80))
				answer := <-answers
				var wrong *packet.ChecksumError
				if errors.As(packet.VerifyChecksums(answer), &wrong) {
					// The quoted checksum is as the pod left it; the others are the programs'.
					require.Contains(t, []string{"TCP", "UDP"}, wrong.Layer, "%s: %s", answer, wrong)
				}
			})
		}
	}
}

// send sends from the pod, with no hop to spare, until it is answered or told to stop.
func (l *live) send(ctx context.Context, p bpf.Protocol, to netip.AddrPort) error {
	oneHop := func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, 1)
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 1)
		})
	}
	return l.pod.Do(func() error {
		dialer := net.Dialer{Control: oneHop}
		conn, err := dialer.DialContext(ctx, map[bpf.Protocol]string{bpf.TCP: "tcp", bpf.UDP: "udp"}[p], to.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("abc"))
		return err
	})
}

// completeChecksums has the node's kernel compute what checksums are missing before a device sends.
func (l *live) completeChecksums(t *testing.T, device string) {
	t.Helper()
	noOffload := exec.Command("ethtool", "-K", device, "tx", "off")
	require.NoError(t, l.node.Start(noOffload))
	require.NoError(t, noOffload.Wait())
}

// captureAt returns what reads the TCP and UDP packets that a machine has received so far.
func (l *live) captureAt(t *testing.T, machine string) func() []*packet.Packet {
	var mu sync.Mutex
	var seen []*packet.Packet
	capture, err := l.network.Capture(func(frame topo.Frame) {
		p, err := packet.Decode(frame.Data)
		if err != nil || frame.Device.Machine != machine || frame.Direction != topo.In || p.Src().Port() == 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, p)
	})
	require.NoError(t, err)
	t.Cleanup(func() { capture.Close() })
	return func() []*packet.Packet {
		require.NoError(t, capture.Sync(t.Context()))
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// echoServer answers on the client machine with what it gets.
func (l *live) echoServer(t *testing.T, p bpf.Protocol, addr netip.Addr) netip.AddrPort {
	var at net.Addr
	require.NoError(t, l.client.Do(func() error {
		if p == bpf.UDP {
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
			if err != nil {
				return err
			}
			t.Cleanup(func() { conn.Close() })
			at = conn.LocalAddr()
			go func() {
				buffer := make([]byte, 2048)
				for {
					n, from, err := conn.ReadFromUDPAddrPort(buffer)
					if err != nil {
						return
					}
					conn.WriteToUDPAddrPort(buffer[:n], from)
				}
			}()
			return nil
		}
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		at = listener.Addr()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				io.Copy(conn, conn)
				conn.Close()
			}
		}()
		return nil
	}))
	return netip.MustParseAddrPort(at.String())
}

// talk sends a few bytes from the pod, of odd number too, and reads them back.
func (l *live) talk(t *testing.T, p bpf.Protocol, to netip.AddrPort) {
	t.Helper()
	var conn net.Conn
	require.NoError(t, l.pod.Do(func() (err error) {
		network := map[bpf.Protocol]string{bpf.TCP: "tcp", bpf.UDP: "udp"}[p]
		conn, err = net.DialTimeout(network, to.String(), patience)
		return err
	}))
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	for _, said := range []string{"ab", "abc"} {
		_, err := conn.Write([]byte(said))
		require.NoError(t, err)
		heard := make([]byte, len(said))
		_, err = io.ReadFull(conn, heard)
		require.NoError(t, err)
		require.Equal(t, said, string(heard))
	}
}
