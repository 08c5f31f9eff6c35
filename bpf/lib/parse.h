/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_PARSE_H
#define LIB_PARSE_H

#include "trace.h"
#include "tuple.h"

/* What a packet is to the datapath. */
enum packet_kind {
	KIND_FLOW,	 /* TCP, UDP or an ICMP echo: the tuple is whole */
	KIND_FRAGMENT, /* a later fragment of anything: only the tuple's addresses and protocol are known */
	KIND_OTHER_IP, /* never translated, an ICMP error for instance; the tuple as for a fragment */
	KIND_ARP,
	KIND_NOT_IP,
	KIND_INVALID, /* a header is cut short or contradicts itself */
};

/* All that is ever read from the headers of a packet, each of them once. */
struct packet {
	struct tuple tuple;
	__u16 l4_off; /* bytes from the start of the frame */
	__u8 l4_len;  /* of the header of TCP or UDP */
	__u32 l3_len; /* of IP header and all behind it */
	__u8 ttl;     /* or hop limit */
	__u8 tcp_flags;
	__u8 icmp_type;
	bool ipv6;
	bool fragment;	 /* the first or a later one */
	bool echo_reply; /* opens no flow */
};

#define L3_OFF sizeof(struct ethhdr)

/*
 * No L4 header starts behind this. IPv4 options end at 74; IPv6 has room for
 * 450 bytes of extension headers, and what has more goes to the stack. Offsets
 * pass through l4_bound, so that verifiers which lose a number's bounds on its
 * way over the stack find them again.
 */
#define L4_OFF_MASK 0x1ff
#define IPV6_EXTENSIONS 4

static __always_inline __u32 l4_bound(__u32 off)
{
	asm volatile("%0 &= %1" : "+r"(off) : "i"(L4_OFF_MASK));
	return off;
}

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
	if (frag_off & IP_OFFSET)
		return KIND_FRAGMENT;
	return parse_l4(ctx, pkt, len - header);
}

static __always_inline bool ipv6_is_extension(__u8 type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS ||
	       type == IPPROTO_FRAGMENT;
}

/* What is behind the extension headers, in a number. */
union ipv6_walk {
	__u32 result;
	struct {
		__u16 l4_off;
		__u8 proto;
		enum packet_kind kind : 7;
		bool fragment : 1;
	};
};

/*
 * Walks extension headers, the first of which is of the given type, up to what
 * is none. (AH counts as none: it authenticates what translation would change.)
 * Few packets have any. Global: the verifier reads it once, and knows of its
 * result nothing that would multiply the states of the rest.
 */
__noinline __u32 ipv6_extensions(struct context *ctx, __u32 type)
{
	union ipv6_walk walk = {.l4_off = L3_OFF + sizeof(struct ipv6hdr), .proto = type, .kind = KIND_OTHER_IP};

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		const struct ipv6_rt_hdr *ext; /* starts as each of them does */
		__u32 len;

		type = walk.proto;
		ext = ctx_header(ctx, l4_bound(walk.l4_off), sizeof(struct frag_hdr));
		if (!ext) {
			walk.kind = KIND_INVALID;
			break;
		}
		walk.proto = ext->nexthdr;
		len = (ext->hdrlen + 1) * 8;
		if (type == IPPROTO_ROUTING && ext->segments_left)
			break; /* the checksum is over another destination (RFC 8200, 8.1) */
		if (type == IPPROTO_FRAGMENT) {
			__u16 frag_off = bpf_ntohs(((const struct frag_hdr *)ext)->frag_off);

			len = sizeof(struct frag_hdr);
			walk.fragment = frag_off & (IP6_MF | IP6_OFFSET);
			if (frag_off & IP6_OFFSET) {
				walk.kind = KIND_FRAGMENT;
				break;
			}
		}
		if (walk.l4_off + len > L4_OFF_MASK)
			break;
		walk.l4_off += len;
		if (!ipv6_is_extension(walk.proto)) {
			walk.kind = KIND_FLOW;
			break;
		}
	}
	return walk.result;
}

static __always_inline enum packet_kind parse_ipv6(struct context *ctx, struct packet *pkt)
{
	const struct ipv6hdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));
	union ipv6_walk walk;

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

	if (ipv6_is_extension(pkt->tuple.proto)) {
		walk.result = ipv6_extensions(ctx, pkt->tuple.proto);
		pkt->l4_off = walk.l4_off;
		pkt->tuple.proto = walk.proto;
		pkt->fragment = walk.fragment;
		if (walk.kind != KIND_FLOW)
			return walk.kind;
		if (pkt->l4_off > L3_OFF + pkt->l3_len)
			return KIND_INVALID;
	}
	return parse_l4(ctx, pkt, L3_OFF + pkt->l3_len - pkt->l4_off);
}

static __always_inline enum packet_kind parse(struct context *ctx, struct packet *pkt)
{
	const struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));

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
