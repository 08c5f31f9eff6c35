/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_PARSE_H
#define LIB_PARSE_H

#include "quote.h"

static __always_inline enum packet_kind parse_tcp(struct context *ctx, struct packet *pkt, __u32 len)
{
	const struct tcphdr *tcp = ctx_header(ctx, l4_bound(pkt->l4_off), sizeof(*tcp));

	if (!tcp || len < sizeof(*tcp) || tcp->doff * 4 < sizeof(*tcp) || tcp->doff * 4 > len)
		return KIND_INVALID;
	pkt->tuple.sport = tcp->source;
	pkt->tuple.dport = tcp->dest;
	pkt->tcp_flags = tcp->flags;
	pkt->l4_len = tcp->doff * 4;
	return KIND_FLOW;
}

static __always_inline enum packet_kind parse_udp(struct context *ctx, struct packet *pkt, __u32 len)
{
	const struct udphdr *udp = ctx_header(ctx, l4_bound(pkt->l4_off), sizeof(*udp));

	if (!udp || len < sizeof(*udp) || bpf_ntohs(udp->len) < sizeof(*udp))
		return KIND_INVALID;
	if (bpf_ntohs(udp->len) > len && !pkt->fragment)
		return KIND_INVALID;
	pkt->tuple.sport = udp->source;
	pkt->tuple.dport = udp->dest;
	pkt->l4_len = sizeof(*udp);
	return KIND_FLOW;
}

static __always_inline enum packet_kind parse_icmp(struct context *ctx, struct packet *pkt, __u32 len, __u8 request,
						   __u8 reply)
{
	const struct icmphdr *icmp = ctx_header(ctx, l4_bound(pkt->l4_off), sizeof(*icmp));

	if (!icmp || len < sizeof(*icmp))
		return KIND_INVALID;
	pkt->icmp_type = icmp->type;
	if (quote_is_error(icmp->type, pkt->ipv6) && !pkt->fragment)
		return quote_parse(ctx);
	if (icmp->type == request)
		pkt->tuple.sport = icmp->id;
	pkt->echo_reply = icmp->type == reply;
	if (pkt->echo_reply)
		pkt->tuple.dport = icmp->id;
	return icmp->type == request || pkt->echo_reply ? KIND_FLOW : KIND_OTHER_IP;
}

/* len: bytes of the packet from pkt->l4_off on. */
static __always_inline enum packet_kind parse_l4(struct context *ctx, struct packet *pkt, __u32 len)
{
	if (pkt->tuple.proto == IPPROTO_TCP)
		return parse_tcp(ctx, pkt, len);
	if (pkt->tuple.proto == IPPROTO_UDP)
		return parse_udp(ctx, pkt, len);
	if (pkt->tuple.proto == IPPROTO_ICMP && !pkt->ipv6)
		return parse_icmp(ctx, pkt, len, ICMP_ECHO, ICMP_ECHOREPLY);
	if (pkt->tuple.proto == IPPROTO_ICMPV6 && pkt->ipv6)
		return parse_icmp(ctx, pkt, len, ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY);
	return KIND_OTHER_IP;
}

/*
 * A fragment that is not the first, of len bytes. None of them may write over the
 * header that is in the first (RFC 1858, 3), nor end behind the longest datagram.
 */
static __always_inline enum packet_kind parse_fragment(const struct packet *pkt, __u32 len)
{
	if (pkt->tuple.proto == IPPROTO_TCP && pkt->fragment_offset < sizeof(struct tcphdr))
		return KIND_INVALID;
	return pkt->fragment_offset + len > 0xffff ? KIND_INVALID : KIND_FRAGMENT;
}

static __always_inline enum packet_kind parse_ipv4(struct context *ctx, struct packet *pkt)
{
	const struct iphdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));
	__u32 header, len;
	__u16 frag_off;

	if (!ip)
		return KIND_INVALID;
	header = ip->ihl * 4;
	len = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || len < header || L3_OFF + len > ctx_len(ctx))
		return KIND_INVALID;

	addr_set_ipv4(&pkt->tuple.saddr, ip->saddr);
	addr_set_ipv4(&pkt->tuple.daddr, ip->daddr);
	pkt->tuple.proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->l3_len = len;
	pkt->l4_off = L3_OFF + header;

	frag_off = bpf_ntohs(ip->frag_off);
	pkt->fragment = frag_off & (IP_MF | IP_OFFSET);
	if (pkt->fragment) {
		pkt->fragment_id = ip->id;
		pkt->fragment_offset = (frag_off & IP_OFFSET) * 8;
	}
	if (frag_off & IP_OFFSET)
		return parse_fragment(pkt, len - header);
	return parse_l4(ctx, pkt, len - header);
}

static __always_inline enum packet_kind parse_ipv6(struct context *ctx, struct packet *pkt)
{
	const struct ipv6hdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));
	union ipv6_walk walk;
	__u32 len;

	if (!ip || ip->version != 6)
		return KIND_INVALID;
	pkt->l3_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (L3_OFF + pkt->l3_len > ctx_len(ctx))
		return KIND_INVALID;

	addr_set_ipv6(&pkt->tuple.saddr, &ip->saddr);
	addr_set_ipv6(&pkt->tuple.daddr, &ip->daddr);
	if (addr_is_ipv4(&pkt->tuple.saddr) || addr_is_ipv4(&pkt->tuple.daddr))
		return KIND_INVALID; /* never on a wire (RFC 4291), and to the datapath another address */
	pkt->tuple.proto = ip->nexthdr;
	pkt->ttl = ip->hop_limit;
	pkt->ipv6 = true;
	pkt->l4_off = L3_OFF + sizeof(*ip);
	len = pkt->l3_len - sizeof(*ip);

	if (ipv6_is_extension(pkt->tuple.proto)) {
		walk.result = ipv6_extensions(ctx, pkt->tuple.proto, pkt->l4_off);
		pkt->l4_off = walk.l4_off;
		pkt->tuple.proto = walk.proto;
		pkt->fragment = walk.fragment;
		if (pkt->l4_off > L3_OFF + pkt->l3_len)
			return KIND_INVALID;
		len = L3_OFF + pkt->l3_len - pkt->l4_off;
		if (walk.kind == KIND_FRAGMENT)
			return parse_fragment(pkt, len);
		if (walk.kind != KIND_FLOW)
			return walk.kind;
	}
	return parse_l4(ctx, pkt, len);
}

/* Fills in pkt, that of packet_of(). */
static __always_inline enum packet_kind parse(struct context *ctx, struct packet *pkt)
{
	const struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));

	__builtin_memset(pkt, 0, sizeof(*pkt));
	if (!eth)
		return KIND_INVALID;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(ctx, pkt);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(ctx, pkt);
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return KIND_ARP;
	return KIND_NOT_IP;
}

#endif /* LIB_PARSE_H */
