/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ANSWER_H
#define LIB_ANSWER_H

#include "parse.h"

/*
 * Turning a packet round: it is dropped for a reason, and the frame that brought
 * it takes the answer back, out of the device that it came in by and to the MAC
 * that sent it.
 *
 *	reason = answer_frame(ctx, sizeof(headers), quoted);
 *	… fill in headers; answer_sum() adds up what they quote …
 *	ctx_store(ctx, L3_OFF, &headers, sizeof(headers));
 *	trace(ctx, point, VERDICT_REJECT, why, ctx_ifindex(ctx));
 *	return ctx_send_back(ctx);
 */

/*
 * Makes the frame carry room bytes to be written, from L3_OFF on, and behind them
 * the first keep bytes of what it carried. Returns a drop reason; after one the
 * packet is spoilt.
 */
static __always_inline int answer_frame(struct context *ctx, __u32 room, __u32 keep)
{
	struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	struct ethhdr back;

	if (!eth || !(*(__u32 *)eth->h_source | *(__u16 *)(eth->h_source + 4))) /* came out of a tunnel */
		return DROP_REWRITE;
	__builtin_memcpy(back.h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(back.h_source, eth->h_dest, ETH_ALEN);
	back.h_proto = eth->h_proto;
	if (ctx_reframe(ctx, room, keep))
		return DROP_REWRITE;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return DROP_REWRITE;
	*eth = back;
	return DROP_NONE;
}

/* No more than a frame of 1,500 bytes has of them, and what is left over in words. */
#define ANSWER_BLOCK 64
#define ANSWER_BLOCKS 24
#define ANSWER_OFF_MASK 0x7ff

static __always_inline __u32 answer_bound(__u32 off)
{
	asm volatile("%0 &= %1" : "+r"(off) : "i"(ANSWER_OFF_MASK));
	return off;
}

/*
 * The sum, as in csum.h, of the len bytes that end at end. Global, and what is
 * left counts down from a number that the verifier does not know: so it need not
 * look at every turn of the loops anew.
 */
__noinline __u32 answer_sum(struct context *ctx, __u32 end, __u32 len)
{
	__u32 left = len;
	__u64 sum = 0;
	void *at;

	for (int i = 0; i < ANSWER_BLOCKS && left >= ANSWER_BLOCK; i++) {
		at = ctx_at(ctx, answer_bound(end - left), ANSWER_BLOCK);
		if (!at)
			return 0;
		sum = csum_fold(bpf_csum_diff(NULL, 0, at, ANSWER_BLOCK, sum));
		left -= ANSWER_BLOCK;
		barrier_var(left);
	}
	for (int i = 0; i < ANSWER_BLOCK / 4 && left >= 4; i++) {
		at = ctx_at(ctx, answer_bound(end - left), 4);
		if (!at)
			return 0;
		sum += *(__u32 *)at;
		left -= 4;
		barrier_var(left);
	}
	at = left >= 2 ? ctx_at(ctx, answer_bound(end - left), 2) : NULL;
	if (at) {
		sum += *(__u16 *)at;
		left -= 2;
	}
	at = left ? ctx_at(ctx, answer_bound(end - left), 1) : NULL;
	return csum_fold(at ? sum + *(__u8 *)at : sum);
}

#endif /* LIB_ANSWER_H */
