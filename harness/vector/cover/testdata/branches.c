//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

/*
 * Known lines and branches. The number behind a line is how often it runs when the
 * program meets packets whose first bytes are 0, 1, 1, 2 and 200. Writes to the
 * volatile variable keep the compiler from making one line of two.
 */
volatile __u64 seen;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} calls SEC(".maps");

static __noinline int square(int n)
{
	if (n > 100) {			/* 5 */
		seen += 1;		/* 1 */
		return 0;		/* 1 */
	}
	seen += n;			/* 4 */
	return n * n;			/* 4 */
}

/* What runs in place of it returns to where it was called. */
static __noinline int leave(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &calls, 0);	/* 1 */
	seen ^= 17;			/* 0 */
	return ctx->rx_queue_index;	/* 0 */
}

SEC("xdp")
int last(struct xdp_md *ctx)
{
	seen += 7;			/* 1 */
	return XDP_TX;			/* 1 */
}

SEC("xdp")
int never(struct xdp_md *ctx)
{
	seen += 9;			/* 0 */
	return XDP_PASS;		/* 0 */
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	const volatile __u8 *data = (void *)(long)ctx->data; /* 5 */
	int found;

	if ((void *)(data + 1) > (void *)(long)ctx->data_end) /* 5 */
		return XDP_ABORTED;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 8; i++) {
		if (i >= *data)		/* 16 */
			break;
		seen += i;		/* 12 */
	}
	if (*data == 1 || ctx->rx_queue_index > 5) /* 5 */
		seen -= 1;		/* 2 */
	found = square(*data);		/* 5 */
	switch (found) {
	case 1:
		seen += 3;		/* 2 */
		break;
	case 4:
		found = leave(ctx);	/* 1 */
		seen ^= 5;		/* 1 */
		break;
	default:
		seen *= 11;		/* 2 */
	}
	seen += found;			/* 5 */
	return XDP_PASS;
}

/*
 * Every register is read after a branch, so counters need the stack, which holds
 * something too. What it returns is wrong when either is lost.
 */
SEC("xdp")
int full(struct xdp_md *ctx)
{
	asm volatile(			/* 1 */
		"r6 = r1\n"
		"r0 = 1\nr2 = 2\nr3 = 4\nr4 = 8\nr5 = 16\nr7 = 32\nr8 = 64\nr9 = 128\n"
		"*(u64 *)(r10 - 8) = r9\n"
		"if r2 == 3 goto +1\n"
		"r9 = *(u64 *)(r10 - 8)\n"
		"r0 += r2\nr0 += r3\nr0 += r4\nr0 += r5\nr0 += r7\nr0 += r8\nr0 += r9\n"
		"r1 = *(u32 *)(r1 + 12)\n" /* ingress_ifindex: r1 is the context still */
		"r6 = *(u32 *)(r6 + 12)\n"
		"r1 -= r6\n"
		"r0 += r1\n"
		"exit\n"
		: : : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "memory");
	__builtin_unreachable();
}

char _license[] SEC("license") = "Dual BSD/GPL";
