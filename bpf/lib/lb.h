/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_LB_H
#define LIB_LB_H

#include "affinity.h"
#include "endpoint.h"
#include "flow.h"
#include "ipcache.h"
#include "source.h"

/* Opening flows to services, for packets: the choice of a backend itself is in service.h and affinity.h. */

/*
 * Whether the backend must answer to this node's own address, so that the answer
 * comes by here: from outside, when the backend is on another node; from a pod,
 * when the backend is outside the cluster or is the pod itself, which would not
 * take a packet from its own address.
 */
static __always_inline bool lb_needs_snat(const struct tuple *tuple, const struct addr *backend, bool local,
					  enum side side)
{
	if (side == OUTSIDE)
		return !local;
	if (local)
		return addr_equal(backend, &tuple->saddr);
	return entity_of(backend) == ENTITY_WORLD;
}

static __always_inline enum ct_flag lb_reply_flags(bool local_pod, bool local, enum side side)
{
	enum ct_flag flags = CT_REPLY | CT_TRANSLATE;

	if (side == INSIDE)
		flags |= CT_LOCAL;
	if (local && !local_pod)
		flags |= CT_EGRESS; /* the node's own stack answers */
	return flags;
}

/*
 * The set that a packet chooses from. Pods may use the addresses for the world
 * too, even those of another node: to them all backends are open.
 */
static __always_inline const struct set *lb_set(const struct service *service, const struct tuple *tuple,
						enum side side)
{
	if (side == INSIDE)
		return &service->inside;
	if ((service->flags & SERVICE_EXTERNAL_LOCAL) && entity_of(&tuple->saddr) == ENTITY_POD)
		return &service->inside;
	return &service->outside;
}

#define NOT_SERVED -1

/*
 * Starts slow_path.forward for slow_path.tuple: to a backend of the service of its
 * frontend, which had that number just now. Returns a drop reason, or NOT_SERVED to
 * this side.
 */
__noinline int lb_choose(__u32 number, enum side side)
{
	struct slow_path *slow = slow_path_of();
	const struct service *service;
	const struct backend *backend;
	struct frontend frontend = {};

	if (!slow)
		return DROP_CT_FULL;
	frontend.addr = slow->tuple.daddr;
	frontend.port = slow->tuple.dport;
	frontend.proto = slow->tuple.proto;
	service = service_of(&frontend, number);
	if (!service || (side == OUTSIDE && !(service->flags & SERVICE_EXTERNAL)))
		return NOT_SERVED;
	if ((service->flags & SERVICE_SOURCES) && !source_allowed(service->sources, &slow->tuple.saddr))
		return DROP_SOURCE_RANGE;
	backend = backend_choose(service, lb_set(service, &slow->tuple, side), &slow->tuple.saddr,
				 tuple_hash(&slow->tuple));
	if (!backend)
		return service->flags & SERVICE_BACKENDS ? DROP_NO_LOCAL_BACKEND : DROP_NO_BACKEND;
	__builtin_memset(&slow->forward, 0, sizeof(slow->forward));
	slow->forward.daddr = backend->addr;
	slow->forward.dport = backend->port;
	if (side == OUTSIDE && (service->flags & SERVICE_DSR))
		slow->forward.flags = CT_ENCAP;
	return DROP_NONE;
}

/*
 * Completes slow_path.forward, which lb_choose() has started. Returns whether
 * answers come by here. (Opening the flow is for the caller: functions that call
 * one another have 512 bytes of stack, of which verifiers before 6.8 give each as
 * many times 32 as it needs.)
 */
__noinline int lb_complete(enum side side, __u32 ipv6)
{
	struct slow_path *slow = slow_path_of();
	struct ct_entry *forward;
	bool local_pod, local;

	if (!slow)
		return true;
	forward = &slow->forward;
	local_pod = endpoint_lookup(&forward->daddr);
	local = local_pod || is_node_address(&forward->daddr);
	forward->saddr = slow->tuple.saddr;
	if (!local && (forward->flags & CT_ENCAP)) { /* see dsr.h */
		forward->sport = slow->tuple.sport;
		return false;
	}
	forward->flags = local ? CT_TRANSLATE | CT_LOCAL : CT_TRANSLATE;
	forward->reply_flags = lb_reply_flags(local_pod, local, side);
	if (lb_needs_snat(&slow->tuple, &forward->daddr, local, side))
		addr_set_node(&forward->saddr, ipv6);
	return true;
}

/* Opens the flow of slow_path.tuple to the backend that lb_choose() found. Returns a drop reason. */
static __always_inline int lb_open_flow(struct context *ctx, enum side side, __u32 ipv6)
{
	return lb_complete(side, ipv6) ? flow_open(ctx, SNAT_TRIES) : flow_open_forward();
}

/* What lb_choose() found is on another machine, and answers itself. */
static __always_inline bool lb_goes_direct(const struct ct_entry *forward)
{
	return (forward->flags & CT_ENCAP) && endpoint_none(endpoint_lookup(&forward->daddr)) &&
	       !is_node_address(&forward->daddr);
}

/*
 * Opens a flow to the service that pkt is addressed to. *entry is the flow, or
 * NULL when there is no such service. Returns a drop reason.
 *
 * An error about an answer that went past this node (see dsr.h) opens none: it
 * only goes to the backend that the flow would have here.
 */
static __always_inline int lb_open(struct context *ctx, const struct packet *pkt, enum side side,
				   struct ct_entry **entry)
{
	struct frontend frontend = {.addr = pkt->tuple.daddr, .port = pkt->tuple.dport, .proto = pkt->tuple.proto};
	const __u32 *number = bpf_map_lookup_elem(&frontends, &frontend);
	struct slow_path *slow;
	int reason;

	*entry = NULL;
	if (!number || pkt->echo_reply || (pkt->quote_off && !config.dsr))
		return DROP_NONE;
	slow = slow_path_of();
	if (!slow)
		return DROP_CT_FULL;
	slow->tuple = pkt->tuple;
	reason = lb_choose(*number, side);
	if (pkt->quote_off) {
		if (!reason && lb_goes_direct(&slow->forward))
			*entry = &slow->forward;
		return DROP_NONE;
	}
	if (reason == NOT_SERVED)
		return DROP_NONE;
	if (!reason)
		reason = lb_open_flow(ctx, side, pkt->ipv6);
	if (reason)
		return reason;
	*entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	return *entry ? DROP_NONE : DROP_CT_EXPIRED; /* already */
}

#endif /* LIB_LB_H */
