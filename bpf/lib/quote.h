/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_QUOTE_H
#define LIB_QUOTE_H

#include "extension.h"

/*
 * An ICMP error quotes the packet that it is about, from the IP header on, and
 * may cut it anywhere behind the first 8 bytes of L4. The error goes where the
 * quoted packet came from: it is a packet of the same flow in the other direction,
 * and conntrack finds it by the quoted tuple turned round.
 */
#define QUOTE_L4 8 /* bytes of L4 that every error quotes: RFC 792 */

/* The types that say why a packet did not arrive. (A redirect names a gateway for an address that its receiver may not know.) */
static __always_inline bool quote_is_error(__u8 type, bool ipv6)
{
	if (ipv6)
		return type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* Reads ports, or the identifier of an echo; false: there are none. */
static __always_inline bool quote_ports(struct context *ctx, struct tuple *tuple, __u32 off, bool ipv6)
{
	const __be16 *header = ctx_header(ctx, l4_bound(off), QUOTE_L4);
	__u8 type;

	if (!header)
		return false;
	if (tuple->proto == IPPROTO_TCP || tuple->proto == IPPROTO_UDP) {
		tuple->sport = header[0];
		tuple->dport = header[1];
		return true;
	}
	if (tuple->proto != (ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return false;
	type = ((const struct icmphdr *)header)->type;
	if (type == (ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO))
		tuple->sport = ((const struct icmphdr *)header)->id;
	else if (type == (ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY))
		tuple->dport = ((const struct icmphdr *)header)->id;
	else
		return false;
	return true;
}

/* Where the L4 header of the quoted packet starts that itself starts at off; 0: it is none that translates. */
static __always_inline __u32 quote_ip(struct context *ctx, struct tuple *tuple, __u32 off, bool ipv6)
{
	union ipv6_walk walk;

	if (ipv6) {
		const struct ipv6hdr *ip = ctx_header(ctx, l4_bound(off), sizeof(*ip));

		if (!ip || ip->version != 6)
			return 0;
		addr_set_ipv6(&tuple->saddr, &ip->saddr);
		addr_set_ipv6(&tuple->daddr, &ip->daddr);
		tuple->proto = ip->nexthdr;
		off += sizeof(*ip);
		if (!ipv6_is_extension(tuple->proto))
			return off;
		walk.result = ipv6_extensions(ctx, tuple->proto, off);
		tuple->proto = walk.proto;
		return walk.kind == KIND_FLOW ? walk.l4_off : 0;
	} else {
		const struct iphdr *ip = ctx_header(ctx, l4_bound(off), sizeof(*ip));

		if (!ip || ip->version != 4 || ip->ihl * 4 < sizeof(*ip) || (ip->frag_off & bpf_htons(IP_OFFSET)))
			return 0;
		addr_set_ipv4(&tuple->saddr, ip->saddr);
		addr_set_ipv4(&tuple->daddr, ip->daddr);
		tuple->proto = ip->protocol;
		return off + ip->ihl * 4;
	}
}

/*
 * Makes an ICMP error, parsed up to its ICMP header, a packet of the flow that it
 * is about. Returns what it is then; about nothing, it stays what it was. Global:
 * the verifier reads it once.
 */
__noinline int quote_parse(struct context *ctx)
{
	struct packet *pkt = packet_of();
	struct tuple tuple = {}, error;
	__u32 off;

	if (!pkt)
		return KIND_OTHER_IP;
	off = quote_ip(ctx, &tuple, pkt->l4_off + sizeof(struct icmphdr), pkt->ipv6);
	if (!off || off > L4_OFF_MASK || off + QUOTE_L4 > L3_OFF + pkt->l3_len ||
	    !quote_ports(ctx, &tuple, off, pkt->ipv6) || !addr_equal(&pkt->tuple.daddr, &tuple.saddr))
		return KIND_OTHER_IP;
	tuple_reverse(&error, &tuple);
	pkt->relayed = !addr_equal(&pkt->tuple.saddr, &error.saddr);
	pkt->quote_off = off;
	pkt->tuple = error;
	return KIND_FLOW;
}

#endif /* LIB_QUOTE_H */
