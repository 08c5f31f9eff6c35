package topo_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/topo"
)

// frames are some as a capture would give them: of each padding, at two devices.
func frames(devices []topo.Device) []topo.Frame {
	start := now()
	var frames []topo.Frame
	for i, length := range []int{60, 61, 62, 63} {
		data := make([]byte, length)
		data[12], data[13], data[length-1] = 0x88, 0xb5, byte(i)
		frames = append(frames, topo.Frame{
			Time: start + uint64(i)*1001, Device: devices[i%2], Direction: topo.In + topo.Direction(i%2),
			Len: length + 1000*i, Data: data,
		})
	}
	return frames
}

var devices = []topo.Device{
	{Machine: "node1", Name: "lxc-web", Index: 1007, MAC: []byte{2, 4, 0, 1, 0, 1}},
	{Machine: "client", Name: "eth0", Index: 1003, MAC: []byte{2, 2, 0, 0, 0, 1}},
}

func TestPcapngReadsBack(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	written := frames(devices)
	require.NoError(t, topo.WritePcapng(&file, devices, written))

	reader, err := pcapgo.NewNgReader(&file, pcapgo.NgReaderOptions{})
	require.NoError(t, err)
	var first time.Time
	for i, f := range written {
		data, info, err := reader.ReadPacketData()
		require.NoError(t, err)
		require.Equal(t, f.Data, data)
		require.Equal(t, f.Len, info.Length)
		require.Equal(t, i%2, info.InterfaceIndex)
		if i == 0 {
			first = info.Timestamp
			require.WithinDuration(t, time.Now(), first, time.Minute)
		}
		require.Equal(t, time.Duration(f.Time-written[0].Time), info.Timestamp.Sub(first))
	}
	_, _, err = reader.ReadPacketData()
	require.ErrorIs(t, err, io.EOF)

	require.Equal(t, len(devices), reader.NInterfaces())
	for i, d := range devices {
		described, err := reader.Interface(i)
		require.NoError(t, err)
		require.Equal(t, d.String(), described.Name)
		require.Equal(t, layers.LinkTypeEthernet, described.LinkType)
	}
}

func TestPcapngIsForTcpdump(t *testing.T) {
	t.Parallel()
	network := up(t, topo.Cluster(1))
	tape := capture(t, network)
	for _, family := range families {
		client, node := machine(t, network, "client"), machine(t, network, "node1")
		exchange(t, listen(t, client, ip(client, family)), listen(t, node, ip(node, family)))
	}
	captured := tape.seen(t, "")

	path := filepath.Join(t.TempDir(), "capture.pcapng")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, topo.WritePcapng(file, network.Devices(), captured))
	require.NoError(t, file.Close())
	out, err := exec.Command("tcpdump", "-nn", "-r", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, line := range []string{"IP 172.31.0.1.", "IP6 fd00:172:31::1.", "ARP, Request who-has 172.16.0.1", "neighbor solicitation"} {
		require.Contains(t, string(out), line)
	}
}

func TestPcapngOfUnknownDevice(t *testing.T) {
	t.Parallel()
	err := topo.WritePcapng(io.Discard, devices[:1], frames(devices))
	require.ErrorContains(t, err, "frame 1 was seen at client/eth0, which is not among the devices")
}
