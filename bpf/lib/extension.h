/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_EXTENSION_H
#define LIB_EXTENSION_H

#include "trace.h"

/* Where headers stand, and the way to L4 past what IPv6 puts between. */

/* What a packet is to the datapath. */
enum packet_kind {
	KIND_FLOW,	 /* TCP, UDP, an ICMP echo, or an ICMP error about one of them: the tuple is whole */
	KIND_FRAGMENT, /* a later fragment of anything: only the tuple's addresses and protocol are known */
	KIND_OTHER_IP, /* never translated; the tuple as for a fragment */
	KIND_ARP,
	KIND_NOT_IP,
	KIND_INVALID, /* a header is cut short or contradicts itself */
};

#define L3_OFF sizeof(struct ethhdr)

/*
 * No L4 header starts behind this. IPv4 options end at 74; IPv6 has room for
 * 450 bytes of extension headers, and what has more goes to the stack. Offsets
 * pass through l4_bound, so that verifiers which lose a number's bounds on its
 * way over the stack find them again.
 */
#define L4_OFF_MASK 0x1ff
#define IPV6_EXTENSIONS 4

static __always_inline __u32 l4_bound(__u32 off)
{
	asm volatile("%0 &= %1" : "+r"(off) : "i"(L4_OFF_MASK));
	return off;
}

static __always_inline bool ipv6_is_extension(__u8 type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS ||
	       type == IPPROTO_FRAGMENT;
}

/* What is behind the extension headers, in a number. */
union ipv6_walk {
	__u32 result;
	struct {
		__u16 l4_off;
		__u8 proto;
		enum packet_kind kind : 7;
		bool fragment : 1;
	};
};

/*
 * Walks extension headers, the first of which is of the given type and at l4_off,
 * up to what is none. (AH counts as none: it authenticates what translation would
 * change.) Few packets have any. Global: the verifier reads it once, and knows of its
 * result nothing that would multiply the states of the rest.
 */
__noinline __u32 ipv6_extensions(struct context *ctx, __u32 type, __u32 l4_off)
{
	union ipv6_walk walk = {.l4_off = l4_off, .proto = type, .kind = KIND_OTHER_IP};

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		const struct ipv6_rt_hdr *ext; /* starts as each of them does */
		__u32 len;

		type = walk.proto;
		ext = ctx_header(ctx, l4_bound(walk.l4_off), sizeof(struct frag_hdr));
		if (!ext) {
			walk.kind = KIND_INVALID;
			break;
		}
		walk.proto = ext->nexthdr;
		len = (ext->hdrlen + 1) * 8;
		if (type == IPPROTO_ROUTING && ext->segments_left)
			break; /* the checksum is over another destination (RFC 8200, 8.1) */
		if (type == IPPROTO_FRAGMENT) {
			__u16 frag_off = bpf_ntohs(((const struct frag_hdr *)ext)->frag_off);

			len = sizeof(struct frag_hdr);
			walk.fragment = frag_off & (IP6_MF | IP6_OFFSET);
			if (frag_off & IP6_OFFSET) {
				walk.kind = KIND_FRAGMENT;
				break;
			}
		}
		if (walk.l4_off + len > L4_OFF_MASK)
			break;
		walk.l4_off += len;
		if (!ipv6_is_extension(walk.proto)) {
			walk.kind = KIND_FLOW;
			break;
		}
	}
	return walk.result;
}

#endif /* LIB_EXTENSION_H */
