/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ENDPOINT_H
#define LIB_ENDPOINT_H

#include "addr.h"

/*
 * The pods of this node, by address and by device. The agent writes a pod's
 * device before its addresses and removes them in the opposite order.
 */

/* How a frame gets to a pod: the Ethernet addresses it must carry, in frame order. */
struct endpoint {
	__u8 pod_mac[ETH_ALEN]; /* destination */
	__u8 lxc_mac[ETH_ALEN]; /* source */
	__u32 ifindex;		/* of the lxc device */
	__u32 on_wire;		/* 1: its TCP sessions are never redirected past the programs on devices */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct addr);
	__type(value, struct endpoint);
	__uint(max_entries, 512);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} endpoints SEC(".maps");

static __always_inline const struct endpoint *endpoint_lookup(const struct addr *addr)
{
	return bpf_map_lookup_elem(&endpoints, addr);
}

/* Where a packet comes from. */
enum side {
	INSIDE,	 /* a pod of this node */
	OUTSIDE, /* the NIC */
};

/*
 * The lookup found no pod. Beside a test of another pointer a plain !pod becomes
 * arithmetic on both in the compiler's hands, and verifiers refuse that.
 */
static __always_inline bool endpoint_none(const struct endpoint *pod)
{
	barrier_var(pod);
	return !pod;
}

/* Whose packets come in by an lxc device. A family the pod lacks is all zero. */
struct device {
	struct addr ipv4;
	struct addr ipv6;
	__u8 lxc_mac[ETH_ALEN];
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32); /* interface index of the lxc device */
	__type(value, struct device);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} devices SEC(".maps");

static __always_inline const struct device *device_lookup(__u32 ifindex)
{
	return bpf_map_lookup_elem(&devices, &ifindex);
}

#endif /* LIB_ENDPOINT_H */
