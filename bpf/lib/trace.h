/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H

#include "config.h"
#include "metric.h"

/*
 * What each program did with each packet: counters always (metric.h), and one
 * event per packet while config.trace is on.
 */

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
	count(point, reason ? METRIC_DROPS + reason : verdict, ctx_len(ctx));
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
