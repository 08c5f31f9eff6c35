// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A map of every kind, with keys and values of every form. The program looks
 * up what the packet's source names, counts, and forgets; what it finds is its
 * return value.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#define ETH_P_IP 0x0800
#define CPUS	 4

enum colour {
	RED,
	GREEN,
	BLUE,
};

enum flag {
	FAST = 1,
	LOUD = 2,
} __attribute__((packed));

struct in6 {
	union {
		__u8 bytes[16];
		__be16 halves[8];
		__be32 words[4];
	};
};

struct mac {
	__u8 addr[6];
};

struct end {
	__be32 addr;
	__be16 port;
	__u16 pad;
};

struct everything {
	struct end local;
	union {
		__be32 ip4;
		struct in6 ip6;
		struct {
			__u32 low;
			__u32 high;
		};
	} peer;
	struct mac mac;
	__be16 vlan;
	__u16 port; /* big-endian, though its type does not say so */
	__u32 narrow : 3, wide : 13, : 8, last : 8;
	enum colour colour;
	enum flag flags;
	bool up;
	char name[9];
	__s16 offset;
	__u32 device;
	__u64 numbers[3];
	struct end ends[2];
};

struct prefix {
	__u32 bits;
	__be32 addr;
};

#define MAP(name, kind, key_type, value_type, size)                      \
	struct {                                                         \
		__uint(type, BPF_MAP_TYPE_##kind);                       \
		__uint(max_entries, size);                               \
		__type(key, key_type);                                   \
		__type(value, value_type);                               \
	} name SEC(".maps")

MAP(by_address, HASH, __be32, struct everything, 8);
MAP(recent, LRU_HASH, struct end, __u32, 8);
MAP(counts, ARRAY, __u32, __u64, 4);
MAP(counts_by_cpu, PERCPU_ARRAY, __u32, __u32, 64); /* enough to be restored by a program */
MAP(few_by_cpu, PERCPU_ARRAY, __u32, __u32, 4);
MAP(seen_by_cpu, PERCPU_HASH, __be32, struct end, 8);
MAP(recent_by_cpu, LRU_PERCPU_HASH, __be32, __u64, 8);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} prefixes SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __be16);
	__type(value, __u32);
} listed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} by_number SEC(".maps") = {
	.values = { [2] = &listed },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __be32);
	__array(values, struct inner);
} by_owner SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

__u32 packets;

/* What a lookup gave, or nothing. */
#define NUMBER(found) ({ __u32 *number = (found); number ? *number : 0; })

static __always_inline struct iphdr *ipv4(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	return ip;
}

/* Returns the longest prefix's number plus, for each owner and number, what UDP port 53 has there. */
SEC("xdp")
int look(struct xdp_md *ctx)
{
	struct iphdr *ip = ipv4(ctx);
	struct prefix prefix = { .bits = 32 };
	__be16 port = bpf_htons(53);
	__u32 sum = 0, i;
	void *inner;

	if (!ip)
		return XDP_ABORTED;
	prefix.addr = ip->saddr;
	sum += NUMBER(bpf_map_lookup_elem(&prefixes, &prefix));
	inner = bpf_map_lookup_elem(&by_owner, &ip->saddr);
	if (inner)
		sum += NUMBER(bpf_map_lookup_elem(inner, &port));
	for (i = 0; i < 3; i++) {
		inner = bpf_map_lookup_elem(&by_number, &i);
		if (inner)
			sum += NUMBER(bpf_map_lookup_elem(inner, &port));
	}
	return sum;
}

/* Changes every map. */
SEC("xdp")
int change(struct xdp_md *ctx)
{
	struct iphdr *ip = ipv4(ctx);
	struct everything *known;
	struct end end = {};
	__u32 zero = 0, one = 1, *count;
	__be16 port = bpf_htons(54);
	__u64 *total, big = 7;
	void *inner, *event;

	if (!ip)
		return XDP_ABORTED;
	packets++;
	known = bpf_map_lookup_elem(&by_address, &ip->saddr);
	if (known) {
		known->port = bpf_htons(443);
		known->colour = GREEN;
		known->offset--;
		known->last = 9;
	}
	end.addr = ip->saddr;
	end.port = bpf_htons(80);
	bpf_map_update_elem(&recent, &end, &one, BPF_ANY);
	total = bpf_map_lookup_elem(&counts, &one);
	if (total)
		*total += 1;
	count = bpf_map_lookup_elem(&counts_by_cpu, &one);
	if (count)
		*count += 1;
	count = bpf_map_lookup_elem(&few_by_cpu, &one);
	if (count)
		*count += 1;
	bpf_map_update_elem(&seen_by_cpu, &ip->saddr, &end, BPF_ANY);
	bpf_map_update_elem(&recent_by_cpu, &ip->saddr, &big, BPF_ANY);
	bpf_map_delete_elem(&by_address, &ip->daddr);
	inner = bpf_map_lookup_elem(&by_number, &zero);
	if (inner)
		bpf_map_update_elem(inner, &port, &one, BPF_ANY);
	event = bpf_ringbuf_reserve(&events, 1024, 0);
	if (!event)
		return XDP_DROP; /* full */
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
