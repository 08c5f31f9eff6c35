/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_FLOW_H
#define LIB_FLOW_H

#include "snat.h"

/*
 * Opening a flow: who wants one says in slow_path.forward what becomes of the
 * packets of slow_path.tuple, and both entries go into conntrack, that of the
 * answers first, since it is what reserves the source port.
 */

/* Uses the entry at key, which was there just now: that of this flow or of another that was quicker. */
static __always_inline int flow_use(const struct tuple *key, __u64 now)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&ct, key);

	return entry && ct_use(entry, key, now) ? DROP_NONE : DROP_CT_EXPIRED;
}

/* Makes the reply entry, and with that completes slow_path.forward. Returns a drop reason. */
static __always_inline int flow_reserve(struct context *ctx, struct slow_path *slow, __u32 tries)
{
	const struct tuple *tuple = &slow->tuple;
	struct ct_entry *forward = &slow->forward;
	long err;

	/* A second time when another CPU was quicker to use the port that we found. */
	for (int attempt = 0; attempt < 2; attempt++) {
		int port = snat_find_port(tries);

		if (port == PORT_TAKEN)
			return DROP_SNAT_NO_PORT;
		if (port == PORT_OURS && flow_use(&slow->reply_key, forward->last_seen))
			return DROP_CT_EXPIRED; /* the port may be another's in a moment */
		if (forward->sport != tuple->sport) { /* else a flow that goes where it was sent stays as it is */
			forward->flags |= CT_TRANSLATE;
			forward->reply_flags |= CT_TRANSLATE;
		}
		forward->port_csum = csum_change(csum_change_port(tuple->sport, forward->sport) +
						 csum_change_port(tuple->dport, forward->dport));
		ct_make_reply(ctx, slow, forward);
		err = bpf_map_update_elem(&ct, &slow->reply_key, &slow->reply, port == PORT_OURS ? BPF_ANY : BPF_NOEXIST);
		if (err != -EEXIST)
			return err ? DROP_CT_FULL : DROP_NONE;
	}
	return DROP_SNAT_NO_PORT;
}

static __always_inline void flow_begin(struct slow_path *slow)
{
	bool tcp = slow->tuple.proto == IPPROTO_TCP;

	slow->forward.last_seen = bpf_ktime_get_ns();
	slow->forward.state = tcp ? CT_OPENING : CT_STATELESS;
	slow->forward.tick = tcp ? ct_tick() - 1 : ct_tick(); /* see ct_note() */
}

/*
 * Opens the flow of slow_path.tuple with slow_path.forward, in which source
 * port, checksums, state and time are still to be decided, by at most so many
 * tries for the port. After success ct holds the flow: this one, or what another
 * CPU made of it meanwhile. Returns a drop reason.
 */
__noinline int flow_open(struct context *ctx, __u32 tries)
{
	struct slow_path *slow = slow_path_of();
	const struct ct_entry *winner;
	struct tuple key;
	int reason;
	long err;

	if (!slow)
		return DROP_CT_FULL;
	if (addr_is_zero(&slow->forward.saddr))
		return DROP_SNAT_NO_ADDRESS;
	slow->forward.addr_csum = csum_change(csum_change_addr(&slow->tuple.saddr, &slow->forward.saddr) +
					      csum_change_addr(&slow->tuple.daddr, &slow->forward.daddr));
	flow_begin(slow);
	reason = flow_reserve(ctx, slow, tries);
	if (reason)
		return reason;
	err = bpf_map_update_elem(&ct, &slow->tuple, &slow->forward, BPF_NOEXIST);
	if (!err)
		return DROP_NONE;

	/* Another CPU was quicker, or the table is full. */
	winner = bpf_map_lookup_elem(&ct, &slow->tuple);
	if (winner)
		ct_other_key(&key, winner, slow->tuple.proto);
	if (!winner || !tuple_equal(&key, &slow->reply_key))
		bpf_map_delete_elem(&ct, &slow->reply_key);
	return err == -EEXIST ? flow_use(&slow->tuple, slow->forward.last_seen) : DROP_CT_FULL;
}

/* Opens it for a flow whose answers do not come by here: one entry, which reserves nothing. Returns a drop reason. */
__noinline int flow_open_forward(void)
{
	struct slow_path *slow = slow_path_of();
	long err;

	if (!slow)
		return DROP_CT_FULL;
	flow_begin(slow);
	err = bpf_map_update_elem(&ct, &slow->tuple, &slow->forward, BPF_NOEXIST);
	if (err != -EEXIST)
		return err ? DROP_CT_FULL : DROP_NONE;
	return flow_use(&slow->tuple, slow->forward.last_seen);
}

#endif /* LIB_FLOW_H */
