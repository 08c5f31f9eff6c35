/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_FIB_H
#define LIB_FIB_H

#include "parse.h"

/* Being a router: the way out, the hop that a packet loses, the Ethernet header of the next one. */

#define FIB_IPV6_MIN 1280 /* the MTU that every link of IPv6 has */

/*
 * What to try next where len bytes did not fit and nobody says what would: the next
 * plateau below (RFC 1191, section 7.1), IPv6's least MTU among them.
 */
static __always_inline __u16 fib_plateau(__u16 len, bool ipv6)
{
	static const __u16 plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, FIB_IPV6_MIN, 1006, 508, 296};

	for (int i = 0; i < (int)(sizeof(plateaus) / sizeof(plateaus[0])); i++)
		if (plateaus[i] < len || (ipv6 && plateaus[i] == FIB_IPV6_MIN))
			return plateaus[i];
	return 68;
}

/*
 * Asks the kernel's FIB for the way of a packet from saddr to daddr. Returns
 * BPF_FIB_LKUP_RET_…; fib has device, next hop and MACs as far as they are known,
 * and where the packet does not fit, what may, as tot_len.
 */
static __always_inline long fib_lookup(struct context *ctx, struct bpf_fib_lookup *fib, const struct packet *pkt,
				       const struct addr *saddr, const struct addr *daddr)
{
	long found;
	__u16 len;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ctx_ifindex(ctx);
	fib->l4_protocol = pkt->tuple.proto;
	fib->tot_len = ctx_fib_len(ctx, pkt->l3_len, pkt->l4_off - L3_OFF + pkt->l4_len);
	if (pkt->ipv6) {
		fib->family = AF_INET6;
		__builtin_memcpy(fib->ipv6_src, saddr, sizeof(*saddr));
		__builtin_memcpy(fib->ipv6_dst, daddr, sizeof(*daddr));
	} else {
		fib->family = AF_INET;
		fib->ipv4_src = saddr->words[3];
		fib->ipv4_dst = daddr->words[3];
	}
	len = fib->tot_len;
	found = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	/* Before 5.12 the kernel does not tell the MTU of the way, and leaves the length as it was. */
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED && fib->tot_len == len)
		fib->tot_len = len > config.mtu ? config.mtu : fib_plateau(len, pkt->ipv6);
	return found;
}

/* The MTU of the way that a packet did not fit. */
static __always_inline __u32 fib_mtu(const struct bpf_fib_lookup *fib)
{
	return fib->tot_len && fib->tot_len < config.mtu ? fib->tot_len : config.mtu;
}

/* A hop taken off TTL or hop limit, which must be more than 1. Returns a drop reason. */
static __always_inline int ttl_decrement(struct context *ctx, const struct packet *pkt)
{
	struct iphdr *ip;

	if (pkt->ipv6)
		return ctx_set_byte(ctx, L3_OFF + offsetof(struct ipv6hdr, hop_limit), pkt->ttl - 1) ? DROP_REWRITE : DROP_NONE;
	ip = ctx_at(ctx, L3_OFF, sizeof(*ip));
	if (!ip)
		return DROP_REWRITE;
	ip->ttl = pkt->ttl - 1;
	ip->check = csum_update(ip->check, bpf_htons(0xfeff)); /* minus 0x0100 */
	return DROP_NONE;
}

/* Returns a drop reason. */
static __always_inline int eth_address(struct context *ctx, const __u8 *dmac, const __u8 *smac)
{
	struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return DROP_REWRITE;
	__builtin_memcpy(eth->h_dest, dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, smac, ETH_ALEN);
	return DROP_NONE;
}

/* Both at once: what a router does to a frame that it sends on. Returns a drop reason. */
static __always_inline int hop(struct context *ctx, const struct packet *pkt, const __u8 *dmac, const __u8 *smac)
{
	int reason = ttl_decrement(ctx, pkt);

	return reason ? reason : eth_address(ctx, dmac, smac);
}

/* The same out of the NIC. */
static __always_inline int hop_by_nic(struct context *ctx, const struct packet *pkt, const __u8 *dmac)
{
	__u8 smac[ETH_ALEN];

	for (int i = 0; i < ETH_ALEN; i++)
		smac[i] = config.nic_mac[i];
	return hop(ctx, pkt, dmac, smac);
}

#endif /* LIB_FIB_H */
