/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SNAT_H
#define LIB_SNAT_H

#include "claim.h"
#include "ct.h"

/*
 * Finding a source port for a flow that is opened. A port is free when the
 * answers to it have no entry, and had none of another flow until just now (see
 * claim.h): ports are per remote address, port and protocol, so a node can have
 * many more masqueraded flows than ports.
 *
 * The sender's own port is tried first: always when the packet keeps its source
 * address (then it is only taken when another of the sender's flows ends at the
 * same backend), and with the node's address when it is in the reserved range,
 * where no socket of the node can have it. Ports of the range follow, in an
 * order that the flow's tuple decides.
 */
#define SNAT_TRIES 32

static __always_inline bool snat_keeps_port(const struct tuple *tuple, const struct ct_entry *forward)
{
	__u16 port = bpf_ntohs(tuple->sport);

	return addr_equal(&forward->saddr, &tuple->saddr) ||
	       (port >= config.snat_port_min && port <= config.snat_port_max);
}

/* The odd stride visits every port of a range whose size is a power of two. */
static __always_inline __be16 snat_port(__u32 hash, __u32 try)
{
	__u32 ports = config.snat_port_max - config.snat_port_min + 1;
	__u32 stride = (hash >> 16) | 1;

	return bpf_htons(config.snat_port_min + (hash + try * stride) % ports);
}

enum port_state {
	PORT_TAKEN, /* by another flow */
	PORT_FREE,
	PORT_OURS, /* this flow has a reply entry there already */
};

/*
 * Finds a port for slow_path.forward, to slow_path.tuple, by at most so many
 * tries, and claims it; reply_key becomes that of the reply entry. The first half of SNAT_TRIES
 * follows the tuple, so that a flow which lost its forward entry finds its port
 * again; the second is anywhere, so that who found none and tries again does not
 * look at the same ones. Returns a port_state.
 */
__noinline int snat_find_port(__u32 tries)
{
	struct slow_path *slow = slow_path_of();
	__u32 hash, owner, time;

	if (!slow)
		return PORT_TAKEN;
	hash = tuple_hash(&slow->tuple);
	owner = claim_owner(&slow->tuple);
	time = claim_time(slow->forward.last_seen);
	slow->forward.sport = snat_keeps_port(&slow->tuple, &slow->forward) ? slow->tuple.sport : snat_port(hash, 0);
	for (__u32 try = 1; try <= tries && try <= SNAT_TRIES; try++) {
		const struct ct_entry *taken;

		ct_other_key(&slow->reply_key, &slow->forward, slow->tuple.proto);
		taken = bpf_map_lookup_elem(&ct, &slow->reply_key);
		if (!taken && claim_take(tuple_hash(&slow->reply_key), owner, time))
			return PORT_FREE;
		if (taken && ct_undoes(taken, &slow->tuple)) {
			claim_use(tuple_hash(&slow->reply_key), owner, time);
			return PORT_OURS;
		}
		slow->forward.sport = try < SNAT_TRIES / 2 ? snat_port(hash, try) : snat_port(bpf_get_prandom_u32(), 0);
	}
	return PORT_TAKEN;
}

#endif /* LIB_SNAT_H */
