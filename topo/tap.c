// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * The tap: a socket filter on one packet socket per namespace. It writes every
 * frame that the socket sees into one ring buffer shared by all namespaces, so
 * that the frames of a whole network come in one order, with times of one
 * clock. The socket itself never gets a frame.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>

#define SNAP		16384 /* bytes of a frame that are kept */
#define RING_SIZE	(8 << 20)
#define LOOPBACK	1 /* include/net/net_namespace.h, LOOPBACK_IFINDEX */
#define PACKET_OUTGOING 4 /* include/uapi/linux/if_packet.h */

struct header {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 ifindex;
	__u32 len; /* bytes on the wire */
	__u32 caplen; /* bytes that follow */
	__u32 out; /* 1: the device sends, 0: it receives */
};

struct frame {
	struct header header;
	__u8 data[SNAP]; /* from the Ethernet header on */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_SIZE);
} frames SEC(".maps");

/* Too large for the stack. Soft interrupts are off while a filter runs, so a CPU writes one frame at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frame);
} scratch SEC(".maps");

__u64 lost; /* frames that found the ring full */

SEC("socket")
int tap(struct __sk_buff *skb)
{
	__u32 zero = 0, caplen = skb->len;
	struct frame *frame;

	/* lo has the same index in every namespace: nobody could tell whose it was. */
	if (skb->ifindex == LOOPBACK)
		return 0;
	frame = bpf_map_lookup_elem(&scratch, &zero);
	if (!frame)
		return 0;

	if (caplen > SNAP)
		caplen = SNAP;
	/*
	 * The helper wants a length that is known not to be 0. Before 6.8 the verifier learns nothing from a comparison with 0,
	 * but it does from one with a maximum. The barrier keeps the compiler from comparing what is not passed on.
	 */
	caplen -= 1;
	barrier_var(caplen);
	if (caplen > SNAP - 1)
		return 0;
	caplen += 1;
	if (bpf_skb_load_bytes(skb, 0, frame->data, caplen))
		return 0;
	frame->header.time_ns = bpf_ktime_get_ns();
	frame->header.ifindex = skb->ifindex;
	frame->header.len = skb->len;
	frame->header.caplen = caplen;
	frame->header.out = skb->pkt_type == PACKET_OUTGOING;
	if (bpf_ringbuf_output(&frames, frame, sizeof(frame->header) + caplen, 0))
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
