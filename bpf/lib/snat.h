/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SNAT_H
#define LIB_SNAT_H

#include "ct.h"

/*
 * Opening a flow, and with it choosing its source port. A port is free when the
 * answers to it have no entry yet: ports are per remote address, port and
 * protocol, so a node can have many more masqueraded flows than ports.
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

/* Finds a port for forward by at most so many tries. key becomes that of the reply entry. */
static __always_inline enum port_state snat_find_port(const struct tuple *tuple, struct ct_entry *forward,
						      struct tuple *key, __u32 tries)
{
	__u32 hash = tuple_hash(tuple);

	forward->sport = snat_keeps_port(tuple, forward) ? tuple->sport : snat_port(hash, 0);
	for (__u32 try = 1; try <= tries && try <= SNAT_TRIES; try++) {
		const struct ct_entry *taken;

		ct_other_key(key, forward, tuple->proto);
		taken = bpf_map_lookup_elem(&ct, key);
		if (!taken)
			return PORT_FREE;
		if (ct_undoes(taken, tuple))
			return PORT_OURS;
		forward->sport = snat_port(hash, try);
	}
	return PORT_TAKEN;
}

/* Makes the reply entry, at key, and with that completes slow_path.forward. Returns a drop reason. */
static __always_inline int flow_reserve(struct context *ctx, struct slow_path *slow, struct tuple *key, __u32 tries)
{
	const struct tuple *tuple = &slow->tuple;
	struct ct_entry *forward = &slow->forward;
	long err;

	/* A second time when another CPU was quicker to use the port that we found. */
	for (int attempt = 0; attempt < 2; attempt++) {
		enum port_state port = snat_find_port(tuple, forward, key, tries);

		if (port == PORT_TAKEN)
			return DROP_SNAT_NO_PORT;
		forward->port_csum = csum_change(csum_change_port(tuple->sport, forward->sport) +
						 csum_change_port(tuple->dport, forward->dport));
		ct_make_reply(ctx, slow, forward);
		err = bpf_map_update_elem(&ct, key, &slow->reply, port == PORT_OURS ? BPF_ANY : BPF_NOEXIST);
		if (err != -EEXIST)
			return err ? DROP_CT_FULL : DROP_NONE;
	}
	return DROP_CT_FULL;
}

/*
 * Opens the flow of slow_path.tuple with slow_path.forward, in which source
 * port, checksums and time are still to be decided, by at most so many tries for
 * the port. After success ct holds the flow: this one, or what another CPU made
 * of it meanwhile. Returns a drop reason.
 */
__noinline int flow_open(struct context *ctx, __u32 tries)
{
	struct slow_path *slow = slow_path_of();
	struct tuple key, winners_key;
	const struct ct_entry *winner;
	int reason;

	if (!slow)
		return DROP_CT_FULL;
	if (addr_is_zero(&slow->forward.saddr))
		return DROP_SNAT_NO_ADDRESS;
	slow->forward.addr_csum = csum_change(csum_change_addr(&slow->tuple.saddr, &slow->forward.saddr) +
					      csum_change_addr(&slow->tuple.daddr, &slow->forward.daddr));
	slow->forward.last_seen = bpf_ktime_get_ns();
	slow->forward.tick = ct_tick();
	reason = flow_reserve(ctx, slow, &key, tries);
	if (reason)
		return reason;
	if (!bpf_map_update_elem(&ct, &slow->tuple, &slow->forward, BPF_NOEXIST))
		return DROP_NONE;

	winner = bpf_map_lookup_elem(&ct, &slow->tuple);
	if (winner) {
		ct_other_key(&winners_key, winner, slow->tuple.proto);
		if (tuple_equal(&winners_key, &key))
			return DROP_NONE;
	}
	bpf_map_delete_elem(&ct, &key);
	return winner ? DROP_NONE : DROP_CT_FULL;
}

/* Opens it for a flow whose answers do not come by here: one entry, which reserves nothing. Returns a drop reason. */
static __always_inline int flow_open_forward(struct slow_path *slow)
{
	long err;

	slow->forward.last_seen = bpf_ktime_get_ns();
	slow->forward.tick = ct_tick();
	err = bpf_map_update_elem(&ct, &slow->tuple, &slow->forward, BPF_NOEXIST);
	return err && err != -EEXIST ? DROP_CT_FULL : DROP_NONE;
}

#endif /* LIB_SNAT_H */
