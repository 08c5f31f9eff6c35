/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_AFFINITY_H
#define LIB_AFFINITY_H

#include "service.h"

/*
 * Session affinity: a client keeps its backend for a time after its last new
 * flow, as long as the backend is one that new flows may have. Entries are kept
 * by what the client is to the program: its address, or whatever else tells
 * clients apart. The table evicts who was quiet for longest; it then chooses
 * anew.
 */

struct client {
	struct addr addr;
	__u32 set; /* its id */
	__u32 pad;
};

struct affinity {
	__u32 backend; /* its id */
	__u32 pad;
	__u64 last_flow; /* ns of bpf_ktime_get_ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct client);
	__type(value, struct affinity);
	__uint(max_entries, 16384);
} affinities SEC(".maps");

/* Which backends are in a set, by their ids; only sets of services with affinity are here. */
struct member {
	__u32 set;
	__u32 backend;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct member);
	__type(value, __u32); /* number of the backend */
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} members SEC(".maps");

/* The backend that an entry remembers; NULL: the time is over, or the backend gone from the set. */
static __always_inline const struct backend *affinity_backend(const struct affinity *affinity, __u32 set, __u32 timeout,
							      __u64 now)
{
	struct member key = {.set = set, .backend = affinity->backend};
	const struct backend *backend;
	__u32 *number;

	if (now - affinity->last_flow > timeout * 1000000ULL)
		return NULL;
	number = bpf_map_lookup_elem(&members, &key);
	backend = number ? bpf_map_lookup_elem(&backends, number) : NULL;
	return backend && backend->id == key.backend ? backend : NULL;
}

/* The backend of a new flow of addr: the client's own, else the one that hash chooses, which then is its own. */
static __always_inline const struct backend *affinity_choose(const struct set *set, __u32 timeout,
							     const struct addr *addr, __u32 hash)
{
	struct client client = {.addr = *addr, .set = set->id};
	struct affinity *known = bpf_map_lookup_elem(&affinities, &client);
	struct affinity affinity = {.last_flow = bpf_ktime_get_ns()};
	const struct backend *backend = NULL;

	if (known)
		backend = affinity_backend(known, set->id, timeout, affinity.last_flow);
	if (backend) {
		known->last_flow = affinity.last_flow;
		return backend;
	}
	backend = set_choose(set, hash);
	if (!backend)
		return NULL;
	affinity.backend = backend->id;
	if (bpf_map_update_elem(&affinities, &client, &affinity, known ? BPF_ANY : BPF_NOEXIST) == -EEXIST) {
		/* Another flow of the client was quicker, on another CPU: its choice holds. */
		known = bpf_map_lookup_elem(&affinities, &client);
		if (known) {
			const struct backend *chosen = affinity_backend(known, set->id, timeout, affinity.last_flow);

			if (chosen)
				return chosen;
		}
	}
	return backend;
}

/* The backend of a new flow of addr to service, from one of its sets; NULL: there is none in it. */
static __always_inline const struct backend *backend_choose(const struct service *service, const struct set *set,
							    const struct addr *addr, __u32 hash)
{
	return service->affinity ? affinity_choose(set, service->affinity, addr, hash) : set_choose(set, hash);
}

#endif /* LIB_AFFINITY_H */
