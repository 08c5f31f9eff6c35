/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CTX_H
#define LIB_CTX_H

#include "config.h"

/*
 * The packet in a TC program: an skb. Headers are read and written in place
 * (the verifier has the skb's head unshared first); helpers do the rest, because
 * only they see whether the skb's checksums are complete, partial or verified.
 * Any helper that changes the skb ends the life of pointers into it.
 */
#define context __sk_buff

#define CTX_PASS TC_ACT_OK
#define CTX_DROP TC_ACT_SHOT

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
	return ctx->len;
}

static __always_inline __u32 ctx_ifindex(const struct context *ctx)
{
	return ctx->ifindex;
}

/* size bytes of the packet at off; NULL when its linear part has not so many. */
static __always_inline void *ctx_at(const struct context *ctx, __u32 off, __u32 size)
{
	void *at = ctx_data(ctx) + off;

	return at + size <= ctx_data_end(ctx) ? at : NULL;
}

/* The same for the first look at a header, which may still lie in a page of the skb. */
static __always_inline void *ctx_header(struct context *ctx, __u32 off, __u32 size)
{
	void *at = ctx_at(ctx, off, size);

	if (at || off + size > ctx->len)
		return at;
	if (bpf_skb_pull_data(ctx, off + size))
		return NULL;
	return ctx_at(ctx, off, size);
}

/* The frame is addressed to this machine and to this device, not to one of its VLANs. */
static __always_inline bool ctx_for_us(const struct context *ctx)
{
	return ctx->pkt_type == PACKET_HOST && !ctx->vlan_present;
}

/* See nat.h. */
static __always_inline int ctx_l4_csum(struct context *ctx, __u32 off, __u16 addr_csum, __u16 port_csum, bool udp,
				       bool ipv6)
{
	__u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0; /* RFC 768: 0 stays 0, and is never the result */

	if (addr_csum) {
		__u64 pseudo = flags | BPF_F_PSEUDO_HDR;

		/*
		 * An skb with a verified sum of all its bytes: IPv4's header checksum
		 * makes up for the new address in it, with IPv6 only this one does.
		 * Kernels that do not know the flag refuse it.
		 */
		if (!ipv6 || bpf_l4_csum_replace(ctx, off, 0, addr_csum, pseudo | BPF_F_IPV6))
			if (bpf_l4_csum_replace(ctx, off, 0, addr_csum, pseudo))
				return -1;
	}
	if (port_csum && bpf_l4_csum_replace(ctx, off, 0, port_csum, flags))
		return -1;
	return 0;
}

/* Tells an skb that has a sum of all its bytes that this sum is another. */
static __always_inline void ctx_sum_changed(struct context *ctx, __u16 change)
{
	bpf_csum_update(ctx, change);
}

static __always_inline int ctx_set_byte(struct context *ctx, __u32 off, __u8 value)
{
	return bpf_skb_store_bytes(ctx, off, &value, 1, BPF_F_RECOMPUTE_CSUM);
}

/* Has the Ethernet header say which family follows it. */
static __always_inline int ctx_announce(struct context *ctx, bool ipv6)
{
	struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return -1;
	eth->h_proto = ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return 0;
}

/*
 * Makes room for len bytes between the Ethernet header, which then announces
 * an outer header of its family, and what followed it; the room is zero.
 */
static __always_inline int ctx_push(struct context *ctx, __u32 len, bool ipv6)
{
	__u64 flags = ipv6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;

	return bpf_skb_adjust_room(ctx, len, BPF_ADJ_ROOM_MAC, flags) ? -1 : ctx_announce(ctx, ipv6);
}

/* Writes len bytes, a constant, at off. */
static __always_inline int ctx_store(struct context *ctx, __u32 off, const void *from, __u32 len)
{
	return bpf_skb_store_bytes(ctx, off, from, len, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

/* What an skb carries behind its Ethernet header, while the skb is made anew. */
#define CTX_KEEP_MAX 1280

struct kept {
	__u8 bytes[CTX_KEEP_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct kept);
	__uint(max_entries, 1);
} kept SEC(".maps");

/*
 * Makes the frame carry, behind its Ethernet header, room bytes to be written and
 * then the first keep bytes of what it carried; both together at least 40.
 *
 * An skb that its sender left a checksum or the cutting of segments to would have
 * the kernel write into the result. Resizing ends the segments. The checksum is
 * forgotten when the place where it starts is cut off the front, and no L4 header
 * starts behind CTX_FORGET; hence the detour.
 */
#define CTX_FORGET 512
#define CTX_REST 40 /* the kernel wants an IP header to stay */

static __always_inline int ctx_reframe(struct context *ctx, __u32 room, __u32 keep)
{
	const __u32 l3_off = sizeof(struct ethhdr);
	__u32 zero = 0;
	struct kept *copy = bpf_map_lookup_elem(&kept, &zero);

	keep -= 1; /* as in ctx_copy() */
	barrier_var(keep);
	if (!copy || keep > CTX_KEEP_MAX - 1)
		return -1;
	keep += 1;
	if (bpf_skb_load_bytes(ctx, l3_off, copy->bytes, keep) ||
	    bpf_skb_change_tail(ctx, l3_off + CTX_FORGET + CTX_REST, 0) ||
	    bpf_skb_adjust_room(ctx, -CTX_FORGET, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_adjust_room(ctx, room + keep - CTX_REST, BPF_ADJ_ROOM_MAC, 0))
		return -1;
	return bpf_skb_store_bytes(ctx, l3_off + room, copy->bytes, keep, BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

/* Out of the device that the packet came in by; it must be addressed already. */
static __always_inline int ctx_send_back(struct context *ctx)
{
	return bpf_redirect(ctx->ifindex, 0);
}

/*
 * Takes away the len bytes behind the Ethernet header, which then announces what
 * is behind them. (That it is of another family than they were is known to
 * kernels since 6.3; older ones refuse.)
 */
static __always_inline int ctx_pop(struct context *ctx, __u32 len, bool was_ipv6, bool ipv6)
{
	__u64 flags = 0;

	if (was_ipv6 != ipv6)
		flags = ipv6 ? BPF_F_ADJ_ROOM_DECAP_L3_IPV6 : BPF_F_ADJ_ROOM_DECAP_L3_IPV4;
	return bpf_skb_adjust_room(ctx, -(__s32)len, BPF_ADJ_ROOM_MAC, flags) ? -1 : ctx_announce(ctx, ipv6);
}

/* Several packets in one, which the kernel cuts later, to a length that fits. */
static __always_inline bool ctx_is_cut_later(const struct context *ctx)
{
	return ctx->gso_segs > 1;
}

/*
 * Length for bpf_fib_lookup's check against the MTU of the way out: of the packet,
 * or of each of those that the kernel will cut an skb of many segments into.
 */
static __always_inline __u16 ctx_fib_len(const struct context *ctx, __u32 l3_len, __u32 headers)
{
	__u32 len = ctx->gso_size ? headers + ctx->gso_size : l3_len;

	return len < 0xffff ? len : 0xffff;
}

/* Copies the first len bytes out, at most CTX_COPY_MAX of them; returns how many it copied. */
#define CTX_COPY_MAX 192

static __always_inline __u32 ctx_copy(struct context *ctx, void *to, __u32 len)
{
	/*
	 * The helper wants a length that is known not to be 0. Before 6.8 the verifier learns nothing from a comparison with 0,
	 * but it does from one with a maximum. The barrier keeps the compiler from comparing what is not passed on.
	 */
	len -= 1;
	barrier_var(len);
	if (len > CTX_COPY_MAX - 1)
		return 0;
	len += 1;
	return bpf_skb_load_bytes(ctx, 0, to, len) ? 0 : len;
}

#endif /* LIB_CTX_H */
