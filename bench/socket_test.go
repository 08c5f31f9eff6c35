package bench

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/skbench/skbench/bpf"
	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/datapath/ebpf"
	"github.com/skbench/skbench/harness/feature"
	"github.com/skbench/skbench/topo"
)

// BenchmarkSocket has two pods of one node talk over one TCP session: by the stack, through the pods' devices, and
// redirected from socket to socket. Both sides of a case are measured one after the other:
//
//	go test ./bench -run - -bench Socket -count 10 | benchstat -col /redirect -
//
// A round trip is a message there and one of the same size back; a stream is written in pieces of a size and read in
// pieces of up to 256 KiB. Reported beside the time is the share of the bytes that were redirected, in percent.
func BenchmarkSocket(b *testing.B) {
	feature.Need(b, feature.EBPFDatapath, feature.EBPFSessions)
	topology := topo.Cluster(1)
	topology.Offloads = true // as on a veth pair that nobody has touched
	labs := map[string]*harness.Lab{
		"off": harness.Start(b, topology, ebpf.Datapath(ebpf.WithoutTrace()), harness.Unobserved()),
		"on":  harness.Start(b, topology, ebpf.Datapath(ebpf.WithoutTrace(), ebpf.WithSocketRedirect()), harness.Unobserved()),
	}
	for _, c := range []struct {
		name    string
		measure func(b *testing.B, client, server net.Conn, size int)
		sizes   []int
	}{
		{"roundtrip", roundTrips, []int{1, 1 << 10, 16 << 10, 64 << 10}},
		{"stream", pieces, []int{1 << 10, 16 << 10, 64 << 10, 1 << 20}},
	} {
		for _, size := range c.sizes {
			for _, redirect := range []string{"off", "on"} {
				b.Run(fmt.Sprintf("case=%s/size=%d/redirect=%s", c.name, size, redirect), func(b *testing.B) {
					lab := labs[redirect]
					client, server := session(b, lab)
					before := redirected(b, lab)
					c.measure(b, client, server, size)
					if lab == labs["on"] {
						b.ReportMetric(share(before, redirected(b, lab)), "%redirected")
					}
				})
			}
		}
	}
}

// session opens one between the pods of the lab's node.
func session(b *testing.B, lab *harness.Lab) (client, server net.Conn) {
	listener := lab.Pod("web-on-node1").Listen(b, 0)
	client = lab.Pod("client-on-node1").Dial(b, "tcp", lab.Pod("web-on-node1").AddrPort(uint16(listener.Addr().(*net.TCPAddr).Port)))
	server, err := listener.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	return client, server
}

func roundTrips(b *testing.B, client, server net.Conn, size int) {
	go func() {
		buf := make([]byte, size)
		for {
			if _, err := io.ReadFull(server, buf); err != nil {
				return
			}
			if _, err := server.Write(buf); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, size)
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func pieces(b *testing.B, client, server net.Conn, size int) {
	read := make(chan int)
	go func() {
		buf := make([]byte, 256<<10)
		total := 0
		for {
			n, err := server.Read(buf)
			total += n
			if err != nil {
				read <- total
				return
			}
		}
	}()
	buf := make([]byte, size)
	b.SetBytes(int64(size))
	wrote := 0
	for b.Loop() {
		n, err := client.Write(buf)
		if err != nil {
			b.Fatal(err)
		}
		wrote += n
	}
	if err := client.Close(); err != nil {
		b.Fatal(err)
	}
	if total := <-read; total != wrote {
		b.Fatalf("%d bytes were read of %d", total, wrote)
	}
}

// redirected is the traffic of the lab's followed sessions so far, none where they are not followed.
func redirected(b *testing.B, lab *harness.Lab) map[bpf.MessageWay]bpf.Traffic {
	metrics, err := ebpf.SessionMetrics(lab)
	if err != nil {
		return nil
	}
	return metrics["node1"].Messages
}

// share is how much of the traffic between two counts was redirected, in percent.
func share(before, after map[bpf.MessageWay]bpf.Traffic) float64 {
	var redirected, all uint64
	for way, traffic := range after {
		bytes := traffic.Bytes - before[way].Bytes
		all += bytes
		if way == bpf.MessageRedirected {
			redirected += bytes
		}
	}
	return 100 * float64(redirected) / float64(max(all, 1))
}
