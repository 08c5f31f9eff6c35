//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_skb.h"
#include "lib/ct_find.h"
#include "lib/lb.h"
#include "lib/nat.h"
#include "lib/redirect.h"

/*
 * The node's WireGuard device, where packets of other nodes' pods come out decrypted. They have no Ethernet header there. What is
 * for a pod gets one, as all that follows expects, and the rest is the stack's as it is: the header could not be taken off again.
 */

/* The packet, which begins with its IP header, has a hop left; addr becomes its destination. */
static __always_inline bool goes_on_to(struct context *ctx, struct addr *addr)
{
	if (ctx->protocol == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip = ctx_header(ctx, 0, sizeof(*ip));

		if (!ip || ip->hop_limit <= 1)
			return false;
		addr_set_ipv6(addr, &ip->daddr);
	} else {
		const struct iphdr *ip = ctx_header(ctx, 0, sizeof(*ip));

		if (!ip || ctx->protocol != bpf_htons(ETH_P_IP) || ip->ttl <= 1)
			return false;
		addr_set_ipv4(addr, ip->daddr);
	}
	return true;
}

static __always_inline int add_ethernet(struct context *ctx)
{
	struct ethhdr *eth;

	if (bpf_skb_change_head(ctx, sizeof(*eth), 0))
		return DROP_REWRITE;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return DROP_REWRITE;
	eth->h_proto = ctx->protocol;
	return DROP_NONE;
}

SEC("tc")
int from_network(struct context *ctx)
{
	struct packet *pkt = packet_of();
	struct ct_entry *entry = NULL;
	const struct endpoint *pod;
	enum packet_kind kind;
	struct addr to = {};
	int reason;

	if (!pkt)
		return CTX_DROP;
	if (!goes_on_to(ctx, &to) || !endpoint_lookup(&to)) {
		count(POINT_FROM_NETWORK, VERDICT_PASS, ctx_len(ctx));
		return CTX_PASS;
	}
	reason = add_ethernet(ctx);
	if (reason)
		return drop(ctx, POINT_FROM_NETWORK, reason);
	kind = parse(ctx, pkt);
	if (kind == KIND_INVALID)
		return drop(ctx, POINT_FROM_NETWORK, DROP_INVALID);
	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if (kind == KIND_FLOW)
		entry = ct_find(ctx, pkt);
	if (entry && ct_rewrites_ingress(entry))
		return translate(ctx, POINT_FROM_NETWORK, pkt, entry);
	pod = endpoint_lookup(&pkt->tuple.daddr);
	if (!pod)
		return drop(ctx, POINT_FROM_NETWORK, DROP_NO_ENDPOINT);
	return deliver(ctx, POINT_FROM_NETWORK, pkt, pod);
}

char _license[] SEC("license") = "Dual BSD/GPL";
