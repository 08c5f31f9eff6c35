/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ENCAP_H
#define LIB_ENCAP_H

#include "csum.h"
#include "fib.h"
#include "fragment.h"

/*
 * IP in IP: a packet of either family, whole, behind an outer header of either
 * family (RFC 2003, RFC 2473, RFC 4213). The outer packet is never fragmented,
 * has no options or extension headers, and is not taken for one of these when it
 * has. DSCP and ECN are copied outwards; of what routers on the way did to them,
 * congestion is copied back (RFC 6040, 4.1 and 4.2).
 */

#define ENCAP_TTL 64

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_ECT_1 1
#define ECN_ECT_0 2
#define ECN_CE 3

static __always_inline __u32 encap_len(bool ipv6)
{
	return ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* What pkt becomes on its way to an address: the outer packet, as if it had been parsed. */
static __always_inline struct packet encap_outer(const struct packet *pkt, const struct addr *to)
{
	struct packet outer = {.ipv6 = !addr_is_ipv4(to), .ttl = ENCAP_TTL};

	addr_set_node(&outer.tuple.saddr, outer.ipv6);
	outer.tuple.daddr = *to;
	outer.tuple.proto = pkt->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	outer.l3_len = pkt->l3_len + encap_len(outer.ipv6);
	outer.l4_off = pkt->l4_off + encap_len(outer.ipv6); /* what the kernel cuts segments from */
	outer.l4_len = pkt->l4_len;
	return outer;
}

/* DSCP and ECN of an IP header. */
static __always_inline __u8 ipv4_tos(const struct iphdr *ip)
{
	return ip->tos;
}

static __always_inline __u8 ipv6_tos(const struct ipv6hdr *ip)
{
	return bpf_ntohs(*(const __be16 *)ip) >> 4;
}

static __always_inline int encap_push_ipv4(struct context *ctx, const struct packet *outer, __u8 tos)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tos = tos,
		.tot_len = bpf_htons(outer->l3_len),
		.frag_off = bpf_htons(IP_DF), /* which is why the identification says nothing (RFC 6864) */
		.ttl = outer->ttl,
		.protocol = outer->tuple.proto,
		.saddr = outer->tuple.saddr.words[3],
		.daddr = outer->tuple.daddr.words[3],
	};

	ip.check = ~csum_fold(csum_words(&ip, sizeof(ip) / 4));
	if (ctx_push(ctx, sizeof(ip), false) || ctx_store(ctx, L3_OFF, &ip, sizeof(ip)))
		return DROP_REWRITE;
	return DROP_NONE;
}

/* The flow label tells routers that share flows among links one flow from another (RFC 6438). */
static __always_inline int encap_push_ipv6(struct context *ctx, const struct packet *outer, __u8 tos, __u32 label)
{
	struct ipv6hdr ip = {
		.payload_len = bpf_htons(outer->l3_len - sizeof(ip)),
		.nexthdr = outer->tuple.proto,
		.hop_limit = outer->ttl,
	};

	*(__be32 *)&ip = bpf_htonl(0x60000000 | (__u32)tos << 20 | (label & 0xfffff));
	__builtin_memcpy(&ip.saddr, &outer->tuple.saddr, sizeof(ip.saddr));
	__builtin_memcpy(&ip.daddr, &outer->tuple.daddr, sizeof(ip.daddr));
	if (ctx_push(ctx, sizeof(ip), true) || ctx_store(ctx, L3_OFF, &ip, sizeof(ip)))
		return DROP_REWRITE;
	return DROP_NONE;
}

/*
 * Puts outer's header before pkt, which loses a hop: the node has forwarded it.
 * Whether the result fits the way is for the caller to know. Returns a drop reason.
 */
static __always_inline int encap_push(struct context *ctx, const struct packet *pkt, const struct packet *outer)
{
	const void *ip = ctx_at(ctx, L3_OFF, encap_len(pkt->ipv6));
	int reason;
	__u8 tos;

	if (!ip)
		return DROP_REWRITE;
	if (pkt->fragment && !pkt->follows)
		fragment_keep(ctx);
	tos = pkt->ipv6 ? ipv6_tos(ip) : ipv4_tos(ip);
	reason = ttl_decrement(ctx, pkt);
	if (reason)
		return reason;
	if (outer->ipv6)
		return encap_push_ipv6(ctx, outer, tos, tuple_hash(&pkt->tuple));
	return encap_push_ipv4(ctx, outer, tos);
}

/* What stands before an encapsulated packet. */
struct encap_header {
	struct addr saddr;
	struct addr daddr;
	__u8 tos;
	bool ipv6;
	bool inner_ipv6;
};

static __always_inline bool encap_is_protocol(__u8 proto)
{
	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6;
}

/* Whether encap_read() could find something, for every packet to ask: one byte says no. */
static __always_inline bool encap_may_be(struct context *ctx)
{
	const struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));
	bool ipv6 = eth && eth->h_proto == bpf_htons(ETH_P_IPV6);
	const struct iphdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));

	return ip && encap_is_protocol(ipv6 ? ((const struct ipv6hdr *)ip)->nexthdr : ip->protocol);
}

/* Reads the header before an encapsulated packet; false when there is none. */
static __always_inline bool encap_read(struct context *ctx, struct encap_header *header)
{
	const struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));
	__be16 type = eth ? eth->h_proto : 0;

	header->ipv6 = type == bpf_htons(ETH_P_IPV6);
	if (header->ipv6) {
		const struct ipv6hdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));

		if (!ip || ip->version != 6 || !encap_is_protocol(ip->nexthdr) ||
		    L3_OFF + sizeof(*ip) + bpf_ntohs(ip->payload_len) > ctx_len(ctx))
			return false;
		addr_set_ipv6(&header->saddr, &ip->saddr);
		addr_set_ipv6(&header->daddr, &ip->daddr);
		header->tos = ipv6_tos(ip);
		header->inner_ipv6 = ip->nexthdr == IPPROTO_IPV6;
	} else {
		const struct iphdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));

		if (!ip || type != bpf_htons(ETH_P_IP) || !encap_is_protocol(ip->protocol) || ip->version != 4 ||
		    ip->ihl != sizeof(*ip) / 4 || L3_OFF + bpf_ntohs(ip->tot_len) > ctx_len(ctx) ||
		    (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET)))
			return false;
		addr_set_ipv4(&header->saddr, ip->saddr);
		addr_set_ipv4(&header->daddr, ip->daddr);
		header->tos = ipv4_tos(ip);
		header->inner_ipv6 = ip->protocol == IPPROTO_IPV6;
	}
	return true;
}

/* What the ECN field of a packet becomes that leaves a tunnel; -1: it must be dropped (RFC 6040, figure 4). */
static __always_inline int encap_ecn(__u8 inner, __u8 outer)
{
	inner &= ECN_MASK;
	outer &= ECN_MASK;
	if (outer == ECN_CE)
		return inner == ECN_NOT_ECT ? -1 : ECN_CE;
	return outer == ECN_ECT_1 && inner == ECN_ECT_0 ? ECN_ECT_1 : inner;
}

static __always_inline int encap_set_ecn(struct context *ctx, bool ipv6, __u8 ecn)
{
	struct iphdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip));
	__be16 *word = (void *)ip;
	__be16 was;

	if (!ip)
		return -1;
	if (ipv6) { /* bits 4 and 5 of the second byte */
		__u8 byte = (*((__u8 *)ip + 1) & ~(ECN_MASK << 4)) | ecn << 4;

		return ctx_set_byte(ctx, L3_OFF + 1, byte);
	}
	was = *word;
	ip->tos = (ip->tos & ~ECN_MASK) | ecn;
	ip->check = csum_update(ip->check, csum_change(csum_change_port(was, *word)));
	return 0;
}

/*
 * Takes header away from before a packet whose IP header is whole. Returns a drop reason.
 */
static __always_inline int encap_pop(struct context *ctx, const struct encap_header *header)
{
	const void *inner = ctx_at(ctx, L3_OFF + encap_len(header->ipv6), encap_len(header->inner_ipv6));
	__u8 tos;
	int ecn;

	if (!inner)
		return DROP_INVALID;
	tos = header->inner_ipv6 ? ipv6_tos(inner) : ipv4_tos(inner);
	ecn = encap_ecn(tos, header->tos);
	if (ecn < 0)
		return DROP_TUNNEL_ECN;
	if (ctx_pop(ctx, encap_len(header->ipv6), header->ipv6, header->inner_ipv6))
		return DROP_REWRITE;
	if (ecn != (tos & ECN_MASK) && encap_set_ecn(ctx, header->inner_ipv6, ecn))
		return DROP_REWRITE;
	return DROP_NONE;
}

#endif /* LIB_ENCAP_H */
