// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Program arrays that are filled in every way there is. */
#include <vmlinux.h>
#include <bpf_helpers.h>

#define STRING(x) #x
#define QUOTE(x) STRING(x)
#define TAIL(table, slot) __attribute__((btf_decl_tag("tail:" STRING(table) "/" QUOTE(slot))))
#define TAGGED 2

volatile const struct {
	__u32 first;
	__u16 second;
} answers = { .first = 1, .second = 2 };

__u32 written = 3;

SEC("xdp")
int by_initialiser(struct xdp_md *ctx)
{
	return 40;
}

SEC("xdp")
int by_suite(struct xdp_md *ctx)
{
	return 42 + written;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} calls SEC(".maps") = {
	.values = { [1] = (void *)&by_initialiser },
};

SEC("xdp")
TAIL(calls, TAGGED)
int by_tag(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &calls, 3);
	return 41;
}

/* Calls the slot that the packet's first byte names. */
SEC("xdp")
int entry(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 1 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (*data == 1)
		bpf_tail_call(ctx, &calls, 1);
	if (*data == 2)
		bpf_tail_call(ctx, &calls, 2);
	return 10 * answers.first + answers.second;
}

/* Never loaded but by those who name it: the verifier rejects it. */
SEC("xdp")
int refused(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
