/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ARP_H
#define LIB_ARP_H

#include "redirect.h"

/* Who has the gateway? The lxc device (RFC 826). Any other ARP is the stack's. */

static __always_inline bool arp_asks_for_gateway(const struct arphdr *arp)
{
	return arp->ar_hrd == bpf_htons(ARPHRD_ETHER) && arp->ar_pro == bpf_htons(ETH_P_IP) &&
	       arp->ar_hln == ETH_ALEN && arp->ar_pln == 4 && arp->ar_op == bpf_htons(ARPOP_REQUEST) &&
	       *(__be32 *)arp->ar_tip == config.gateway_ipv4.words[3] && config.gateway_ipv4.words[3];
}

static __always_inline int arp_answer(struct context *ctx, const struct device *device)
{
	struct arphdr *arp = ctx_header(ctx, L3_OFF, sizeof(*arp));

	if (!arp || !arp_asks_for_gateway(arp))
		return pass(ctx, POINT_FROM_CONTAINER);
	arp->ar_op = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(arp->ar_tha, arp->ar_sha, ETH_ALEN);
	__builtin_memcpy(arp->ar_tip, arp->ar_sip, sizeof(arp->ar_tip));
	__builtin_memcpy(arp->ar_sha, device->lxc_mac, ETH_ALEN);
	*(__be32 *)arp->ar_sip = config.gateway_ipv4.words[3];
	if (eth_address(ctx, arp->ar_tha, device->lxc_mac))
		return drop(ctx, POINT_FROM_CONTAINER, DROP_REWRITE);
	return redirected(ctx, POINT_FROM_CONTAINER, VERDICT_REDIRECT, ctx->ifindex, bpf_redirect(ctx->ifindex, 0));
}

#endif /* LIB_ARP_H */
