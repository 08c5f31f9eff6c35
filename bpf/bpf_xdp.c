//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_xdp.h"
#include "lib/ct_find.h"
#include "lib/delay.h"
#include "lib/dsr.h"
#include "lib/handoff.h"
#include "lib/lb.h"
#include "lib/nat.h"
#include "lib/next_hop.h"
#include "lib/reject.h"

/*
 * Services at the NIC, before the kernel has spent anything on a packet. What is
 * for another node leaves by the NIC that it came in by; what is for this node
 * goes up translated. Everything else, and all that needs more than a rewrite (a
 * neighbour to resolve, an ICMP error to send), goes up as it came.
 */

/* For a pod of this node, or the node itself. */
static __always_inline int xdp_keep(struct context *ctx, struct packet *pkt, const struct ct_entry *entry)
{
	int reason;

	if (!handoff_put(ctx))
		return pass(ctx, POINT_XDP);
	reason = nat_apply(ctx, pkt, entry);
	if (reason)
		return drop(ctx, POINT_XDP, reason);
	return pass(ctx, POINT_XDP);
}

/*
 * Who takes a packet of the flow, which leaves with source address saddr; whole is 0 when it cannot leave by the NIC
 * that it came in by, to a neighbour that is known.
 */
static __always_inline union next_hop xdp_next_hop(struct context *ctx, const struct packet *pkt, struct ct_entry *entry,
						   const struct addr *saddr)
{
	struct bpf_fib_lookup fib;

	if (fib_lookup(ctx, &fib, pkt, saddr, &entry->daddr) != BPF_FIB_LKUP_RET_SUCCESS ||
	    fib.ifindex != ctx_ifindex(ctx))
		return (union next_hop){};
	return next_hop_remember(entry, pkt, &fib);
}

/* pkt is on its way. */
static __always_inline int xdp_send(struct context *ctx, const struct packet *pkt, const __u8 *dmac)
{
	int reason = hop_by_nic(ctx, pkt, dmac);

	if (reason)
		return drop(ctx, POINT_XDP, reason);
	trace(ctx, POINT_XDP, VERDICT_TX, DROP_NONE, ctx_ifindex(ctx));
	return XDP_TX;
}

/* For another machine. */
static __always_inline int xdp_forward(struct context *ctx, struct packet *pkt, struct ct_entry *entry)
{
	union next_hop next_hop = next_hop_known(entry, pkt);
	int reason;

	if (!next_hop.whole)
		next_hop = xdp_next_hop(ctx, pkt, entry, &entry->saddr);
	if (!next_hop.whole)
		return pass(ctx, POINT_XDP);
	reason = nat_apply(ctx, pkt, entry);
	if (reason)
		return drop(ctx, POINT_XDP, reason);
	return xdp_send(ctx, pkt, next_hop.mac);
}

/* For a backend on another machine, which answers itself. */
static __always_inline int xdp_encapsulate(struct context *ctx, const struct packet *pkt, struct ct_entry *entry)
{
	struct packet outer = encap_outer(pkt, &entry->daddr);
	union next_hop next_hop = next_hop_known(entry, &outer);
	int reason;

	if (!next_hop.whole)
		next_hop = xdp_next_hop(ctx, &outer, entry, &outer.tuple.saddr);
	if (!next_hop.whole)
		return pass(ctx, POINT_XDP);
	reason = encap_push(ctx, pkt, &outer);
	if (reason)
		return drop(ctx, POINT_XDP, reason);
	return xdp_send(ctx, &outer, next_hop.mac);
}

SEC("xdp")
int xdp_entry(struct context *ctx)
{
	__u32 received;
	struct packet *pkt = packet_of();
	struct ct_entry *entry;
	enum packet_kind kind;
	int reason;

	if (!pkt)
		return CTX_DROP;
	delay();
	if (!ctx_for_us(ctx))
		return pass(ctx, POINT_XDP);
	received = dsr_try(ctx);
	if (received == DSR_STACK)
		return pass(ctx, POINT_XDP);
	if (received != DSR_NOTHING && received != DSR_BACKEND)
		return drop(ctx, POINT_XDP, received);
	kind = parse(ctx, pkt);
	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if (kind != KIND_FLOW || pkt->ttl <= 1) {
		if (received == DSR_BACKEND)
			return drop(ctx, POINT_XDP, DROP_INVALID);
		return pass(ctx, POINT_XDP);
	}
	entry = ct_find(ctx, pkt);
	if (received == DSR_BACKEND) {
		reason = dsr_follow(ctx, pkt, &entry);
		if (reason)
			return drop(ctx, POINT_XDP, reason);
	} else if (!entry) {
		reason = lb_open(ctx, pkt, OUTSIDE, &entry);
		if (reason)
			return refuse(ctx, POINT_XDP, pkt, reason);
	}
	if (config.dsr && entry && (entry->flags & CT_ENCAP))
		return xdp_encapsulate(ctx, pkt, entry);
	if (!entry || !ct_rewrites_ingress(entry))
		return pass(ctx, POINT_XDP);
	if (entry->flags & CT_LOCAL)
		return xdp_keep(ctx, pkt, entry);
	return xdp_forward(ctx, pkt, entry);
}

char _license[] SEC("license") = "Dual BSD/GPL";
