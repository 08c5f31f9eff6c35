/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_NAT_H
#define LIB_NAT_H

#include "ct.h"

/*
 * Rewriting a packet. Addresses, ports and IPv4's header checksum are written in
 * place; the L4 checksum goes through ctx_l4_csum(ctx, off, addr_csum,
 * port_csum, udp, ipv6), which knows what an skb needs. addr_csum changes the
 * pseudo header, which ICMP of IPv4 has not; port_csum the L4 header itself.
 */

static __always_inline int nat_l3(struct context *ctx, const struct packet *pkt, const struct ct_entry *entry)
{
	if (pkt->ipv6) {
		struct ipv6hdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip));

		if (!ip)
			return DROP_REWRITE;
		__builtin_memcpy(&ip->saddr, &entry->saddr, sizeof(ip->saddr));
		__builtin_memcpy(&ip->daddr, &entry->daddr, sizeof(ip->daddr));
	} else {
		struct iphdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip));

		if (!ip)
			return DROP_REWRITE;
		ip->saddr = entry->saddr.words[3];
		ip->daddr = entry->daddr.words[3];
		ip->check = csum_update(ip->check, entry->addr_csum);
	}
	return DROP_NONE;
}

/* Writes the ports, or the identifier of an echo. */
static __always_inline int nat_l4(struct context *ctx, const struct packet *pkt, const struct ct_entry *entry)
{
	__be16 *header = ctx_at(ctx, l4_bound(pkt->l4_off), sizeof(struct udphdr));

	if (!header)
		return DROP_REWRITE;
	if (pkt->tuple.proto == IPPROTO_TCP || pkt->tuple.proto == IPPROTO_UDP) {
		header[0] = entry->sport;
		header[1] = entry->dport;
	} else {
		((struct icmphdr *)header)->id = entry->sport | entry->dport; /* one of them is 0 */
	}
	return DROP_NONE;
}

static __always_inline __u32 nat_csum_off(const struct packet *pkt)
{
	switch (pkt->tuple.proto) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	default:
		return offsetof(struct icmphdr, checksum);
	}
}

/* Makes pkt what entry says, the tuple in it included. Returns a drop reason. */
static __always_inline int nat_apply(struct context *ctx, struct packet *pkt, const struct ct_entry *entry)
{
	__u16 addr_csum = pkt->tuple.proto == IPPROTO_ICMP ? 0 : entry->addr_csum;
	int reason;

	if (pkt->fragment)
		return DROP_FRAGMENT; /* those after the first have no ports, and would not follow */
	reason = nat_l3(ctx, pkt, entry);
	if (!reason)
		reason = nat_l4(ctx, pkt, entry);
	if (reason)
		return reason;
	if (ctx_l4_csum(ctx, l4_bound(pkt->l4_off) + nat_csum_off(pkt), addr_csum, entry->port_csum,
			pkt->tuple.proto == IPPROTO_UDP, pkt->ipv6))
		return DROP_REWRITE;
	pkt->tuple.saddr = entry->saddr;
	pkt->tuple.daddr = entry->daddr;
	pkt->tuple.sport = entry->sport;
	pkt->tuple.dport = entry->dport;
	return DROP_NONE;
}

#endif /* LIB_NAT_H */
