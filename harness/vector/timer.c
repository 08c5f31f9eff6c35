// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * What runs before the program under test in every iteration of a timed
 * BPF_PROG_RUN, which by itself restores nothing: it makes packet, metadata
 * and context what they were, and tail-calls. The same before a program that
 * does nothing is what the restoring costs.
 *
 * Packets come in turn from a ring, so that a program meets many flows.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>

#define MAX_PACKET	4096 /* bytes, a power of two */
#define MAX_META	252 /* bytes, what the kernel lets XDP have */
#define MAX_SHIFT	256 /* bytes that a program may move the start of a packet; farther away it is another buffer */
#define BROKEN		0xbad /* returned where a packet cannot be restored: no program's verdict */

struct packet {
	__u32 size;
	__u32 meta_size; /* a multiple of 4 */
	__u32 mark;
	__u32 priority;
	__u32 cb[5];
	__u32 protocol; /* EtherType, as skb->protocol has it */
	__u32 meta[MAX_META / 4 + 1];
	__u8 data[MAX_PACKET];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} ring SEC(".maps");

/* One run is on one CPU, so nothing here needs to be atomic. */
struct turn {
	__u64 start; /* address of the first byte of the packet, when the run began; 0 before */
	__u64 now;
	__u32 next; /* in the ring */
	__u32 packets; /* in the ring */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct turn);
} turns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

/* bpf_xdp_store_bytes is there since 5.18. */
volatile const bool has_store_bytes;

static __always_inline struct turn *this_turn(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&turns, &zero);
}

static __always_inline struct packet *next_packet(struct turn *turn)
{
	__u32 index = turn->next;

	turn->next = index + 1 < turn->packets ? index + 1 : 0;
	return bpf_map_lookup_elem(&ring, &index);
}

/*
 * How far the packet's first byte has moved from where the run began. A
 * pointer that has been through memory is a number to the verifier.
 */
static __always_inline __s64 shift(struct turn *turn, void *data)
{
	volatile __u64 *now = &turn->now;
	__s64 moved;

	*now = (__u64)data;
	moved = *now - turn->start;
	if (moved > MAX_SHIFT || moved < -MAX_SHIFT) {
		turn->start = *now;
		return 0;
	}
	return moved;
}

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx) ((void *)(long)(ctx)->data_end)
#define META(ctx) ((void *)(long)(ctx)->data_meta)

/* Copies without helper, eight bytes at once as long as there are so many. */
static __always_inline void copy(struct xdp_md *ctx, struct packet *packet)
{
	__u8 *data = DATA(ctx), *end = END(ctx);
	__u32 at;

	for (at = 0; at + 8 <= MAX_PACKET && data + at + 8 <= end; at += 8)
		*(__u64 *)(data + at) = *(__u64 *)(packet->data + at);
	for (; at < MAX_PACKET && data + at + 1 <= end; at++)
		data[at] = packet->data[at];
}

static __always_inline long restore_meta(struct xdp_md *ctx, struct packet *packet)
{
	__s64 size = DATA(ctx) - META(ctx);
	__u32 *meta, i;

	if (size != packet->meta_size && bpf_xdp_adjust_meta(ctx, size - packet->meta_size))
		return -1;
	if (!packet->meta_size)
		return 0;
	meta = META(ctx);
	for (i = 0; i < MAX_META / 4 && (void *)(meta + i + 1) <= DATA(ctx); i++)
		meta[i] = packet->meta[i];
	return 0;
}

SEC("xdp")
int restore_xdp(struct xdp_md *ctx)
{
	struct turn *turn = this_turn();
	struct packet *packet;
	__s64 moved, size;

	if (!turn)
		return BROKEN;
	packet = next_packet(turn);
	if (!packet)
		return BROKEN;
	moved = shift(turn, DATA(ctx));
	if (moved && bpf_xdp_adjust_head(ctx, -moved))
		return BROKEN;
	size = END(ctx) - DATA(ctx);
	if (size != packet->size && bpf_xdp_adjust_tail(ctx, packet->size - size))
		return BROKEN;
	if (restore_meta(ctx, packet))
		return BROKEN;
	if (has_store_bytes) {
		size = packet->size;
		if (size < 1 || size > MAX_PACKET || bpf_xdp_store_bytes(ctx, 0, packet->data, size))
			return BROKEN;
	} else {
		copy(ctx, packet);
	}
	bpf_tail_call(ctx, &under_test, 0);
	return BROKEN;
}

SEC("tc")
int restore_tc(struct __sk_buff *skb)
{
	struct turn *turn = this_turn();
	struct packet *packet;
	__s64 moved;
	__u32 size;

	if (!turn)
		return BROKEN;
	packet = next_packet(turn);
	if (!packet)
		return BROKEN;
	if (skb->vlan_present)
		bpf_skb_vlan_pop(skb);
	if (skb->protocol != packet->protocol && bpf_skb_change_proto(skb, packet->protocol, 0))
		return BROKEN;
	/* Taken off or added where the program did, or the room there would run out; what then is left is mended at the end. */
	moved = shift(turn, DATA(skb));
	if (moved)
		bpf_skb_adjust_room(skb, moved, BPF_ADJ_ROOM_MAC, 0);
	size = packet->size;
	if (skb->len != size && bpf_skb_change_tail(skb, size, 0))
		return BROKEN;
	if (size < 1 || size > MAX_PACKET || bpf_skb_store_bytes(skb, 0, packet->data, size, 0))
		return BROKEN;
	skb->mark = packet->mark;
	skb->priority = packet->priority;
	skb->cb[0] = packet->cb[0];
	skb->cb[1] = packet->cb[1];
	skb->cb[2] = packet->cb[2];
	skb->cb[3] = packet->cb[3];
	skb->cb[4] = packet->cb[4];
	skb->tc_classid = 0;
	bpf_tail_call(skb, &under_test, 0);
	return BROKEN;
}

SEC("xdp")
int nothing_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int nothing_tc(struct __sk_buff *skb)
{
	return 0; /* TC_ACT_OK */
}

char _license[] SEC("license") = "Dual BSD/GPL";
