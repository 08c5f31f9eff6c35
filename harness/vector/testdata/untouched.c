// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs that change everything they can, and return an error when they
 * meet what they left behind.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#define ETH_P_IP 0x0800
#define TTL	 64
#define OUTER	 20

#define DATA(ctx) ((void *)(long)(ctx)->data)
#define END(ctx) ((void *)(long)(ctx)->data_end)
#define META(ctx) ((void *)(long)(ctx)->data_meta)

/* Size of the packets that the programs were made for, to see that nothing was lost. */
volatile const __u16 size = 100;

/* Takes one off the TTL of a packet that has it whole. */
#define TAKE_TTL(ctx) ({                                                  \
	struct iphdr *ip = DATA(ctx) + sizeof(struct ethhdr);             \
	bool whole = (void *)(ip + 1) <= END(ctx) && ip->ttl == TTL;      \
	if (whole)                                                        \
		ip->ttl--;                                                \
	whole;                                                            \
})

#define HAS_SIZE(ctx) (DATA(ctx) + size <= END(ctx) && DATA(ctx) + size + 1 > END(ctx))

SEC("xdp")
int xdp_header(struct xdp_md *ctx)
{
	return TAKE_TTL(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("xdp")
int xdp_encapsulate(struct xdp_md *ctx)
{
	if (!HAS_SIZE(ctx) || !TAKE_TTL(ctx) || bpf_xdp_adjust_head(ctx, -OUTER))
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp")
int xdp_decapsulate(struct xdp_md *ctx)
{
	if (!HAS_SIZE(ctx) || !TAKE_TTL(ctx) || bpf_xdp_adjust_head(ctx, OUTER))
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp")
int xdp_cut(struct xdp_md *ctx)
{
	if (!HAS_SIZE(ctx) || bpf_xdp_adjust_tail(ctx, -OUTER))
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp")
int xdp_meta(struct xdp_md *ctx)
{
	if (META(ctx) + 1 <= DATA(ctx) || bpf_xdp_adjust_meta(ctx, -8))
		return XDP_ABORTED;
	return XDP_TX;
}

SEC("xdp")
int xdp_had_meta(struct xdp_md *ctx)
{
	__u32 *meta = META(ctx);

	if ((void *)(meta + 1) > DATA(ctx) || *meta != 7)
		return XDP_ABORTED;
	*meta = 8;
	return bpf_xdp_adjust_meta(ctx, 4) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp.frags")
int xdp_of_pages(struct xdp_md *ctx)
{
	return TAKE_TTL(ctx) ? XDP_TX : XDP_ABORTED;
}

SEC("tc")
int tc_header(struct __sk_buff *skb)
{
	if (!TAKE_TTL(skb) || skb->mark != 5 || skb->cb[1] != 6)
		return TC_ACT_SHOT;
	skb->mark = 0;
	skb->cb[1] = 0;
	return TC_ACT_OK;
}

SEC("tc")
int tc_encapsulate(struct __sk_buff *skb)
{
	if (!HAS_SIZE(skb) || bpf_skb_adjust_room(skb, OUTER, BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc")
int tc_decapsulate(struct __sk_buff *skb)
{
	if (!HAS_SIZE(skb) || bpf_skb_adjust_room(skb, -OUTER, BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc")
int tc_tag(struct __sk_buff *skb)
{
	if (skb->vlan_present || bpf_skb_vlan_push(skb, bpf_htons(0x8100), 7))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tcx/ingress")
int tcx_cut(struct __sk_buff *skb)
{
	if (!HAS_SIZE(skb) || bpf_skb_change_tail(skb, size - OUTER, 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
