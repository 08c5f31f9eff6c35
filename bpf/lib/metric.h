/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_METRIC_H
#define LIB_METRIC_H

#include "drop.h"

/*
 * How many packets, or calls on a socket, each program treated in which way.
 * The C names of points and verdicts are the words that users see.
 */

enum __attribute__((packed)) trace_point {
	POINT_XDP,
	POINT_FROM_CONTAINER,
	POINT_TO_CONTAINER,
	POINT_FROM_NETDEV,
	POINT_TO_NETDEV,
	POINT_FROM_NETWORK,
	POINT_CONNECT, /* system calls on a socket, from here on */
	POINT_SENDMSG,
	POINT_RECVMSG,
	POINT_GETPEERNAME,
};

enum __attribute__((packed)) verdict {
	VERDICT_PASS, /* on to the kernel's stack, or out as it was going */
	VERDICT_TX,   /* back out of the device it came in by */
	VERDICT_REDIRECT,
	VERDICT_REDIRECT_PEER,
	VERDICT_REDIRECT_NEIGH,
	VERDICT_DROP,
	VERDICT_REJECT, /* dropped; an ICMP error about it goes to its sender, back out of the device it came in by */
	VERDICT_BALANCE, /* a service's address became a backend's */
	VERDICT_RESTORE, /* and was given back to the application */
};

struct metric {
	__u64 packets;
	__u64 bytes;
};

/*
 * One row of METRIC_SLOTS counters per point: the verdicts, then in METRIC_EARLY
 * fragments that came before the first of their datagram, in METRIC_LOST the
 * events that found the ring buffer full, and from METRIC_DROPS on the drops by
 * reason, whether the sender was told or not.
 */
#define METRIC_SLOTS 64
#define METRIC_EARLY 14
#define METRIC_LOST 15
#define METRIC_DROPS 16
#define METRIC_ROWS 16 /* points, and room for more */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct metric);
	__uint(max_entries, METRIC_ROWS *METRIC_SLOTS);
} metrics SEC(".maps");

static __always_inline void count(__u32 row, __u32 slot, __u32 bytes)
{
	__u32 key = row * METRIC_SLOTS + slot;
	struct metric *metric = bpf_map_lookup_elem(&metrics, &key);

	if (metric) {
		metric->packets++;
		metric->bytes += bytes;
	}
}

/* A call on a socket. Its program runs in the caller's process, which another on the same CPU may interrupt. */
static __always_inline void count_call(__u32 row, __u32 slot)
{
	__u32 key = row * METRIC_SLOTS + slot;
	struct metric *metric = bpf_map_lookup_elem(&metrics, &key);

	if (metric)
		__sync_fetch_and_add(&metric->packets, 1);
}

#endif /* LIB_METRIC_H */
