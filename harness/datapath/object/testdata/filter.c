// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A filter of UDP ports, as a stranger might bring it. */
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#define ETH_P_IP 0x0800
#define HEADER	 14

volatile const __u32 watched; /* the only device whose packets are filtered; 0: all */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __be16); /* destination port */
	__type(value, __u8);
} closed SEC(".maps");

SEC("tc")
int filter(struct __sk_buff *skb)
{
	struct udphdr udp;
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP) || (watched && skb->ifindex != watched))
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, HEADER, &ip, sizeof(ip)) || ip.protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, HEADER + ip.ihl * 4, &udp, sizeof(udp)))
		return TC_ACT_OK;
	return bpf_map_lookup_elem(&closed, &udp.dest) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* Nobody connects to the ports that are closed. */
SEC("cgroup/connect4")
int refuse(struct bpf_sock_addr *ctx)
{
	__be16 port = ctx->user_port;

	return !bpf_map_lookup_elem(&closed, &port);
}

char _license[] SEC("license") = "Dual BSD/GPL";
