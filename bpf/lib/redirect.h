/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_REDIRECT_H
#define LIB_REDIRECT_H

#include "endpoint.h"
#include "next_hop.h"

/*
 * Where TC sends packets, past the node's stack and its netfilter. Packets must
 * have a hop left (ttl > 1). bpf_redirect stands in for the two helpers of 5.10:
 * a pod's packets then pass its lxc device, and unresolved neighbours need the
 * stack.
 */

static __always_inline int redirected(struct context *ctx, enum trace_point point, enum verdict verdict, __u32 target,
				      long action)
{
	if (action != TC_ACT_REDIRECT)
		return drop(ctx, point, DROP_REDIRECT);
	trace(ctx, point, verdict, DROP_NONE, target);
	return TC_ACT_REDIRECT;
}

/* Into a pod of this node. */
static __always_inline int deliver(struct context *ctx, enum trace_point point, const struct packet *pkt,
				   const struct endpoint *pod)
{
	__u32 ifindex = pod->ifindex;
	int reason = hop(ctx, pkt, pod->pod_mac, pod->lxc_mac);

	if (reason)
		return drop(ctx, point, reason);
	if (config.has_redirect_peer)
		return redirected(ctx, point, VERDICT_REDIRECT_PEER, ifindex, bpf_redirect_peer(ifindex, 0));
	return redirected(ctx, point, VERDICT_REDIRECT, ifindex, bpf_redirect(ifindex, 0));
}

/* Out of the NIC to a known neighbour. */
static __always_inline int send(struct context *ctx, enum trace_point point, const struct packet *pkt, const __u8 *dmac)
{
	__u8 smac[ETH_ALEN];
	int reason;

	for (int i = 0; i < ETH_ALEN; i++)
		smac[i] = config.nic_mac[i];
	reason = hop(ctx, pkt, dmac, smac);
	if (reason)
		return drop(ctx, point, reason);
	return redirected(ctx, point, VERDICT_REDIRECT, config.nic, bpf_redirect(config.nic, 0));
}

/* Out of the NIC to the next hop that the FIB found; the kernel resolves it. */
static __always_inline int send_neigh(struct context *ctx, enum trace_point point, const struct packet *pkt,
				      const struct bpf_fib_lookup *fib)
{
	struct bpf_redir_neigh next_hop = {.nh_family = fib->family};
	int reason = ttl_decrement(ctx, pkt);

	if (reason)
		return drop(ctx, point, reason);
	__builtin_memcpy(next_hop.ipv6_nh, fib->ipv6_dst, sizeof(next_hop.ipv6_nh));
	return redirected(ctx, point, VERDICT_REDIRECT_NEIGH, config.nic,
			  bpf_redirect_neigh(config.nic, &next_hop, sizeof(next_hop), 0));
}

/*
 * Without bpf_redirect_neigh, and without a neighbour: the stack resolves it by
 * sending the packet itself, except one with the node's own address, which it
 * takes for forged. Answers know their neighbour.
 */
static __always_inline int send_unresolved(struct context *ctx, enum trace_point point, const struct packet *pkt,
					   const struct ct_entry *entry)
{
	if (entry && (entry->flags & CT_REPLY) && entry->next_hop.whole)
		return send(ctx, point, pkt, entry->next_hop.mac);
	if (is_node_address(&pkt->tuple.saddr))
		return drop(ctx, point, DROP_NO_NEIGHBOUR);
	return pass(ctx, point);
}

/*
 * Towards another machine, as the node's FIB says. What has no way out of the
 * NIC goes to the stack, which forwards it otherwise or tells the sender why
 * not; but only if it is untranslated (entry is NULL), for it is the packet as
 * translated that the stack would tell of, which the sender does not know.
 */
static __always_inline int route(struct context *ctx, enum trace_point point, const struct packet *pkt,
				 struct ct_entry *entry)
{
	union next_hop next_hop = {};
	struct bpf_fib_lookup fib;
	long found;

	if (entry)
		next_hop = next_hop_known(entry, pkt);
	if (next_hop.whole)
		return send(ctx, point, pkt, next_hop.mac);
	found = fib_lookup(ctx, &fib, pkt, &pkt->tuple.saddr, &pkt->tuple.daddr);
	if (entry && found == BPF_FIB_LKUP_RET_SUCCESS && fib.ifindex == config.nic && ctx->gso_segs <= 1)
		next_hop_remember(entry, pkt, &fib);
	if ((found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH) && fib.ifindex == config.nic) {
		if (config.has_redirect_neigh)
			return send_neigh(ctx, point, pkt, &fib);
		if (found == BPF_FIB_LKUP_RET_SUCCESS)
			return send(ctx, point, pkt, fib.dmac);
		return send_unresolved(ctx, point, pkt, entry);
	}
	if (!entry)
		return pass(ctx, point);
	return drop(ctx, point, found == BPF_FIB_LKUP_RET_FRAG_NEEDED ? DROP_TOO_BIG : DROP_NO_ROUTE);
}

#endif /* LIB_REDIRECT_H */
