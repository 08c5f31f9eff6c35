// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Objects that cannot be used, each for one reason. */
#if BREAK == 1 /* no map to report through */
#define suite_result_map other_map
#endif
#include "tests.h"

#if BREAK == 2 /* no check */
SETUP("xdp", "half")
#elif BREAK == 3 /* no test at all */
SEC("xdp")
#else
CHECK("xdp", "a")
#endif
int first(struct xdp_md *ctx)
{
#if BREAK == 4 /* what the verifier rejects */
	return *(__u8 *)(long)ctx->data;
#endif
	return results() ? TEST_PASS : TEST_ERROR;
}

#if BREAK == 5 /* two of one kind */
SEC("tc/test/a/check")
int second(struct __sk_buff *ctx)
{
	return TEST_PASS;
}
#endif

#if BREAK == 6 /* the programs before the check fail */
SETUP("xdp", "a")
int second(struct xdp_md *ctx)
{
	return TEST_FAIL;
}
#endif

char _license[] SEC("license") = "Dual BSD/GPL";
