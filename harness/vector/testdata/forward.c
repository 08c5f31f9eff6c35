// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// An object that is whole and cannot be loaded: clang tells of struct backend no more than that there is one.
#include "vmlinux.h"
#include "bpf_helpers.h"

struct backend {
	__be32 addr;
};

struct backends {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(max_entries, 1);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, __be32);
	__uint(max_entries, 1);
	__array(values, struct backends);
} services SEC(".maps");

SEC("xdp")
int look(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&services, &ctx->ingress_ifindex) ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
