/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CTX_H
#define LIB_CTX_H

#include "config.h"
#include "csum.h"

/*
 * The packet in an XDP program: plain memory. ctx_skb.h has the same functions
 * with the same meaning for TC, so that one body serves both.
 */
#define context xdp_md
#define LIB_CTX_XDP

#define CTX_PASS XDP_PASS
#define CTX_DROP XDP_DROP

/*
 * A load of 32 bits that the verifier knows to yield a pointer. Volatile: the
 * compiler must not keep the 32 bits in a register and extend them elsewhere.
 */
#define CTX_POINTER(ctx, field) ((void *)(long)*(const volatile __u32 *)&(ctx)->field)

static __always_inline void *ctx_data(const struct context *ctx)
{
	return CTX_POINTER(ctx, data);
}

static __always_inline void *ctx_data_end(const struct context *ctx)
{
	return CTX_POINTER(ctx, data_end);
}

static __always_inline void *ctx_data_meta(const struct context *ctx)
{
	return CTX_POINTER(ctx, data_meta);
}

static __always_inline __u32 ctx_len(const struct context *ctx)
{
	__u64 len = ctx_data_end(ctx) - ctx_data(ctx);

	barrier_var(len); /* a number now: else the compiler subtracts halves of pointers, or adds to one of them first */
	return len;
}

static __always_inline __u32 ctx_ifindex(const struct context *ctx)
{
	return ctx->ingress_ifindex;
}

/* size bytes of the packet at off; NULL when it has not so many. */
static __always_inline void *ctx_at(const struct context *ctx, __u32 off, __u32 size)
{
	void *at = ctx_data(ctx) + off;

	return at + size <= ctx_data_end(ctx) ? at : NULL;
}

/* The same for the first look at a header. */
static __always_inline void *ctx_header(struct context *ctx, __u32 off, __u32 size)
{
	return ctx_at(ctx, off, size);
}

/* The frame is addressed to this machine, not merely flooded to it. */
static __always_inline bool ctx_for_us(const struct context *ctx)
{
	const struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));

	return eth && *(__u32 *)eth->h_dest == *(const volatile __u32 *)config.nic_mac &&
	       *(__u16 *)(eth->h_dest + 4) == *(const volatile __u16 *)(config.nic_mac + 4);
}

/* See nat.h. */
static __always_inline int ctx_l4_csum(struct context *ctx, __u32 off, __u16 addr_csum, __u16 port_csum, bool udp,
				       bool ipv6 __attribute__((unused)))
{
	__sum16 *check = ctx_at(ctx, off, sizeof(*check));

	if (!check)
		return -1;
	if (udp && *check == 0) /* RFC 768: the sender computed none */
		return 0;
	*check = csum_update(*check, csum_add(addr_csum, port_csum));
	if (udp && *check == 0)
		*check = 0xffff;
	return 0;
}

/* No packet has a sum of its own here. */
static __always_inline void ctx_sum_changed(struct context *ctx __attribute__((unused)),
					    __u16 change __attribute__((unused)))
{
}

static __always_inline int ctx_set_byte(struct context *ctx, __u32 off, __u8 value)
{
	__u8 *at = ctx_at(ctx, off, 1);

	if (!at)
		return -1;
	*at = value;
	return 0;
}

/*
 * Makes room for len bytes between the Ethernet header, which then announces
 * an outer header of its family, and what followed it.
 */
static __always_inline int ctx_push(struct context *ctx, __u32 len, bool ipv6)
{
	struct ethhdr *eth, *was;

	if (bpf_xdp_adjust_head(ctx, -(int)len))
		return -1;
	eth = ctx_at(ctx, 0, len + sizeof(*eth));
	if (!eth)
		return -1;
	was = (void *)eth + len;
	__builtin_memcpy(eth, was, 2 * ETH_ALEN);
	eth->h_proto = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return 0;
}

/* Writes len bytes, a constant, at off. */
static __always_inline int ctx_store(struct context *ctx, __u32 off, const void *from, __u32 len)
{
	void *at = ctx_at(ctx, off, len);

	if (!at)
		return -1;
	__builtin_memcpy(at, from, len);
	return 0;
}

/*
 * Makes the frame carry, behind its Ethernet header, room bytes to be written and
 * then the first keep bytes of what it carried. That header is not written.
 */
static __always_inline int ctx_reframe(struct context *ctx, __u32 room, __u32 keep)
{
	int excess = ctx_len(ctx) - sizeof(struct ethhdr) - keep;

	return bpf_xdp_adjust_tail(ctx, -excess) || bpf_xdp_adjust_head(ctx, -(int)room) ? -1 : 0;
}

/* Out of the device that the packet came in by; it must be addressed already. */
static __always_inline int ctx_send_back(struct context *ctx __attribute__((unused)))
{
	return XDP_TX;
}

/* Takes away the len bytes behind the Ethernet header, which then announces what is behind them. */
static __always_inline int ctx_pop(struct context *ctx, __u32 len, bool was_ipv6 __attribute__((unused)), bool ipv6)
{
	struct ethhdr *was = ctx_at(ctx, 0, len + sizeof(*was));
	struct ethhdr *eth;

	if (!was)
		return -1;
	eth = (void *)was + len;
	__builtin_memcpy(eth, was, 2 * ETH_ALEN);
	eth->h_proto = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return bpf_xdp_adjust_head(ctx, len);
}

/* Several packets in one, which the kernel cuts later. */
static __always_inline bool ctx_is_cut_later(const struct context *ctx __attribute__((unused)))
{
	return false;
}

/* Length for bpf_fib_lookup's check against the MTU of the way out. */
static __always_inline __u16 ctx_fib_len(const struct context *ctx __attribute__((unused)), __u32 l3_len,
					 __u32 headers __attribute__((unused)))
{
	return l3_len < 0xffff ? l3_len : 0xffff;
}

/*
 * Copies the first len bytes out, at most CTX_COPY_MAX of them; returns how
 * many it copied. No helper does this before 5.18.
 */
#define CTX_COPY_MAX 192

static __always_inline __u32 ctx_copy(struct context *ctx, __u8 *to, __u32 len)
{
	const __u64 *from;
	__u32 last = len - 8;

	for (__u32 off = 0; off < CTX_COPY_MAX; off += 8) {
		from = ctx_at(ctx, off, 8);
		if (!from)
			break;
		*(__u64 *)(to + off) = *from;
	}
	/* What is no multiple of 8 overlaps with what is copied already. */
	barrier_var(last);
	if (last > CTX_COPY_MAX - 8)
		return 0;
	from = ctx_at(ctx, last, 8);
	if (!from)
		return 0;
	*(__u64 *)(to + last) = *from;
	return len;
}

#endif /* LIB_CTX_H */
