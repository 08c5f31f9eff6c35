/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SERVICE_H
#define LIB_SERVICE_H

#include "tuple.h"

/*
 * Services and their backends: which backend a new flow to a frontend gets.
 * Nothing here needs a packet; a program at a socket asks the same way.
 *
 *	frontends  hash    what clients address -> number of the frontend
 *	leads_to   array   number of the frontend -> number of its service
 *	services   array   number of the service -> its sets of backends and options
 *	slots      array   a set is a range of slots: a list of backends, or a
 *	                   Maglev table of them -> number of the backend in each
 *	backends   array   number of the backend -> its address
 *
 * So a choice costs one hash lookup and four array reads, however many
 * services there are and however large their tables.
 *
 * Nothing that a program can find is ever written, but for leads_to. To change a
 * service, the agent fills slots, backends and a service that nobody refers to
 * yet, then stores the one number in leads_to, which is the whole change. What
 * the old number led to stays as it is until every program has ended that might
 * have read it (the agent has the kernel wait for that), and only then is used
 * again. So a packet sees the service of before or of after, never a mixture.
 *
 * Why not a number of the service in the hash: a hash's element is not rewritten
 * but replaced, and the old one used again at once, while programs read it. Who
 * walks along a bucket and stands on an element that is moved to its head walks
 * on from there, and misses what was replaced meanwhile: a frontend that is there
 * all the time seems to be gone. Elements that stay are never missed, and those of
 * frontends stay while there is a service. When one goes, its element may become
 * another's between lookup and read: so a service says whose it is.
 */

struct frontend {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct frontend);
	__type(value, __u32); /* number of the frontend */
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} frontends SEC(".maps");

/* In the agent's memory, which stores a number at once; a system call would copy it, by bytes for all we know. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32); /* number of the service */
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
} leads_to SEC(".maps");

/* A range of slots. */
struct set {
	__u32 first;
	__u32 count; /* 0: no backend */
	__u32 id;    /* stays while backends come and go, for what remembers who chose from it */
};

enum __attribute__((packed)) service_flag {
	SERVICE_EXTERNAL = 1,	    /* for packets from outside too */
	SERVICE_EXTERNAL_LOCAL = 2, /* packets from the world choose among the backends of this node */
	SERVICE_BACKENDS = 4,	    /* there are backends, though a set may have none of them */
	SERVICE_SOURCES = 8,	    /* only for those clients that sources names */
	SERVICE_NODE_PORT = 16,	    /* the same at this port of every node */
	SERVICE_DSR = 32,	    /* backends on other machines answer packets from outside themselves: see dsr.h */
};

struct service {
	struct frontend frontend; /* whose it is */
	struct set inside;	  /* for pods and nodes of the cluster */
	struct set outside;	  /* for the world */
	__u32 affinity;		  /* ms for which a client keeps its backend after its last flow; 0: none */
	__u32 sources;		  /* number of the list of clients, with SERVICE_SOURCES */
	enum service_flag flags;
	__u8 pad[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct service);
	__uint(max_entries, 16384);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32); /* number of the backend */
	__uint(max_entries, 262144);
} slots SEC(".maps");

struct backend {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
	__u32 id; /* never given to another backend, as its number is once nobody refers to it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(max_entries, 16384);
} backends SEC(".maps");

static __always_inline bool frontend_equal(const struct frontend *a, const struct frontend *b)
{
	return addr_equal(&a->addr, &b->addr) && a->port == b->port && a->proto == b->proto;
}

/* The service of frontend, which had that number just now; NULL: there is none any more. It holds to the end of the run. */
static __always_inline const struct service *service_of(const struct frontend *frontend, __u32 number)
{
	const __u32 *leads = bpf_map_lookup_elem(&leads_to, &number);
	const struct service *service;

	if (!leads)
		return NULL;
	number = *leads;
	service = bpf_map_lookup_elem(&services, &number);
	return service && frontend_equal(&service->frontend, frontend) ? service : NULL;
}

/* The service of frontend; NULL: none. */
static __always_inline const struct service *service_find(const struct frontend *frontend)
{
	const __u32 *number = bpf_map_lookup_elem(&frontends, frontend);

	return number ? service_of(frontend, *number) : NULL;
}

/* The backend in the slot that hash, any 32 bits, chooses; NULL: the set has none. */
static __always_inline const struct backend *set_choose(const struct set *set, __u32 hash)
{
	__u32 slot = set->first + (((__u64)hash * set->count) >> 32);
	__u32 *number;

	if (set->count == 0)
		return NULL;
	number = bpf_map_lookup_elem(&slots, &slot);
	return number ? bpf_map_lookup_elem(&backends, number) : NULL;
}

#endif /* LIB_SERVICE_H */
