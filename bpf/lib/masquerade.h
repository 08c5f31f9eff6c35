/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_MASQUERADE_H
#define LIB_MASQUERADE_H

#include "endpoint.h"
#include "flow.h"
#include "ipcache.h"

/*
 * A pod that talks to the world does so under the node's address, for the world
 * has no route to pods; towards pods and nodes it keeps its own, and so does
 * what it answers to the world: see bypass.h.
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

#endif /* LIB_MASQUERADE_H */
