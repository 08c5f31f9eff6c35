package bpf_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/bpf"
)

func goodConfig() bpf.Config {
	return bpf.Config{
		IPv4: node1.ipv4, IPv6: node1.ipv6, GatewayIPv4: lxcA.ipv4, GatewayIPv6: lxcA.ipv6,
		NIC: 1, NICMAC: node1.mac, Trace: true,
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*bpf.Config){
		"give the node an address":       func(c *bpf.Config) { *c = bpf.Config{NIC: 1, NICMAC: c.NICMAC} },
		"IPv4 is fd00:172:16::1":         func(c *bpf.Config) { c.IPv4 = node1.ipv6 },
		"IPv6 is 172.16.0.1":             func(c *bpf.Config) { c.IPv6 = node1.ipv4 },
		"GatewayIPv4 is":                 func(c *bpf.Config) { c.GatewayIPv4 = lxcA.ipv6 },
		"GatewayIPv6 is":                 func(c *bpf.Config) { c.GatewayIPv6 = lxcA.ipv4 },
		"NIC is 0: give":                 func(c *bpf.Config) { c.NIC = 0 },
		"MTU is -1: give":                func(c *bpf.Config) { c.MTU = -1 },
		"NICMAC: \"02:01\"":              func(c *bpf.Config) { c.NICMAC = net.HardwareAddr{2, 1} },
		"MTU is 68: give 1280":           func(c *bpf.Config) { c.MTU = 68 },
		"SNATPorts 50000-49999":          func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Min: 50000, Max: 49999} },
		"SNATPorts 0-1 is no range: giv": func(c *bpf.Config) { c.SNATPorts = bpf.PortRange{Max: 1} },
	} {
		t.Run(want, func(t *testing.T) {
			config := goodConfig()
			change(&config)
			_, err := bpf.Load(config, bpf.Options{})
			require.ErrorContains(t, err, want)
		})
	}
}

func TestMapThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := bpf.Load(goodConfig(), bpf.Options{Sizes: bpf.MapSizes{EventBytes: 1000}})
	require.ErrorContains(t, err, "map events with 1000 entries")
	_, err = bpf.NewEvents(1000)
	require.ErrorContains(t, err, "ring buffer of 1000 bytes")
}

func TestVerifierRejects(t *testing.T) {
	t.Parallel()
	_, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "broken", Type: ebpf.XDP, Instructions: asm.Instructions{asm.LoadMem(asm.R0, asm.R1, 4096, asm.Word), asm.Return()},
	})
	require.Error(t, err)
	dir := t.TempDir()
	err = bpf.Rejected(err, dir)
	require.NotContains(t, err.Error(), "\n", "one sentence")
	logs, globErr := filepath.Glob(filepath.Join(dir, "*.log"))
	require.NoError(t, globErr)
	require.Len(t, logs, 1)
	require.ErrorContains(t, err, logs[0])
	log, readErr := os.ReadFile(logs[0])
	require.NoError(t, readErr)
	require.Contains(t, string(log), "invalid bpf_context access")
}

// TestNames compares the words of Go with the enums of C.
func TestNames(t *testing.T) {
	t.Parallel()
	for enum, name := range map[string]struct {
		prefix string
		of     func(uint64) fmt.Stringer
	}{
		"drop_reason":  {"DROP_", func(v uint64) fmt.Stringer { return bpf.DropReason(v) }},
		"verdict":      {"VERDICT_", func(v uint64) fmt.Stringer { return bpf.Verdict(v) }},
		"trace_point":  {"POINT_", func(v uint64) fmt.Stringer { return bpf.Point(v) }},
		"session_fate": {"SESSION_", func(v uint64) fmt.Stringer { return bpf.SessionFate(v) }},
		"message_way":  {"MESSAGE_", func(v uint64) fmt.Stringer { return bpf.MessageWay(v) }},
		"ct_state":     {"CT_", func(v uint64) fmt.Stringer { return bpf.State(v) }},
		"entity":       {"ENTITY_", func(v uint64) fmt.Stringer { return bpf.Entity(v) }},
	} {
		t.Run(enum, func(t *testing.T) {
			values, err := bpf.Enumerators(enum)
			require.NoError(t, err)
			for value, c := range values {
				got := strings.ToUpper(strings.ReplaceAll(name.of(value).String(), "-", "_"))
				require.Equal(t, strings.TrimPrefix(c, name.prefix), got)
			}
			beyond := uint64(len(values))
			require.Contains(t, name.of(beyond).String(), fmt.Sprintf("(%d)", beyond))
		})
	}
}

// TestWithoutXDP loads what serves a node whose NIC has no program at XDP: all others, and all maps.
func TestWithoutXDP(t *testing.T) {
	t.Parallel()
	all, err := bpf.Load(goodConfig(), bpf.Options{Sizes: smallMaps})
	require.NoError(t, err)
	defer all.Close()
	without, err := bpf.Load(goodConfig(), bpf.Options{Sizes: smallMaps, WithoutXDP: true})
	require.NoError(t, err)
	defer without.Close()
	require.NotNil(t, all.Programs.XDPEntry)
	require.Nil(t, without.Programs.XDPEntry)
	for name, program := range map[string]*ebpf.Program{
		"from-netdev": without.Programs.FromNetdev, "to-netdev": without.Programs.ToNetdev,
		"from-container": without.Programs.FromContainer, "to-container": without.Programs.ToContainer,
	} {
		require.NotNil(t, program, name)
	}
	require.Len(t, without.Programs.Sockets, len(all.Programs.Sockets))
	require.NotNil(t, without.Maps.Direct)
	require.NotNil(t, without.Maps.Events)
}

func TestNodesShareEvents(t *testing.T) {
	t.Parallel()
	events, err := bpf.NewEvents(1 << 16)
	require.NoError(t, err)
	reader, err := ringbuf.NewReader(events)
	require.NoError(t, err)
	defer reader.Close()

	for range 2 {
		node, err := bpf.Load(goodConfig(), bpf.Options{Sizes: smallMaps, Events: events})
		require.NoError(t, err)
		defer node.Close()
		_, err = node.Programs.ToNetdev.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
		require.NoError(t, err)
	}
	require.NoError(t, events.Close(), "the nodes hold it too")
	require.Equal(t, 2*eventRecord, reader.AvailableBytes())
}

func TestEventsAreLostAndCounted(t *testing.T) {
	t.Parallel()
	node, err := bpf.Load(goodConfig(), bpf.Options{Sizes: bpf.MapSizes{Flows: 64, EventBytes: 4096}})
	require.NoError(t, err)
	defer node.Close()
	const packets, fit = 100, 4096/eventRecord - 1
	_, err = node.Programs.ToNetdev.Run(&ebpf.RunOptions{Data: make([]byte, 64), Repeat: packets})
	require.NoError(t, err)

	lost, err := node.LostEvents()
	require.NoError(t, err)
	require.InDelta(t, packets-fit, lost, 1)
	metrics, err := node.Metrics()
	require.NoError(t, err)
	require.Equal(t, []bpf.Metric{{Point: bpf.AtToNetdev, Verdict: bpf.Pass, Packets: packets, Bytes: 64 * packets}}, metrics)
}

func TestWithoutTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *bpf.Config) { c.Trace = false })
	_, err := r.Programs.XDPEntry.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	require.NoError(t, err)
	require.Zero(t, r.events.AvailableBytes())
	metrics, err := r.Metrics()
	require.NoError(t, err)
	require.Len(t, metrics, 1, "counters run always")
}

func TestReadEvent(t *testing.T) {
	t.Parallel()
	_, err := bpf.ReadEvent(make([]byte, 20))
	require.ErrorContains(t, err, "event of 20 bytes, want 216")
	lying := make([]byte, 216)
	lying[22] = 193 // caplen
	_, err = bpf.ReadEvent(lying)
	require.ErrorContains(t, err, "193 bytes of data")
}

// BenchmarkLoad tells what a node's programs cost to load, and the verifier's instructions for each.
func BenchmarkLoad(b *testing.B) {
	for _, with := range []struct{ trace, dsr bool }{{false, false}, {true, false}, {true, true}} {
		b.Run(fmt.Sprintf("trace=%t/dsr=%t", with.trace, with.dsr), func(b *testing.B) {
			config := goodConfig()
			config.Trace, config.DSR = with.trace, with.dsr
			for b.Loop() {
				node, err := bpf.Load(config, bpf.Options{Sizes: smallMaps})
				require.NoError(b, err)
				b.StopTimer()
				programs := map[string]*ebpf.Program{
					"xdp": node.Programs.XDPEntry, "from-netdev": node.Programs.FromNetdev, "to-netdev": node.Programs.ToNetdev,
					"from-container": node.Programs.FromContainer, "to-container": node.Programs.ToContainer,
				}
				for _, s := range node.Programs.Sockets {
					programs[s.Place.String()] = s.Program
				}
				for name, program := range programs {
					info, err := program.Info()
					require.NoError(b, err)
					if verified, ok := info.VerifiedInstructions(); ok {
						b.ReportMetric(float64(verified), name+"-insns")
					}
				}
				require.NoError(b, node.Close())
				b.StartTimer()
			}
		})
	}
}
