// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Tests of several programs, and what is handed from one to the next. */
#include "tests.h"

#define SIZE 64
#define XDP_CODE XDP_TX
#define TC_CODE 2 /* TC_ACT_SHOT */

volatile const __u32 __config_mark = 7;

/* No program reads it, and its map stays all the same. */
__u32 nobody_reads SEC(".data.rest") = 1;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} by_tag SEC(".maps");

/* Not a program that BPF_PROG_RUN knows: it is left out. */
SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("xdp")
TAIL(by_tag, 1)
int under_test(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + SIZE > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	data[1]++;
	return XDP_CODE;
}

/* In a slot that nobody calls: it is not even loaded, which the verifier would refuse. */
SEC("xdp")
TAIL(by_tag, 0)
int never_called(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

PKTGEN("xdp", "three programs")
int make_xdp(struct xdp_md *ctx)
{
	__u8 *data;
	int size = ctx->data_end - ctx->data;

	if (size != 4096 - 256 - 320 || bpf_xdp_adjust_tail(ctx, SIZE - size))
		return TEST_ERROR;
	data = (void *)(long)ctx->data;
	if (data + SIZE > (__u8 *)(long)ctx->data_end)
		return TEST_ERROR;
	data[0] = 1;
	return TEST_PASS;
}

SETUP("xdp", "three programs")
int set_up_xdp(struct xdp_md *ctx)
{
	bpf_tail_call_static(ctx, &by_tag, 1);
	return TEST_ERROR;
}

CHECK("xdp", "three programs")
int check_xdp(struct xdp_md *ctx)
{
	int size = ctx->data_end - ctx->data;
	__u8 *data = (void *)(long)ctx->data;

	if (size != 4 + SIZE || data + 4 + SIZE > (__u8 *)(long)ctx->data_end)
		return TEST_SKIP;
	return *(__u32 *)data == XDP_CODE && data[4] == 1 && data[5] == 1 ? TEST_PASS : TEST_FAIL;
}

SETUP("tc", "context")
int set_up_tc(struct __sk_buff *ctx)
{
	if (bpf_skb_change_tail(ctx, SIZE, 0))
		return TEST_ERROR;
	ctx->mark = __config_mark;
	ctx->cb[2] = 3;
	return TC_CODE;
}

CHECK("tc", "context")
int check_tc(struct __sk_buff *ctx)
{
	__u32 code = 0;

	bpf_skb_load_bytes(ctx, 0, &code, sizeof(code));
	if (ctx->len != SIZE + 4)
		return TEST_SKIP;
	return code == TC_CODE && ctx->mark == __config_mark && ctx->cb[2] == 3 ? TEST_PASS : TEST_FAIL;
}

/* Fails if the mark is what it is configured to be at first. */
CHECK("tc", "variable")
int check_variable(struct __sk_buff *ctx)
{
	return __config_mark != 7 ? TEST_PASS : TEST_FAIL;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 24);
} mock_skb_meta_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} counter SEC(".maps");

static __always_inline int count(void)
{
	__u32 key = 0, *meta = bpf_map_lookup_elem(&mock_skb_meta_map, &key), *seen = bpf_map_lookup_elem(&counter, &key);

	if (!meta || !seen || *meta)
		return -1;
	*meta = 1;
	return (*seen)++;
}

/* Tests run by name and share their maps, but for those that stand in for the context. */
CHECK("tc", "order 1")
int order_1(struct __sk_buff *ctx)
{
	return count() == 0 ? TEST_PASS : TEST_FAIL;
}

CHECK("tc", "order 2")
int order_2(struct __sk_buff *ctx)
{
	return count() == 1 ? TEST_PASS : TEST_FAIL;
}

char _license[] SEC("license") = "Dual BSD/GPL";
