//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_skb.h"
#include "lib/bypass.h"
#include "lib/ct_find.h"
#include "lib/delay.h"
#include "lib/dsr.h"
#include "lib/handoff.h"
#include "lib/lb.h"
#include "lib/masquerade.h"
#include "lib/nat.h"
#include "lib/redirect.h"
#include "lib/reject.h"

/* The two directions of the node's NIC. */

/* To a backend on another machine, which answers itself. */
static __always_inline int encapsulate_from_netdev(struct context *ctx, const struct packet *pkt, struct ct_entry *entry)
{
	struct packet outer = encap_outer(pkt, &entry->daddr);
	struct way way;
	int reason;

	if (pkt->ttl <= 1)
		return drop_and_tell(ctx, POINT_FROM_NETDEV, pkt, DROP_TTL_EXPIRED, ICMP_HOPS, 0);
	reason = way_find(ctx, &way, &outer, &outer.tuple.saddr, &outer.tuple.daddr, entry);
	if (reason)
		return way_none(ctx, POINT_FROM_NETDEV, pkt, reason, &way, encap_len(outer.ipv6));
	reason = encap_push(ctx, pkt, &outer);
	if (reason)
		return drop(ctx, POINT_FROM_NETDEV, reason);
	return way_take(ctx, POINT_FROM_NETDEV, &outer, &way, entry);
}

SEC("tc")
int from_netdev(struct context *ctx)
{
	__u32 received;
	const struct endpoint *pod;
	struct ct_entry *entry = NULL;
	struct packet *pkt = packet_of();
	enum packet_kind kind;
	bool translated;
	int reason;

	if (!pkt)
		return CTX_DROP;
	delay();
	if (!ctx_for_us(ctx))
		return pass(ctx, POINT_FROM_NETDEV);
	received = dsr_try(ctx);
	if (received == DSR_STACK)
		return pass(ctx, POINT_FROM_NETDEV);
	if (received != DSR_NOTHING && received != DSR_BACKEND)
		return drop(ctx, POINT_FROM_NETDEV, received);
	kind = parse(ctx, pkt);
	if (kind == KIND_INVALID)
		return drop(ctx, POINT_FROM_NETDEV, DROP_INVALID);
	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if (received == DSR_BACKEND && kind != KIND_FLOW)
		return drop(ctx, POINT_FROM_NETDEV, kind == KIND_FRAGMENT ? DROP_FRAGMENT : DROP_TUNNEL_SERVICE);
	if (kind != KIND_FLOW && kind != KIND_FRAGMENT)
		return pass(ctx, POINT_FROM_NETDEV);

	translated = handoff_found(ctx);
	pod = endpoint_lookup(&pkt->tuple.daddr);
	if (kind == KIND_FLOW && !translated) {
		reason = DROP_NONE;
		entry = ct_find(ctx, pkt);
		if (received == DSR_BACKEND)
			reason = dsr_follow(ctx, pkt, &entry);
		else if (!entry && endpoint_none(pod))
			reason = lb_open(ctx, pkt, OUTSIDE, &entry);
		if (!reason && !entry)
			reason = bypass_open(ctx, pkt, OUTSIDE, &entry);
		if (reason)
			return refuse(ctx, POINT_FROM_NETDEV, pkt, reason);
		if (config.dsr && entry && (entry->flags & CT_ENCAP))
			return encapsulate_from_netdev(ctx, pkt, entry);
		if (entry && ct_rewrites_ingress(entry))
			return translate(ctx, POINT_FROM_NETDEV, pkt, entry);
	}
	if (kind == KIND_FRAGMENT && !pod)
		count(POINT_FROM_NETDEV, METRIC_EARLY, ctx_len(ctx));
	if (!pod || pkt->ttl <= 1) /* the stack's own, or for it to say that the packet ran out */
		return pass(ctx, POINT_FROM_NETDEV);
	return deliver(ctx, POINT_FROM_NETDEV, pkt, pod);
}

/* What leaves the NIC under another source address than it has. Returns a drop reason. */
static __always_inline int translate_to_netdev(struct context *ctx)
{
	struct packet *pkt = packet_of();
	struct ct_entry *entry = NULL;
	enum packet_kind kind;
	int reason;

	if (!pkt)
		return DROP_NONE;
	kind = parse(ctx, pkt);
	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if ((kind != KIND_FLOW && kind != KIND_FRAGMENT) || ctx->vlan_present)
		return DROP_NONE;
	if (is_node_address(&pkt->tuple.saddr)) {
		/* Only the stack's own answers can be those of a service's backend. */
		if (ctx->ingress_ifindex || kind != KIND_FLOW)
			return DROP_NONE;
	} else if (entity_of(&pkt->tuple.daddr) != ENTITY_WORLD) {
		return DROP_NONE;
	}
	if (kind == KIND_FLOW)
		entry = ct_find(ctx, pkt);
	if (!entry) {
		if (!endpoint_lookup(&pkt->tuple.saddr) || !opens_flow(pkt))
			return DROP_NONE;
		if (kind == KIND_FRAGMENT)
			return DROP_FRAGMENT;
		reason = masquerade_open(ctx, pkt);
		if (reason)
			return reason;
		entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	}
	if (!entry)
		return DROP_CT_EXPIRED; /* already */
	return ct_rewrites_egress(entry) ? nat_apply(ctx, pkt, entry) : DROP_NONE;
}

SEC("tc")
int to_netdev(struct context *ctx)
{
	int reason = translate_to_netdev(ctx);

	return reason ? drop(ctx, POINT_TO_NETDEV, reason) : pass(ctx, POINT_TO_NETDEV);
}

char _license[] SEC("license") = "Dual BSD/GPL";
