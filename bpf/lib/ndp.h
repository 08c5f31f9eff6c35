/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_NDP_H
#define LIB_NDP_H

#include "redirect.h"

/*
 * Who has the gateway? The lxc device (RFC 4861, 7.2.4). Answered are the two
 * forms that hosts send: with the sender's link-layer address as the one option
 * (to the multicast group) or without options (to an address already known).
 * Any other neighbour discovery is the stack's, to which the gateway's address
 * belongs as well.
 */

struct neighbour_msg {
	struct nd_msg msg;
	struct nd_opt_ll option;
};

#define ND_OFF (L3_OFF + sizeof(struct ipv6hdr))
#define ND_HOP_LIMIT 255 /* never forwarded */
#define ND_ROUTER 0x80000000
#define ND_SOLICITED 0x40000000
#define ND_OVERRIDE 0x20000000

static __always_inline bool is_neighbour_discovery(const struct packet *pkt, enum packet_kind kind)
{
	return kind == KIND_OTHER_IP && pkt->ipv6 && pkt->tuple.proto == IPPROTO_ICMPV6 &&
	       pkt->icmp_type >= NDISC_ROUTER_SOLICITATION && pkt->icmp_type <= NDISC_REDIRECT;
}

static __always_inline bool nd_asks_for_gateway(const struct nd_msg *msg)
{
	const struct in6_addr *target = &msg->target;
	const volatile struct addr *gateway = &config.gateway_ipv6;

	return msg->type == NDISC_NEIGHBOUR_SOLICITATION && msg->code == 0 && gateway->words[0] &&
	       target->in6_u.u6_addr32[0] == gateway->words[0] && target->in6_u.u6_addr32[1] == gateway->words[1] &&
	       target->in6_u.u6_addr32[2] == gateway->words[2] && target->in6_u.u6_addr32[3] == gateway->words[3];
}

/* Bytes of the solicitation for the gateway, with its option or without; 0: not one to answer. */
static __always_inline __u32 nd_solicitation(struct context *ctx, const struct packet *pkt)
{
	__u32 len = pkt->l3_len - sizeof(struct ipv6hdr);
	bool unspecified = addr_is_zero(&pkt->tuple.saddr);
	bool multicast = pkt->tuple.daddr.bytes[0] == 0xff;
	const struct neighbour_msg *ask;

	if (pkt->l4_off != ND_OFF || pkt->ttl != ND_HOP_LIMIT || unspecified)
		return 0;
	if (len == sizeof(ask->msg) && !multicast) {
		ask = ctx_header(ctx, ND_OFF, sizeof(ask->msg));
		return ask && nd_asks_for_gateway(&ask->msg) ? len : 0;
	}
	if (len != sizeof(*ask))
		return 0;
	ask = ctx_header(ctx, ND_OFF, sizeof(*ask));
	if (!ask || !nd_asks_for_gateway(&ask->msg))
		return 0;
	return ask->option.type == ND_OPT_SOURCE_LL_ADDR && ask->option.len == 1 ? len : 0;
}

/* The answer to a solicitation of len bytes from pkt's source. */
static __always_inline void nd_advertisement(struct neighbour_msg *answer, const struct packet *pkt,
					     const struct device *device, __u32 len)
{
	__u64 sum;

	__builtin_memset(answer, 0, sizeof(*answer));
	answer->msg.type = NDISC_NEIGHBOUR_ADVERTISEMENT;
	answer->msg.flags = bpf_htonl(ND_ROUTER | ND_SOLICITED | ND_OVERRIDE);
	for (int i = 0; i < 4; i++)
		answer->msg.target.in6_u.u6_addr32[i] = config.gateway_ipv6.words[i];
	if (len == sizeof(*answer)) {
		answer->option.type = ND_OPT_TARGET_LL_ADDR;
		answer->option.len = 1;
		__builtin_memcpy(answer->option.addr, device->lxc_mac, ETH_ALEN);
	}
	sum = csum_words(answer, sizeof(*answer) / 4);
	sum += csum_words(&answer->msg.target, 4); /* the pseudo header: source, destination, length, protocol */
	sum += csum_words(&pkt->tuple.saddr, 4);
	sum += bpf_htons(len) + bpf_htons(IPPROTO_ICMPV6);
	answer->msg.checksum = ~csum_fold(sum);
}

static __always_inline int nd_write(struct context *ctx, const struct packet *pkt, const struct neighbour_msg *answer,
				    __u32 len)
{
	struct ipv6hdr *ip = ctx_at(ctx, L3_OFF, sizeof(*ip) + sizeof(answer->msg));
	struct nd_opt_ll *option = ctx_at(ctx, ND_OFF + sizeof(answer->msg), sizeof(*option));

	if (!ip)
		return DROP_REWRITE;
	ip->saddr = answer->msg.target;
	__builtin_memcpy(&ip->daddr, &pkt->tuple.saddr, sizeof(ip->daddr));
	__builtin_memcpy(ip + 1, &answer->msg, sizeof(answer->msg));
	if (len == sizeof(*answer)) {
		if (!option)
			return DROP_REWRITE;
		__builtin_memcpy(option, &answer->option, sizeof(*option));
	}
	return DROP_NONE;
}

static __always_inline int ndp_answer(struct context *ctx, const struct packet *pkt, const struct device *device)
{
	__u32 len = nd_solicitation(ctx, pkt);
	const struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	struct neighbour_msg answer;
	int reason;

	if (!len || !eth)
		return pass(ctx, POINT_FROM_CONTAINER);
	nd_advertisement(&answer, pkt, device, len);
	reason = nd_write(ctx, pkt, &answer, len);
	if (!reason)
		reason = eth_address(ctx, eth->h_source, device->lxc_mac);
	if (reason)
		return drop(ctx, POINT_FROM_CONTAINER, reason);
	return redirected(ctx, POINT_FROM_CONTAINER, VERDICT_REDIRECT, ctx->ifindex, bpf_redirect(ctx->ifindex, 0));
}

#endif /* LIB_NDP_H */
