// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Checks that report everything that can be reported. */
#include "tests.h"

CHECK("tc", "passes")
int passes(struct __sk_buff *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	LOG1(at, TAG_SUITE_LOG, "a packet of %u bytes", ctx->len);
	return TEST_PASS;
}

CHECK("tc", "fails")
int fails(struct __sk_buff *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	LOG(at, TAG_SUITE_LOG, "100%% wrong");
	LOG1(at, TAG_SUITE_LOG, "want 1, got %d", (__u64)(__u32)-3);
	LOG1(at, TAG_SUITE_LOG, "as 64 bits %lld", (__u64)-3);
	LOG1(at, TAG_SUITE_LOG, "in hex %x", 0xbeef);
	return TEST_FAIL;
}

CHECK("xdp", "skips")
int skips(struct xdp_md *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	LOG(at, TAG_SUITE_LOG, "there is no IPv6 here");
	return TEST_SKIP;
}

CHECK("xdp", "errs")
int errs(struct xdp_md *ctx)
{
	return TEST_ERROR;
}

CHECK("xdp", "means nothing")
int means_nothing(struct xdp_md *ctx)
{
	return FIRST + 42;
}

CHECK("xdp", "sub-tests")
int sub_tests(struct xdp_md *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	{
		BEGIN(at, "good");
		LOG(at, TAG_TEST_LOG, "all is well");
		END(at);
	}
	{
		BEGIN(at, "bad");
		LOG1(at, TAG_TEST_LOG, "the port is %u, and this line makes the test longer than a length of one byte can tell: it takes two", 80);
		LOG(at, TAG_TEST_LOG, "assertion");
		STATUS(TEST_FAIL);
		END(at);
	}
	{
		BEGIN(at, "not now");
		STATUS(TEST_SKIP);
		END(at);
	}
	return TEST_PASS;
}

/* The status of the check itself is good: its sub-test was never ended. */
CHECK("xdp", "within")
int within(struct xdp_md *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	BEGIN(at, "left early");
	LOG(at, TAG_TEST_LOG, "so far");
	STATUS(TEST_FAIL);
	return length_[0] ? TEST_ERROR : TEST_PASS;
}

CHECK("xdp", "writes nonsense")
int writes_nonsense(struct xdp_md *ctx)
{
	__u8 *at = results();

	if (!at)
		return TEST_ERROR;
	at[0] = 0xff;
	return TEST_PASS;
}

/* Packets that are not as asserted, kept for whoever runs the test. */
struct assertion {
	char name[128], file[128], line[128], layer[128];
	__u16 want_length;
	__u8 want[1518];
	__u16 got_length;
	__u8 got[1518];
	__u8 _pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct assertion);
} scapy_assert_map SEC(".maps");

static __always_inline int keep(__u32 key, __u8 length, __u8 want, __u8 got)
{
	struct assertion *a = bpf_map_lookup_elem(&scapy_assert_map, &key);

	if (!a)
		return TEST_ERROR;
	__builtin_memcpy(a->name, "the answer", sizeof("the answer"));
	__builtin_memcpy(a->file, "reports.c", sizeof("reports.c"));
	__builtin_memcpy(a->line, "7", sizeof("7"));
	__builtin_memcpy(a->layer, "Ether", sizeof("Ether"));
	a->want_length = a->got_length = 14;
	a->want_length = length;
	a->want[3] = want;
	a->got[3] = got;
	return TEST_FAIL;
}

CHECK("xdp", "asserts")
int asserts(struct xdp_md *ctx)
{
	keep(0, 14, 1, 2);
	return keep(1, 16, 0, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
