//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_skb.h"
#include "lib/bypass.h"
#include "lib/ct_find.h"
#include "lib/lb.h"
#include "lib/nat.h"
#include "lib/redirect.h"
#include "lib/reject.h"
#include "lib/arp.h"
#include "lib/ndp.h"

/* The two ends of a pod's lxc device on the node. Nothing here knows which pod: that is in the maps. */

static __always_inline bool owns_source(const struct device *device, const struct packet *pkt)
{
	const struct addr *own = pkt->ipv6 ? &device->ipv6 : &device->ipv4;

	return !addr_is_zero(own) && addr_equal(own, &pkt->tuple.saddr) && !pkt->relayed;
}

/* On the way to its destination. Has a source that is the pod's. */
static __always_inline int forward_from_container(struct context *ctx, struct packet *pkt, enum packet_kind kind)
{
	const struct endpoint *pod = endpoint_lookup(&pkt->tuple.daddr);
	struct ct_entry *entry = NULL;
	int reason;

	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if (kind == KIND_FLOW) {
		entry = ct_find(ctx, pkt);
		reason = DROP_NONE;
		if (!entry && endpoint_none(pod))
			reason = lb_open(ctx, pkt, INSIDE, &entry);
		if (!reason && !entry)
			reason = bypass_open(ctx, pkt, INSIDE, &entry);
		if (reason)
			return refuse(ctx, POINT_FROM_CONTAINER, pkt, reason);
	}
	if (entry && ct_rewrites_ingress(entry))
		return translate(ctx, POINT_FROM_CONTAINER, pkt, entry);
	if (pkt->ttl <= 1) /* the stack tells the sender that it ran out */
		return pass(ctx, POINT_FROM_CONTAINER);
	if (pod)
		return deliver(ctx, POINT_FROM_CONTAINER, pkt, pod);
	if (is_node_address(&pkt->tuple.daddr))
		return pass(ctx, POINT_FROM_CONTAINER);
	return route(ctx, POINT_FROM_CONTAINER, pkt);
}

SEC("tc")
int from_container(struct context *ctx)
{
	const struct device *device = device_lookup(ctx->ifindex);
	struct packet *pkt = packet_of();
	enum packet_kind kind;

	if (!pkt)
		return CTX_DROP;
	if (!device)
		return drop(ctx, POINT_FROM_CONTAINER, DROP_NO_ENDPOINT);
	kind = parse(ctx, pkt);
	switch (kind) {
	case KIND_INVALID:
		return drop(ctx, POINT_FROM_CONTAINER, DROP_INVALID);
	case KIND_NOT_IP:
		return pass(ctx, POINT_FROM_CONTAINER);
	case KIND_ARP:
		return arp_answer(ctx, device);
	default:
		break;
	}
	if (is_neighbour_discovery(pkt, kind))
		return ndp_answer(ctx, pkt, device);
	if (!ctx_for_us(ctx)) /* broadcast and multicast */
		return pass(ctx, POINT_FROM_CONTAINER);
	if (!owns_source(device, pkt))
		return drop(ctx, POINT_FROM_CONTAINER, DROP_INVALID_SOURCE);
	if (kind == KIND_OTHER_IP)
		return pass(ctx, POINT_FROM_CONTAINER);
	return forward_from_container(ctx, pkt, kind);
}

/* What the stack answers for a service whose backend it is itself. */
static __always_inline int translate_to_container(struct context *ctx)
{
	struct packet *pkt = packet_of();
	struct ct_entry *entry;
	enum packet_kind kind;

	if (!pkt)
		return DROP_NONE;
	kind = parse(ctx, pkt);
	if (kind == KIND_FRAGMENT)
		kind = fragment_find(ctx);
	if (kind != KIND_FLOW)
		return DROP_NONE;
	entry = ct_find(ctx, pkt);
	if (!entry || !ct_rewrites_egress(entry))
		return DROP_NONE;
	return nat_apply(ctx, pkt, entry);
}

SEC("tc")
int to_container(struct context *ctx)
{
	int reason = DROP_NONE;

	if (ctx->ingress_ifindex == 0) /* made on this node, by the stack */
		reason = translate_to_container(ctx);
	if (reason)
		return drop(ctx, POINT_TO_CONTAINER, reason);
	return pass(ctx, POINT_TO_CONTAINER);
}

char _license[] SEC("license") = "Dual BSD/GPL";
