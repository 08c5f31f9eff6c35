/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_LB_H
#define LIB_LB_H

#include "tuple.h"

/*
 * Services and their backends.
 *
 * services names, per frontend, a set of slots and their number in ONE value;
 * slots names the backend in each; backends says where it is. To change a
 * service, the agent writes a whole new set of slots under a number never used
 * before, then the service's value in one map update, then removes the old
 * slots. A program that read the old value just before finds old slots, or,
 * once they are gone, none: it reads the service again. So every packet sees
 * the backends of before or of after, never a mixture.
 */

struct frontend {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 scope; /* 0, until a frontend has one set of backends for the inside and one for the outside */
	__u8 pad[4];
};

enum __attribute__((packed)) service_flag {
	SERVICE_EXTERNAL = 1, /* also for packets from outside: NodePort */
};

struct service {
	__u32 set;   /* of slots */
	__u16 count; /* of slots in the set, 0: no backend */
	enum service_flag flags;
	__u8 pad;
} __attribute__((aligned(8)));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct frontend);
	__type(value, struct service);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} services SEC(".maps");

struct slot {
	__u32 set;
	__u32 index; /* from 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct slot);
	__type(value, __u32); /* a backend's number */
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} slots SEC(".maps");

struct backend {
	struct addr addr;
	__be16 port;
	__u8 proto;
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} backends SEC(".maps");

static __always_inline const struct service *service_lookup(const struct tuple *tuple)
{
	struct frontend key = {.addr = tuple->daddr, .port = tuple->dport, .proto = tuple->proto};

	return bpf_map_lookup_elem(&services, &key);
}

/* The value of one moment: set and count belong together, so one load reads both. */
static __always_inline struct service service_read(const struct service *service)
{
	union {
		__u64 whole;
		struct service service;
	} value = {.whole = *(const volatile __u64 *)service};

	return value.service;
}

static __always_inline const struct backend *backend_in_slot(struct service service, __u32 hash)
{
	struct slot slot = {.set = service.set, .index = ((__u64)hash * service.count) >> 32};
	__u32 *number;

	if (service.count == 0)
		return NULL;
	number = bpf_map_lookup_elem(&slots, &slot);
	return number ? bpf_map_lookup_elem(&backends, number) : NULL;
}

/* The backend of a new flow to service; NULL when the service has none. */
static __always_inline const struct backend *backend_select(const struct service *service, const struct tuple *tuple)
{
	__u32 hash = tuple_hash(tuple);
	const struct backend *backend = backend_in_slot(service_read(service), hash);

	if (backend)
		return backend;
	service = service_lookup(tuple); /* changed while we looked? */
	return service ? backend_in_slot(service_read(service), hash) : NULL;
}

#endif /* LIB_LB_H */
