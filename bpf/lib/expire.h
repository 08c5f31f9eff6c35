/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_EXPIRE_H
#define LIB_EXPIRE_H

#include "claim.h"
#include "ct.h"

/*
 * Removing idle flows, both entries together. The agent reads conntrack, which
 * takes a while, and says what it found; what has been used since stays.
 */

/* A flow to remove, by the key of either entry, if none of both was used after idle_since. */
struct ct_idle {
	struct tuple key;
	__u64 idle_since; /* ns of bpf_ktime_get_ns */
};

#define CT_IDLE_MAX 64 /* of them in a packet, which must fit into a page */

/* Marks an entry, so that no packet uses it any more; false: one has used it. */
static __always_inline bool ct_mark(struct ct_entry *entry, const struct tuple *key, __u64 idle_since)
{
	struct ct_lock *lock = ct_lock_of(key);
	bool idle;

	if (!lock)
		return false;
	bpf_spin_lock(&lock->lock);
	idle = entry->last_seen <= idle_since;
	if (idle)
		entry->state = CT_EXPIRED;
	bpf_spin_unlock(&lock->lock);
	return idle;
}

/* Takes the mark off again. (An entry without one may be another flow's by now.) */
static __always_inline void ct_unmark(struct ct_entry *entry, const struct tuple *key, enum ct_state state)
{
	struct ct_lock *lock = ct_lock_of(key);

	if (!lock)
		return;
	bpf_spin_lock(&lock->lock);
	if (entry->state == CT_EXPIRED)
		entry->state = state;
	bpf_spin_unlock(&lock->lock);
}

/* Removes the flow of the struct ct_idle at off of the packet, if it may. Returns how many entries it removed. */
__noinline int ct_expire_flow(struct context *ctx, __u32 off)
{
	const struct ct_idle *idle = off < CT_IDLE_MAX * sizeof(*idle) ? ctx_at(ctx, off, sizeof(*idle)) : NULL;
	struct ct_entry *entry, *other;
	struct tuple key, other_key;
	__u64 idle_since;
	enum ct_state state;
	bool reply;

	if (!idle)
		return 0;
	key = idle->key;
	idle_since = idle->idle_since;
	entry = bpf_map_lookup_elem(&ct, &key);
	if (!entry)
		return 0;
	ct_other_key(&other_key, entry, key.proto);
	other = bpf_map_lookup_elem(&ct, &other_key);
	if (other && !ct_undoes(other, &key))
		other = NULL; /* another flow's */
	state = entry->state;
	reply = entry->flags & CT_REPLY;
	if (!ct_mark(entry, &key, idle_since))
		return 0;
	if (other && !ct_mark(other, &other_key, idle_since)) {
		ct_unmark(entry, &key, state);
		return 0;
	}
	/* From here on no packet finds the flow, or makes a new one in its place, until both entries are gone. */
	if (other)
		bpf_map_delete_elem(&ct, &other_key);
	bpf_map_delete_elem(&ct, &key);
	if (reply)
		claim_release(tuple_hash(&key), claim_owner(&other_key));
	else
		claim_release(tuple_hash(&other_key), claim_owner(&key));
	return other ? 2 : 1;
}

#endif /* LIB_EXPIRE_H */
