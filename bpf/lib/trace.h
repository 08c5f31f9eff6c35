/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H

#include "config.h"
#include "drop.h"

/*
 * What each program did with each packet: counters always, and one event per
 * packet while config.trace is on. The C names of points and verdicts are the
 * words that users see.
 */

enum __attribute__((packed)) trace_point {
	POINT_XDP,
	POINT_FROM_CONTAINER,
	POINT_TO_CONTAINER,
	POINT_FROM_NETDEV,
	POINT_TO_NETDEV,
};

enum __attribute__((packed)) verdict {
	VERDICT_PASS, /* on to the kernel's stack, or out as it was going */
	VERDICT_TX,   /* back out of the device it came in by */
	VERDICT_REDIRECT,
	VERDICT_REDIRECT_PEER,
	VERDICT_REDIRECT_NEIGH,
	VERDICT_DROP,
};

struct metric {
	__u64 packets;
	__u64 bytes;
};

/*
 * One row of METRIC_SLOTS counters per point: the verdicts, then in METRIC_LOST
 * the events that found the ring buffer full, then from METRIC_DROPS on the
 * drops by reason.
 */
#define METRIC_SLOTS 64
#define METRIC_LOST 15
#define METRIC_DROPS 16
#define METRIC_ROWS 5

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct metric);
	__uint(max_entries, METRIC_ROWS *METRIC_SLOTS);
} metrics SEC(".maps");

/* Enough to reach the start of the payload behind IPv6 with extension headers and TCP with options. */
#define EVENT_DATA CTX_COPY_MAX

struct event {
	__u64 time_ns; /* bpf_ktime_get_ns: CLOCK_MONOTONIC */
	__u32 ifindex; /* of the device that the program runs on */
	__u32 target;  /* of the device that the packet goes to; 0: none chosen here */
	enum trace_point point;
	enum verdict verdict;
	enum drop_reason reason;
	__u8 pad;
	__u16 len;    /* of the packet; 0xffff: or more */
	__u16 caplen; /* of data, the packet's first bytes as the program left them */
	__u8 data[EVENT_DATA];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

static __always_inline void count(__u32 row, __u32 slot, __u32 bytes)
{
	__u32 key = row * METRIC_SLOTS + slot;
	struct metric *metric = bpf_map_lookup_elem(&metrics, &key);

	if (metric) {
		metric->packets++;
		metric->bytes += bytes;
	}
}

static __noinline void event_capture(struct event *event, struct context *ctx)
{
	__u32 len = ctx_len(ctx);

	event->len = len < 0xffff ? len : 0xffff;
	event->caplen = ctx_copy(ctx, event->data, len < EVENT_DATA ? len : EVENT_DATA);
}

/* Not inlined: one copy for all the ways out of a program. Global, so that the verifier reads it once. */
__noinline int trace_event(struct context *ctx, enum trace_point point, enum verdict verdict, enum drop_reason reason,
			   __u32 target)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count(point, METRIC_LOST, ctx_len(ctx));
		return 0;
	}
	event->time_ns = bpf_ktime_get_ns();
	event->ifindex = ctx_ifindex(ctx);
	event->target = target;
	event->point = point;
	event->verdict = verdict;
	event->reason = reason;
	event->pad = 0;
	event_capture(event, ctx);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline void trace(struct context *ctx, enum trace_point point, enum verdict verdict,
				  enum drop_reason reason, __u32 target)
{
	count(point, verdict == VERDICT_DROP ? METRIC_DROPS + reason : verdict, ctx_len(ctx));
	if (config.trace)
		trace_event(ctx, point, verdict, reason, target);
}

/* The ways out of a program, but for a redirect. */

static __always_inline int pass(struct context *ctx, enum trace_point point)
{
	trace(ctx, point, VERDICT_PASS, DROP_NONE, 0);
	return CTX_PASS;
}

static __always_inline int drop(struct context *ctx, enum trace_point point, enum drop_reason reason)
{
	trace(ctx, point, VERDICT_DROP, reason, 0);
	return CTX_DROP;
}

#endif /* LIB_TRACE_H */
