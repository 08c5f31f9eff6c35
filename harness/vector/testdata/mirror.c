// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The smallest programs whose every effect a vector can see: verdict, packet,
 * metadata, context, constants.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#define ETH_ALEN 6
#define ETH_P_IP 0x0800

volatile const __u8 ttl = 7;

/* Sends every IPv4 packet back with the TTL that is configured. */
SEC("xdp")
int mirror(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u8 mac[ETH_ALEN];

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	ip->ttl = ttl;
	return XDP_TX;
}

/* Puts the device that a packet came in by before it, where TC finds it. */
SEC("xdp")
int label(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -4))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = ctx->ingress_ifindex;
	return XDP_PASS;
}

__u32 runs;

/* Sends back the first packet only. */
SEC("xdp")
int once(struct xdp_md *ctx)
{
	return runs++ ? XDP_DROP : XDP_TX;
}

/* Marks a packet with what it has for priority, and counts in its control buffer. */
SEC("tc")
int paint(struct __sk_buff *skb)
{
	skb->mark = skb->priority;
	skb->cb[0]++;
	return TC_ACT_OK;
}

/* Says what it sees. */
SEC("xdp")
int talk(struct xdp_md *ctx)
{
	bpf_printk("packet of %d bytes", ctx->data_end - ctx->data);
	bpf_printk("second line");
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
