package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// S2: a pod reaches a service by its cluster address, packet by packet, wherever
// the backend is, and sees nothing but that address.
func TestClusterIP(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		client := lab.Pod("client-on-node1")
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			web := lab.Pod(name)
			each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
				service := lab.AddService(t, harness.ClusterIP(p.port(8080), 80, web))

				sent := client.Send(t, p.request(service.AddrPort()))
				request := web.Expect(t, p.request(web.AddrPort(80)))
				require.Equal(t, sent.Src(), request.Src(), "inside the cluster the client keeps its address")

				web.Send(t, p.reply(request))
				client.Expect(t, p.reply(sent))
			})
		}
	})
}

// C9: a pod reaches itself through its own service: it must see the request come
// from another address than its own, or it would answer itself directly.
func TestHairpin(t *testing.T) {
	t.Parallel()
	everyWay.Run(t, topo.Cluster(1), func(t *testing.T, lab *harness.Lab) {
		web := lab.Pod("web-on-node1")
		web.ServeHTTP(t, 80, says("myself"))
		service := lab.AddService(t, harness.ClusterIP(packet.TCPPort(8080), 80, web))
		require.Equal(t, "myself", web.Get(t, service.AddrPort()))

		web.Send(t, tcp.request(service.AddrPort()))
		request := web.Expect(t, tcp.request(web.AddrPort(80)))
		require.NotEqual(t, web.Addr(), request.Src().Addr())
	})
}
