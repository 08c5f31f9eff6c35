// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * Makes the values that one CPU has in a per-CPU array what they were at the
 * start. From outside that takes a system call's work for each entry, and such
 * arrays may have an entry for every port.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>

/* The array; sizes are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 8);
} changed SEC(".maps");

/* What the CPU's values were. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 8);
} before SEC(".maps");

volatile const __u32 size = 8; /* of a value, in bytes */

static long rewind_one(void *map, __u32 *key, __u8 *value, void *none)
{
	__u8 *was = bpf_map_lookup_elem(&before, key);
	__u32 at;

	if (!was)
		return 0;
	for (at = 0; at + 8 <= size; at += 8)
		*(__u64 *)(value + at) = *(__u64 *)(was + at);
	for (; at < size; at++)
		value[at] = was[at];
	return 0;
}

SEC("socket")
int rewind_all(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&changed, rewind_one, NULL, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
