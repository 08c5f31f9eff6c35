/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_QUOTE_H
#define LIB_QUOTE_H

#include "extension.h"
#include "tuple.h"

/*
 * An ICMP error quotes the packet that it is about, from the IP header on, and
 * may cut it anywhere behind the first 8 bytes of L4. The error goes where the
 * quoted packet came from: it is a packet of the same flow in the other direction,
 * and conntrack finds it by the quoted tuple turned round.
 */
struct quote {
	struct tuple tuple; /* of packets in the direction of the error */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct quote);
	__uint(max_entries, 1);
} quotes SEC(".maps");

static __always_inline struct quote *quote_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&quotes, &zero);
}

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
 * Reads the packet that is quoted from off to end, and returns where its L4
 * header starts; 0: of no flow that translates. Global: the verifier reads it once.
 */
__noinline int quote_read(struct context *ctx, __u32 off, __u32 end, __u32 ipv6)
{
	struct quote *quote = quote_of();
	struct tuple tuple = {};
	__u32 l4_off;

	if (!quote)
		return 0;
	l4_off = quote_ip(ctx, &tuple, off, ipv6);
	if (!l4_off || l4_off > L4_OFF_MASK || l4_off + QUOTE_L4 > end || !quote_ports(ctx, &tuple, l4_off, ipv6))
		return 0;
	tuple_reverse(&quote->tuple, &tuple);
	return l4_off;
}

#endif /* LIB_QUOTE_H */
