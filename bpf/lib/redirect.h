/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_REDIRECT_H
#define LIB_REDIRECT_H

#include "endpoint.h"
#include "icmp.h"
#include "ipcache.h"
#include "nat.h"
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
	/* Not with an Ethernet header that a program put there: releases differ in where they then take the IP header to be. */
	if (config.has_redirect_peer && point != POINT_FROM_NETWORK)
		return redirected(ctx, point, VERDICT_REDIRECT_PEER, ifindex, bpf_redirect_peer(ifindex, 0));
	return redirected(ctx, point, VERDICT_REDIRECT, ifindex, bpf_redirect(ifindex, 0));
}

/* Out of the NIC to a known neighbour. */
static __always_inline int send(struct context *ctx, enum trace_point point, const struct packet *pkt, const __u8 *dmac)
{
	int reason = hop_by_nic(ctx, pkt, dmac);

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
 * The way of a packet out of the NIC, as the node's FIB says. It is found before
 * the packet is changed, and for what the packet will be: what has none must still
 * be as its sender knows it.
 */
struct way {
	union next_hop next_hop; /* of entry's flow; whole is 0: as fib says */
	struct bpf_fib_lookup fib;
	long found;
	bool encrypted; /* on the way */
};

/* entry is what is known of the packet's flow, or NULL. Returns a drop reason. */
static __always_inline int way_find(struct context *ctx, struct way *way, const struct packet *pkt,
				    const struct addr *saddr, const struct addr *daddr, struct ct_entry *entry)
{
	way->next_hop.whole = 0;
	way->encrypted = config.ipsec && entity_of(saddr) == ENTITY_POD && entity_of(daddr) == ENTITY_POD;
	if (way->encrypted)
		return DROP_NONE;
	if (entry)
		way->next_hop = next_hop_known(entry, pkt);
	if (way->next_hop.whole)
		return DROP_NONE;
	way->found = fib_lookup(ctx, &way->fib, pkt, saddr, daddr);
	if (way->found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return DROP_TOO_BIG;
	if (config.wireguard && way->fib.ifindex == config.wireguard && way->found == BPF_FIB_LKUP_RET_NO_NEIGH) {
		way->encrypted = true;
		return DROP_NONE;
	}
	if ((way->found != BPF_FIB_LKUP_RET_SUCCESS && way->found != BPF_FIB_LKUP_RET_NO_NEIGH) ||
	    way->fib.ifindex != config.nic)
		return DROP_NO_ROUTE;
	if (entry && way->found == BPF_FIB_LKUP_RET_SUCCESS && !ctx_is_cut_later(ctx))
		next_hop_remember(entry, pkt, &way->fib);
	return DROP_NONE;
}

/* WireGuard has a device that takes IP packets. IPsec is the stack's, which takes the hop off, too. */
static __always_inline int encrypt(struct context *ctx, enum trace_point point, const struct packet *pkt)
{
	int reason;

	if (!config.wireguard)
		return pass(ctx, point);
	reason = ttl_decrement(ctx, pkt);
	if (reason)
		return drop(ctx, point, reason);
	return redirected(ctx, point, VERDICT_REDIRECT, config.wireguard, bpf_redirect(config.wireguard, 0));
}

static __always_inline int way_take(struct context *ctx, enum trace_point point, const struct packet *pkt,
				    const struct way *way, const struct ct_entry *entry)
{
	if (way->encrypted)
		return encrypt(ctx, point, pkt);
	if (way->next_hop.whole)
		return send(ctx, point, pkt, way->next_hop.mac);
	if (config.has_redirect_neigh)
		return send_neigh(ctx, point, pkt, &way->fib);
	if (way->found == BPF_FIB_LKUP_RET_SUCCESS)
		return send(ctx, point, pkt, way->fib.dmac);
	return send_unresolved(ctx, point, pkt, entry);
}

/* The packet has no way. extra are the bytes that it would have grown by. */
static __always_inline int way_none(struct context *ctx, enum trace_point point, const struct packet *pkt, int reason,
				    const struct way *way, __u32 extra)
{
	if (reason != DROP_TOO_BIG)
		return drop(ctx, point, reason);
	return drop_and_tell(ctx, point, pkt, reason, ICMP_TOO_BIG, fib_mtu(&way->fib) - extra);
}

/*
 * Towards another machine. What has no way out of the NIC goes to the stack,
 * which forwards it otherwise or tells the sender why not.
 */
static __always_inline int route(struct context *ctx, enum trace_point point, const struct packet *pkt)
{
	struct way way;

	if (way_find(ctx, &way, pkt, &pkt->tuple.saddr, &pkt->tuple.daddr, NULL))
		return pass(ctx, point);
	return way_take(ctx, point, pkt, &way, NULL);
}

/* Translates pkt as entry says and sends it where that leads: into a pod, to the stack, or to another machine. */
static __always_inline int translate(struct context *ctx, enum trace_point point, struct packet *pkt,
				     struct ct_entry *entry)
{
	const struct endpoint *pod = endpoint_lookup(&entry->daddr);
	bool stack = endpoint_none(pod) && (entry->flags & CT_LOCAL); /* is the end of the way */
	bool leaves = endpoint_none(pod) && !stack;
	struct way way;
	int reason;

	if (pkt->ttl <= 1 && !stack)
		return drop_and_tell(ctx, point, pkt, DROP_TTL_EXPIRED, ICMP_HOPS, 0);
	if (leaves) {
		reason = way_find(ctx, &way, pkt, &entry->saddr, &entry->daddr, entry);
		if (reason)
			return way_none(ctx, point, pkt, reason, &way, 0);
	}
	reason = nat_apply(ctx, pkt, entry);
	if (reason)
		return drop(ctx, point, reason);
	if (leaves)
		return way_take(ctx, point, pkt, &way, entry);
	return pod ? deliver(ctx, point, pkt, pod) : pass(ctx, point);
}

#endif /* LIB_REDIRECT_H */
