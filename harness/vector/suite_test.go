package vector_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/harness/vector"
)

// A suite in Go says the same as one in YAML.
func TestSuitesInGo(t *testing.T) {
	addr := netip.MustParseAddr
	ask := vector.Packet{Layers: packet.Layers{packet.UDP{
		Src: netip.MustParseAddrPort("10.0.0.1:53"), Dst: netip.MustParseAddrPort("10.0.0.2:53"),
	}}}
	vector.RunSuite(t, &vector.Suite{
		Name: "in Go", Object: "testdata/tables_bpfel.o", Program: "change",
		Network: vector.Network{Devices: []vector.Device{{Name: "nic0"}}},
		Maps: vector.Contents{
			"by_address": {Entries: []vector.Entry{{Key: addr("10.0.0.1"), Value: vector.Fields{
				"mac": net.HardwareAddr{2, 0, 0, 0, 0, 7}, "vlan": 100, "device": "nic0", "up": true, "numbers": []uint64{1, 2},
			}}}},
			"by_owner": {Entries: []vector.Entry{{Key: []byte{10, 0, 0, 1}, Map: &vector.Table{Entries: []vector.Entry{{Key: 53, Value: 10}}}}}},
			"prefixes": {Entries: []vector.Entry{{Key: netip.MustParsePrefix("10.0.0.0/8"), Value: 1}}},
		},
		Vectors: vector.Vectors{
			{Name: "what a lookup gives", Step: vector.Step{Program: "look", Packet: ask, Want: vector.Want{Verdict: "11"}}},
			{Name: "what changes", Step: vector.Step{Packet: ask, Want: vector.Want{
				Verdict: "XDP_PASS",
				Packet:  vector.Packet{Unchanged: true},
				Maps: vector.Contents{"by_address": {Entries: []vector.Entry{{Key: addr("10.0.0.1"), Value: vector.Fields{
					"port": vector.Fields{"be": 443}, "colour": "GREEN", "vlan": 100, "device": 1000, "mac": "02:00:00:00:00:07",
				}}}}},
			}}},
		},
	})
}

// writePcap writes a capture of frames.
func writePcap(t *testing.T, path string, frames ...[]byte) {
	t.Helper()
	var out []byte
	for _, word := range []uint32{0xa1b2c3d4, 2 | 4<<16, 0, 0, 65535, 1} {
		out = binary.LittleEndian.AppendUint32(out, word)
	}
	for _, f := range frames {
		for _, word := range []uint32{1, 2, uint32(len(f)), uint32(len(f))} {
			out = binary.LittleEndian.AppendUint32(out, word)
		}
		out = append(out, f...)
	}
	require.NoError(t, os.WriteFile(path, out, 0o600))
}

// in is a suite that lies in a folder, on an object of testdata.
func in(t *testing.T, folder, text string) *vector.Suite {
	t.Helper()
	objects, err := filepath.Abs("testdata")
	require.NoError(t, err)
	suites, err := vector.ReadSuites(filepath.Join(folder, "x.yaml"), []byte(strings.ReplaceAll(text, "object: ", "object: "+objects+"/")))
	require.NoError(t, err)
	return suites[0]
}

func TestFramesOfCaptures(t *testing.T) {
	folder := t.TempDir()
	arp, err := packet.Build(packet.WhoHas(netip.MustParseAddr("10.0.0.1")), packet.Defaults{SrcIPv4: netip.MustParseAddr("10.0.0.2")})
	require.NoError(t, err)
	writePcap(t, filepath.Join(folder, "few.pcap"), frame(t, 1, 60), frame(t, 2, 80), arp.Data, frame(t, 4, 100))
	run := func(text string) *vector.Result {
		return in(t, folder, "object: mirror_bpfel.o\nprogram: mirror\nvectors:\n"+text).Run(t.Context(), vector.Options{Artifacts: folder})
	}

	result := run(`
  - {packet: {frame: {file: few.pcap}}, want: {verdict: XDP_TX, packet: {ipv4: {length: 46}, udp: {dst: 1}}}}
  - {packet: {frame: {file: few.pcap, number: 4}}, want: {packet: {udp: {dst: 4}}}}
  - {packet: {frame: {file: few.pcap, number: 2}}, want: {packet: {udp: {dst: 2}}}}
  - {foreach: {file: few.pcap, first: 1, last: 2}, want: {verdict: XDP_TX}}
  - {program: label, foreach: {file: few.pcap}, context: {ingress: 1}, want: {verdict: XDP_PASS, packet: unchanged}}
  - {program: once, foreach: {file: few.pcap, first: 2, last: 2}, want: {verdict: XDP_TX}}
  - {packet: {hex: 0000000000000000000000000000}, want: {packet: {frame: {file: few.pcap, number: 2}}}}
  - {foreach: {file: few.pcap}, want: {verdict: XDP_TX}}
`)
	require.NoError(t, result.Err)
	require.Equal(t, 2, result.Failed())
	require.Nil(t, result.Vectors[5].Failure)
	require.Equal(t, frame(t, 2, 80), result.Vectors[6].Failure.Want)
	require.Equal(t, 3, result.Vectors[7].Failure.Run, "the ARP request passes")
	require.Equal(t, arp.Data, result.Vectors[7].Failure.Sent)

	require.ErrorContains(t, run("  - {packet: {frame: {file: few.pcap, number: 5}}}").Err, "few.pcap has 4 frames, and no frame 5")
	require.ErrorContains(t, run("  - {foreach: {file: few.pcap, first: 5}}").Err, "few.pcap has none of these frames")
	require.ErrorContains(t, run("  - {foreach: {file: few.pcap}, packet: {hex: 00}}").Err, "a step has a packet or foreach, not both")

	content, err := os.ReadFile(filepath.Join(folder, "few.pcap"))
	require.NoError(t, err)
	binary.LittleEndian.PutUint32(content[24+12:], 61)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "few.pcap"), content, 0o600))
	require.ErrorContains(t, run("  - {foreach: {file: few.pcap}}").Err, "frame 1 holds 60 of its 61 bytes")
}

// Frames of a capture have contexts of their own, for each is of another length, also when they are measured.
func TestFramesAreTimed(t *testing.T) {
	folder := t.TempDir()
	writePcap(t, filepath.Join(folder, "few.pcap"), frame(t, 1, 60), frame(t, 2, 80), frame(t, 3, 100))
	result := in(t, folder, `object: mirror_bpfel.o
program: label
vectors:
  - {foreach: {file: few.pcap, first: 1, last: 2}, context: {ingress: 1}, want: {verdict: XDP_PASS}}
  - {foreach: {file: few.pcap}, context: {ingress: 1}, want: {verdict: XDP_PASS}}
`).Run(t.Context(), vector.Options{Artifacts: folder, Time: &vector.Measurement{Samples: 3, Runs: 100}})
	require.NoError(t, result.Err)
	require.Equal(t, 2, result.Vectors[0].Timing.Packets)
	require.Equal(t, 3, result.Vectors[1].Timing.Packets)
}

func TestSuitesExtendFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "base.yaml"), []byte(text), 0o600))
	}
	write("constants: {ttl: 9}\nmap_sizes: {counts: 2}\nmaps:\n  counts: [{key: 0, value: 5}]\n  recent: [{key: {addr: 10.0.0.1}, value: 1}]\nnetwork: {devices: [{name: nic0}]}\n")
	suite := `
extends: base.yaml
object: tables_bpfel.o
program: look
constants: {packets: 3}
maps: {counts: [{key: 1, value: 7}]}
vectors:
  - packet: {udp: {src: 10.0.0.1, dst: 10.0.0.2}}
    context: {ingress: nic0}
    want: {maps: {counts: {exact: true, entries: [{key: 1, value: 7}]}, recent: {count: 1}}}
`
	result := in(t, folder, suite).Run(t.Context(), vector.Options{})
	require.ErrorContains(t, result.Err, `base.yaml:1:18: there is no variable "ttl"`)
	write("map_sizes: {counts: 2}\nmaps:\n  counts: [{key: 0, value: 5}]\n  recent: [{key: {addr: 10.0.0.1}, value: 1}]\nnetwork: {devices: [{name: nic0}]}\n")
	vector.RunSuite(t, in(t, folder, suite))

	for base, says := range map[string]string{
		"vectors: []": "base.yaml:1:1: only constants, context, map_sizes, maps, network, tail_calls are taken over, no vectors",
		"- a":         "base.yaml is no file to extend: it has to be one mapping",
		"a: [":        "base.yaml:1:4: sequence end token",
	} {
		write(base)
		_, err := vector.ReadSuites(filepath.Join(folder, "x.yaml"), []byte(suite))
		require.ErrorContains(t, err, says)
	}
	_, err := vector.ReadSuites(filepath.Join(folder, "x.yaml"), []byte("extends: none.yaml"))
	require.ErrorContains(t, err, "x.yaml:1:10: there is no file "+folder+"/none.yaml to extend")
}

// State that is kept is that of the vector before.
func TestKeptState(t *testing.T) {
	text := one("{program: once, " + syn + ", want: {verdict: XDP_TX}}\n  - {program: once, " + syn + ", want: {verdict: XDP_DROP}}")
	result := read(t, text).Run(t.Context(), vector.Options{Artifacts: t.TempDir()})
	require.Equal(t, 1, result.Failed())
	result = read(t, "keep_state: true\n"+text).Run(t.Context(), vector.Options{})
	require.NoError(t, result.Err)
	require.Zero(t, result.Failed())
}

// A ring buffer that nobody reads is full after a few vectors, unless it is emptied.
func TestRingBuffersNeverFill(t *testing.T) {
	var text bytes.Buffer
	text.WriteString("object: tables_bpfel.o\nprogram: change\nvectors:\n")
	for range 20 {
		text.WriteString("  - {packet: {udp: {src: 10.0.0.1, dst: 10.0.0.2}}, want: {verdict: XDP_PASS}}\n")
	}
	result := read(t, text.String()).Run(t.Context(), vector.Options{Artifacts: t.TempDir()})
	require.NoError(t, result.Err)
	require.Zero(t, result.Failed())
}
