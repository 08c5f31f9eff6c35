/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_MASQUERADE_H
#define LIB_MASQUERADE_H

#include "endpoint.h"
#include "ipcache.h"
#include "snat.h"

/*
 * A pod that talks to the world does so under the node's address, for the world
 * has no route to pods; towards pods and nodes it keeps its own. Flows that the
 * world opened to a pod are remembered, so that the pod answers as itself.
 */

/* Opens pkt's flow, from a pod of this node to the world. Returns a drop reason. */
static __always_inline int masquerade_open(struct context *ctx, const struct packet *pkt)
{
	struct slow_path *slow = slow_path_of();

	if (!slow)
		return DROP_CT_FULL;
	slow->tuple = pkt->tuple;
	slow->forward = (struct ct_entry){
		.daddr = pkt->tuple.daddr,
		.dport = pkt->tuple.dport,
		.flags = CT_TRANSLATE | CT_EGRESS,
		.reply_flags = CT_REPLY | CT_TRANSLATE | CT_LOCAL,
	};
	addr_set_node(&slow->forward.saddr, pkt->ipv6);
	return flow_open(ctx, SNAT_TRIES);
}

/* Remembers pkt's flow, from the world to a pod, unless another flow has its answers. */
static __always_inline void masquerade_except(struct context *ctx, const struct packet *pkt)
{
	struct slow_path *slow = slow_path_of();

	if (!slow || !opens_flow(pkt) || entity_of(&pkt->tuple.saddr) != ENTITY_WORLD)
		return;
	slow->tuple = pkt->tuple;
	slow->forward = (struct ct_entry){
		.saddr = pkt->tuple.saddr,
		.daddr = pkt->tuple.daddr,
		.dport = pkt->tuple.dport,
		.flags = CT_LOCAL,
		.reply_flags = CT_REPLY,
	};
	flow_open(ctx, 1);
}

#endif /* LIB_MASQUERADE_H */
