package scenarios

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skbench/skbench/harness"
	"github.com/skbench/skbench/harness/packet"
	"github.com/skbench/skbench/topo"
)

// S13: who talks to a service and, from the same port, to its backend past the
// service has two flows, whose answers come from whom each has asked. On IPVS both look
// like the service's: it knows its flows by client and backend alone, and meets answers
// after conntrack, which keeps the two apart, has given them the client's own port back.
func TestBesideAService(t *testing.T) {
	t.Parallel()
	everyDatapath.Run(t, topo.Cluster(2), func(t *testing.T, lab *harness.Lab) {
		pod, from := lab.Pod("client-on-node1"), uint16(40000)
		for _, name := range []string{"web-on-node1", "web-on-node2"} {
			web := lab.Pod(name)
			t.Run(name, func(t *testing.T) {
				each(t, []protocol{tcp, udp}, func(t *testing.T, p protocol) {
					service := lab.AddService(t, harness.ClusterIP(p.port(8080), 80, web))
					from++
					seen := map[netip.AddrPort]bool{}
					var answered *packet.Packet // what the answer names
					for _, to := range []netip.AddrPort{service.AddrPort(), web.AddrPort(80)} {
						asked := pod.Send(t, p.requestFrom(from, to))
						if answered == nil || lab.Datapath().Name() != "ipvs" {
							answered = asked
						}
						request := web.Expect(t, p.request(web.AddrPort(80)))
						require.NotContains(t, seen, request.Src(), "to the backend both are one client's one flow")
						seen[request.Src()] = true
						web.Send(t, p.reply(request))
						pod.Expect(t, p.reply(answered))
					}
				})
			})
		}
	})
}
