/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_NAT_H
#define LIB_NAT_H

#include "ct.h"
#include "fragment.h"

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

static __always_inline __u32 nat_csum_off(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	default:
		return offsetof(struct icmphdr, checksum);
	}
}

/* Writes the ports, or the identifier of an echo, and the checksum. */
static __always_inline int nat_l4(struct context *ctx, const struct packet *pkt, const struct ct_entry *entry)
{
	__u16 addr_csum = pkt->tuple.proto == IPPROTO_ICMP ? 0 : entry->addr_csum;
	__be16 *header = ctx_at(ctx, l4_bound(pkt->l4_off), sizeof(struct udphdr));

	if (!header)
		return DROP_REWRITE;
	if (pkt->tuple.proto == IPPROTO_TCP || pkt->tuple.proto == IPPROTO_UDP) {
		header[0] = entry->sport;
		header[1] = entry->dport;
	} else {
		((struct icmphdr *)header)->id = entry->sport | entry->dport; /* one of them is 0 */
	}
	if (ctx_l4_csum(ctx, l4_bound(pkt->l4_off) + nat_csum_off(pkt->tuple.proto), addr_csum, entry->port_csum,
			pkt->tuple.proto == IPPROTO_UDP, pkt->ipv6))
		return DROP_REWRITE;
	return DROP_NONE;
}

/*
 * A fragment that is not the first has no more than addresses. Nothing in it makes
 * up for new ones where IPv6 has no header checksum: an skb's own sum changes.
 */
static __always_inline int nat_follower(struct context *ctx, const struct packet *pkt, const struct ct_entry *entry)
{
	if (pkt->ipv6)
		ctx_sum_changed(ctx, entry->addr_csum);
	return DROP_NONE;
}

/*
 * ICMP errors. What an error quotes went the other way: its source becomes what
 * packets of the entry get as destination, and the reverse. The sums over a whole
 * message, and over an IPv4 header, stay what they were, so an skb's own sum does
 * too, and all is written in place.
 */

/* The addresses of the quoted packet, whose IP header is at off. Returns the change to the sum over it, or -1. */
static __always_inline __s32 nat_quote_l3(struct context *ctx, __u32 off, const struct ct_entry *entry, bool ipv6)
{
	if (ipv6) {
		struct ipv6hdr *ip = ctx_at(ctx, l4_bound(off), sizeof(*ip));

		if (!ip)
			return -1;
		__builtin_memcpy(&ip->saddr, &entry->daddr, sizeof(ip->saddr));
		__builtin_memcpy(&ip->daddr, &entry->saddr, sizeof(ip->daddr));
		return entry->addr_csum;
	} else {
		struct iphdr *ip = ctx_at(ctx, l4_bound(off), sizeof(*ip));

		if (!ip)
			return -1;
		ip->saddr = entry->daddr.words[3];
		ip->daddr = entry->saddr.words[3];
		ip->check = csum_update(ip->check, entry->addr_csum);
		return 0; /* made up for by the header's own checksum */
	}
}

/* Ports and checksum of the quoted packet, as far as they are quoted. Returns the change to the sum over them, or -1. */
static __always_inline __s32 nat_quote_l4(struct context *ctx, __u32 off, const struct tuple *tuple,
					  const struct ct_entry *entry)
{
	__be16 *header = ctx_at(ctx, l4_bound(off), QUOTE_L4);
	__u16 change = csum_add(tuple->proto == IPPROTO_ICMP ? 0 : entry->addr_csum, entry->port_csum);
	__sum16 *check, was;

	if (!header)
		return -1;
	if (tuple->proto == IPPROTO_TCP || tuple->proto == IPPROTO_UDP) {
		header[0] = entry->dport;
		header[1] = entry->sport;
	} else {
		((struct icmphdr *)header)->id = entry->sport | entry->dport; /* one of them is 0 */
	}
	check = ctx_at(ctx, l4_bound(off) + nat_csum_off(tuple->proto), sizeof(*check));
	if (!check || (tuple->proto == IPPROTO_UDP && *check == 0))
		return entry->port_csum;
	was = *check;
	*check = csum_update(was, change);
	if (tuple->proto == IPPROTO_UDP && *check == 0)
		*check = 0xffff;
	return csum_add(entry->port_csum, csum_change(csum_change_port(was, *check)));
}

/* The addresses of the error itself. Returns the change to the sum over them that its checksum covers, or -1. */
static __always_inline __s32 nat_error_l3(struct context *ctx, const struct ct_entry *entry, bool ipv6, bool relayed)
{
	__u64 change;

	if (ipv6) {
		struct ipv6hdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip));
		struct addr saddr, daddr;

		if (!ip)
			return -1;
		addr_set_ipv6(&saddr, &ip->saddr);
		addr_set_ipv6(&daddr, &ip->daddr);
		change = csum_change_addr(&daddr, &entry->daddr);
		__builtin_memcpy(&ip->daddr, &entry->daddr, sizeof(ip->daddr));
		if (!relayed) {
			change += csum_change_addr(&saddr, &entry->saddr);
			__builtin_memcpy(&ip->saddr, &entry->saddr, sizeof(ip->saddr));
		}
		return csum_change(change);
	} else {
		struct iphdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip));

		if (!ip)
			return -1;
		change = (__u64)entry->daddr.words[3] + (__u32)~ip->daddr;
		ip->daddr = entry->daddr.words[3];
		if (!relayed) {
			change += (__u64)entry->saddr.words[3] + (__u32)~ip->saddr;
			ip->saddr = entry->saddr.words[3];
		}
		ip->check = csum_update(ip->check, csum_change(change));
		return 0; /* ICMP of IPv4 has no pseudo header */
	}
}

/*
 * Makes an error what the entry at slow_path.tuple says: l4_off is where its ICMP
 * header is, quote_off where the quoted L4 header. A router that reports of the
 * flow (relayed) keeps its address; that of an end is translated as in any of its
 * packets. Returns a drop reason.
 */
__noinline int nat_error(struct context *ctx, __u32 l4_off, __u32 quote_off, __u32 ipv6, __u32 relayed)
{
	const struct slow_path *slow = slow_path_of();
	const struct ct_entry *entry = slow ? bpf_map_lookup_elem(&ct, &slow->tuple) : NULL;
	__s32 l3, quoted_l3, quoted_l4;
	struct icmphdr *icmp;

	if (!entry)
		return DROP_CT_EXPIRED; /* meanwhile */
	quoted_l4 = nat_quote_l4(ctx, quote_off, &slow->tuple, entry);
	quoted_l3 = nat_quote_l3(ctx, l4_off + sizeof(*icmp), entry, ipv6);
	l3 = nat_error_l3(ctx, entry, ipv6, relayed);
	icmp = ctx_at(ctx, l4_bound(l4_off), sizeof(*icmp));
	if (quoted_l4 < 0 || quoted_l3 < 0 || l3 < 0 || !icmp)
		return DROP_REWRITE;
	icmp->checksum = csum_update(icmp->checksum, csum_fold((__u64)quoted_l4 + quoted_l3 + l3));
	return DROP_NONE;
}

/* Makes pkt what entry says, the tuple in it included. Returns a drop reason. */
static __always_inline int nat_apply(struct context *ctx, struct packet *pkt, const struct ct_entry *entry)
{
	struct slow_path *slow;
	int reason;

	if (pkt->quote_off) {
		slow = slow_path_of();
		if (!slow)
			return DROP_REWRITE;
		slow->tuple = pkt->tuple;
		return nat_error(ctx, pkt->l4_off, pkt->quote_off, pkt->ipv6, pkt->relayed);
	}

	if (pkt->fragment && !pkt->follows)
		fragment_keep(ctx);
	reason = nat_l3(ctx, pkt, entry);
	if (!reason)
		reason = pkt->follows ? nat_follower(ctx, pkt, entry) : nat_l4(ctx, pkt, entry);
	if (reason)
		return reason;
	pkt->tuple.saddr = entry->saddr;
	pkt->tuple.daddr = entry->daddr;
	pkt->tuple.sport = entry->sport;
	pkt->tuple.dport = entry->dport;
	return DROP_NONE;
}

#endif /* LIB_NAT_H */
