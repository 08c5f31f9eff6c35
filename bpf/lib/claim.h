/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CLAIM_H
#define LIB_CLAIM_H

#include "tuple.h"

/*
 * Whom the answers to a tuple are for, even after conntrack has evicted the entry
 * that said so. A flow claims the tuple of its answers before it uses it, and for
 * a while after it was last used no other flow gets that tuple. So an answer that
 * comes late finds its own flow or none.
 *
 * Claims lie in an array, which evicts nothing: each tuple falls on a set, and
 * where a set is full of claims that last, the tuples that fall there are taken:
 * a flow that chooses a port tries the next. A flow that was idle while others
 * filled its set, and is used again, notes that in the set, which then takes
 * nobody until that is as long ago.
 *
 * 4 seconds: use is noted once a tick, so on kernels of 250 Hz and more at least 3
 * of them are after the flow's last packet, and an answer that was lost is sent
 * again after 1 second and after 3 (RFC 6298, 2.1 and 5.5). Longer would keep out
 * new flows that could be served: there are claims for 20,000 a second. A flow
 * that is removed because it was idle gives its claim back.
 */
struct claim {
	__u32 tuple; /* tuple_hash() of the answers */
	__u32 owner; /* claim_owner() of the flow; 0: of nobody */
	__u32 used;  /* when the flow last was, see claim_time() */
};

#define CLAIMS_IN_SET 5

/* 64 bytes: one cache line. */
struct claim_set {
	struct claim claims[CLAIMS_IN_SET];
	__u32 missed; /* when a flow was last used whose claim is not here; 0: never */
};

/* In units of 2^20 ns, about a millisecond. They wrap after 52 days: what was claimed then looks claimed for 4 seconds. */
#define CLAIM_TIME_SHIFT 20
#define CLAIM_LASTS (4000000000ULL >> CLAIM_TIME_SHIFT)

/* How many there are, as the agent made the map. */
const volatile __u32 claim_sets = 16384;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct claim_set);
	__uint(max_entries, 16384);
} claims SEC(".maps");

/* Atomic operations that compare, or return anything, came with 5.12. */
#define CLAIM_LOCKS 256

struct claim_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct claim_lock);
	__uint(max_entries, CLAIM_LOCKS);
} claim_locks SEC(".maps");

/* The set of tuples with that hash, by all of its bits. */
static __always_inline __u32 claim_number(__u32 tuple)
{
	return ((__u64)(tuple * 0x9e3779b1U) * claim_sets) >> 32;
}

static __always_inline struct claim_set *claim_set_of(__u32 number)
{
	return bpf_map_lookup_elem(&claims, &number);
}

static __always_inline struct claim_lock *claim_lock_of(__u32 number)
{
	number %= CLAIM_LOCKS;
	return bpf_map_lookup_elem(&claim_locks, &number);
}

/* Names a flow by the tuple of its requests. */
static __always_inline __u32 claim_owner(const struct tuple *requests)
{
	__u32 hash = tuple_hash(requests);

	return hash ? hash : 1;
}

static __always_inline __u32 claim_time(__u64 now)
{
	return now >> CLAIM_TIME_SHIFT;
}

static __always_inline bool claim_lasts(const struct claim *claim, __u32 time)
{
	return claim->owner && time - claim->used < CLAIM_LASTS;
}

static __always_inline void claim_write(struct claim *claim, __u32 tuple, __u32 owner, __u32 time)
{
	claim->tuple = tuple;
	claim->owner = owner;
	claim->used = time;
}

/* Claims a tuple in set for owner, if it is free. Returns whether it is owner's now. */
static __always_inline bool claim_in(struct claim_set *set, __u32 tuple, __u32 owner, __u32 time)
{
	struct claim *claim;

	for (int i = 0; i < CLAIMS_IN_SET; i++) {
		claim = &set->claims[i];
		if (claim->tuple != tuple || !claim_lasts(claim, time))
			continue;
		if (claim->owner != owner)
			return false;
		claim->used = time;
		return true;
	}
	if (set->missed && time - set->missed < CLAIM_LASTS)
		return false;
	for (int i = 0; i < CLAIMS_IN_SET; i++) {
		claim = &set->claims[i];
		if (claim_lasts(claim, time))
			continue;
		claim_write(claim, tuple, owner, time);
		return true;
	}
	return false;
}

/*
 * Claims the tuple of answers for a flow that is about to use it. Returns whether it may. Global, as the next one: the
 * verifier reads it once.
 */
__noinline int claim_take(__u32 tuple, __u32 owner, __u32 time)
{
	__u32 number = claim_number(tuple);
	struct claim_lock *lock = claim_lock_of(number);
	struct claim_set *set = claim_set_of(number);
	bool may;

	if (!lock || !set)
		return false;
	bpf_spin_lock(&lock->lock);
	may = claim_in(set, tuple, owner, time);
	bpf_spin_unlock(&lock->lock);
	return may;
}

/* Notes that a flow which has the tuple is in use, whoever has claimed it. */
__noinline int claim_use(__u32 tuple, __u32 owner, __u32 time)
{
	__u32 number = claim_number(tuple);
	struct claim_lock *lock = claim_lock_of(number);
	struct claim_set *set = claim_set_of(number);

	if (!lock || !set)
		return 0;
	bpf_spin_lock(&lock->lock);
	if (!claim_in(set, tuple, owner, time))
		set->missed = time | 1;
	bpf_spin_unlock(&lock->lock);
	return 0;
}

/* Gives back the claim of a flow that is removed. */
static __always_inline void claim_release(__u32 tuple, __u32 owner)
{
	__u32 number = claim_number(tuple);
	struct claim_lock *lock = claim_lock_of(number);
	struct claim_set *set = claim_set_of(number);

	if (!lock || !set)
		return;
	bpf_spin_lock(&lock->lock);
	for (int i = 0; i < CLAIMS_IN_SET; i++) {
		if (set->claims[i].tuple == tuple && set->claims[i].owner == owner)
			set->claims[i].owner = 0;
	}
	bpf_spin_unlock(&lock->lock);
}

#endif /* LIB_CLAIM_H */
