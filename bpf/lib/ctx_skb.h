/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CTX_H
#define LIB_CTX_H

/* The packet in a TC program: an skb. See ctx_xdp.h. */
#define context __sk_buff

#define CTX_PASS TC_ACT_OK
#define CTX_DROP TC_ACT_SHOT

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
	return ctx->len;
}

static __always_inline __u32 ctx_ifindex(const struct context *ctx)
{
	return ctx->ifindex;
}

/* Copies the first len bytes out; returns how many it copied. */
static __always_inline __u32 ctx_copy(struct context *ctx, void *to, __u32 len)
{
	if (len == 0 || len > 192)
		return 0;
	return bpf_skb_load_bytes(ctx, 0, to, len) ? 0 : len;
}

#endif /* LIB_CTX_H */
