// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Programs that do as a packet says, for vectors that are sent: its first byte
 * after the Ethernet header is a command, the second is counted up.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>

#define HEADER 14
#define OTHER 1001 /* the second device of the network */

enum { PASS, DROP, BACK, REDIRECT, BY_DEVICE, MARK_DEVICE, CHANCE, TWICE, EITHER };

__u32 runs;

/* BPF_PROG_RUN has packets come in by lo, unless it is told another device. */
static __always_inline bool by_loopback(__u32 ifindex)
{
	return ifindex == 1;
}

SEC("xdp")
int xdp_command(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + HEADER + 4 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	data[HEADER + 1]++;
	switch (data[HEADER]) {
	case PASS:
		return XDP_PASS;
	case DROP:
		return XDP_DROP;
	case BACK:
		return XDP_TX;
	case REDIRECT:
		return bpf_redirect(OTHER, 0);
	case BY_DEVICE:
		return by_loopback(ctx->ingress_ifindex) ? XDP_DROP : XDP_TX;
	case MARK_DEVICE:
		data[HEADER + 2] = by_loopback(ctx->ingress_ifindex);
		return XDP_TX;
	case CHANCE:
		data[HEADER + 2] = bpf_get_prandom_u32();
		data[HEADER + 3] = bpf_get_prandom_u32();
		return XDP_TX;
	case TWICE: /* the state of the maps tells */
		return runs++ ? XDP_TX : XDP_DROP;
	case EITHER:
		return bpf_get_prandom_u32() & 1 ? XDP_TX : XDP_DROP;
	}
	return XDP_ABORTED;
}

static __always_inline int tc_command(struct __sk_buff *skb)
{
	__u8 command, count;

	if (bpf_skb_load_bytes(skb, HEADER, &command, 1) || bpf_skb_load_bytes(skb, HEADER + 1, &count, 1))
		return TC_ACT_SHOT;
	count++;
	if (bpf_skb_store_bytes(skb, HEADER + 1, &count, 1, 0))
		return TC_ACT_SHOT;
	switch (command) {
	case PASS:
		return TC_ACT_OK;
	case BACK:
		return bpf_redirect(skb->ifindex, 0);
	case REDIRECT:
		return bpf_redirect(OTHER, 0);
	case BY_DEVICE:
		return by_loopback(skb->ifindex) ? TC_ACT_SHOT : TC_ACT_OK;
	}
	return TC_ACT_SHOT;
}

SEC("tc")
int tc_in(struct __sk_buff *skb)
{
	return tc_command(skb);
}

SEC("tc")
int tc_out(struct __sk_buff *skb)
{
	return tc_command(skb);
}

/* Sends everything to the neighbour that its route names: the MACs come after the program. */
SEC("tc")
int tc_neighbour(struct __sk_buff *skb)
{
	return bpf_redirect_neigh(OTHER, NULL, 0, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
