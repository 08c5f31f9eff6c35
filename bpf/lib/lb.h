/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_LB_H
#define LIB_LB_H

#include "endpoint.h"
#include "ipcache.h"
#include "snat.h"

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

/* Where a packet comes from. */
enum side {
	INSIDE,	 /* a pod of this node */
	OUTSIDE, /* the NIC */
};

/*
 * Whether the backend must answer to this node's own address, so that the answer
 * comes by here: from outside, when the backend is on another node; from a pod,
 * when the backend is outside the cluster or is the pod itself, which would not
 * take a packet from its own address.
 */
static __always_inline bool lb_needs_snat(const struct tuple *tuple, const struct backend *backend, bool local,
					  enum side side)
{
	if (side == OUTSIDE)
		return !local;
	if (local)
		return addr_equal(&backend->addr, &tuple->saddr);
	return entity_of(&backend->addr) == ENTITY_WORLD;
}

static __always_inline enum ct_flag lb_reply_flags(bool local_pod, bool local, enum side side)
{
	enum ct_flag flags = CT_REPLY | CT_TRANSLATE;

	if (side == INSIDE)
		flags |= CT_LOCAL;
	if (local && !local_pod)
		flags |= CT_EGRESS; /* the node's own stack answers */
	return flags;
}

/* Opens the flow of slow_path.tuple to a backend of its service. Returns a drop reason. */
__noinline int lb_open_flow(struct context *ctx, enum side side, __u32 ipv6)
{
	struct slow_path *slow = slow_path_of();
	const struct service *service;
	const struct backend *backend;
	struct ct_entry *forward;
	bool local_pod, local;

	if (!slow)
		return DROP_CT_FULL;
	service = service_lookup(&slow->tuple);
	backend = service ? backend_select(service, &slow->tuple) : NULL;
	if (!backend)
		return DROP_NO_BACKEND;

	local_pod = endpoint_lookup(&backend->addr);
	local = local_pod || is_node_address(&backend->addr);
	forward = &slow->forward;
	__builtin_memset(forward, 0, sizeof(*forward));
	forward->flags = local ? CT_TRANSLATE | CT_LOCAL : CT_TRANSLATE;
	forward->reply_flags = lb_reply_flags(local_pod, local, side);
	forward->saddr = slow->tuple.saddr;
	if (lb_needs_snat(&slow->tuple, backend, local, side))
		addr_set_node(&forward->saddr, ipv6);
	forward->daddr = backend->addr;
	forward->dport = backend->port;
	return flow_open(ctx, SNAT_TRIES);
}

/*
 * Opens a flow to the service that pkt is addressed to. *entry is the flow, or
 * NULL when there is no such service. Returns a drop reason.
 */
static __always_inline int lb_open(struct context *ctx, const struct packet *pkt, enum side side,
				   struct ct_entry **entry)
{
	const struct service *service = service_lookup(&pkt->tuple);
	struct slow_path *slow;
	int reason;

	*entry = NULL;
	if (!service || (side == OUTSIDE && !(service->flags & SERVICE_EXTERNAL)))
		return DROP_NONE;
	if (pkt->fragment)
		return DROP_FRAGMENT;
	slow = slow_path_of();
	if (!slow)
		return DROP_CT_FULL;
	slow->tuple = pkt->tuple;
	reason = lb_open_flow(ctx, side, pkt->ipv6);
	if (reason)
		return reason;
	*entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	return *entry ? DROP_NONE : DROP_CT_FULL; /* evicted already */
}

#endif /* LIB_LB_H */
