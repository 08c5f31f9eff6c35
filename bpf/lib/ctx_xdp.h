/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CTX_H
#define LIB_CTX_H

/*
 * The packet in an XDP program: plain memory. ctx_skb.h has the same functions
 * for the same meaning, so that one body serves both.
 */
#define context xdp_md

#define CTX_PASS XDP_PASS
#define CTX_DROP XDP_DROP

static __always_inline void *ctx_data(const struct context *ctx)
{
	return (void *)(long)ctx->data;
}

static __always_inline void *ctx_data_end(const struct context *ctx)
{
	return (void *)(long)ctx->data_end;
}

static __always_inline __u32 ctx_len(const struct context *ctx)
{
	return ctx->data_end - ctx->data;
}

static __always_inline __u32 ctx_ifindex(const struct context *ctx)
{
	return ctx->ingress_ifindex;
}

/* Copies the first len bytes out; returns how many it copied. No helper does this before 5.18. */
static __always_inline __u32 ctx_copy(struct context *ctx, __u8 *to, __u32 len)
{
	const __u8 *from = ctx_data(ctx), *end = ctx_data_end(ctx);
	__u32 i;

	for (i = 0; i < len && i < 192 && from + i + 1 <= end; i++)
		to[i] = from[i];
	return i;
}

#endif /* LIB_CTX_H */
