package packet

// Reply returns the TCP segment with those flags that answers p: MACs, addresses
// and ports swapped, Seq what p acknowledges, Ack the end of p. Of a packet in a
// tunnel, it answers the inner one, without the tunnel.
//
// To answer a packet that is no TCP is an error of Build.
func (p *Packet) Reply(flags Flags) Template { return Raw(nil) }

// ReplyWith returns the answer to p that carries payload: a TCP segment with PSH
// and ACK, a UDP datagram, or an echo reply. A nil payload answers an echo with its own.
func (p *Packet) ReplyWith(payload []byte) Template { return Raw(nil) }

// Quote returns p from its IP header on, for an ICMP error about it to embed. It
// keeps the cookie of p.
func (p *Packet) Quote() Template { return Raw(nil) }
