/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_EXTENSION_H
#define LIB_EXTENSION_H

#include "packet.h"

/* The way to L4 past what IPv6 puts between. */

#define IPV6_EXTENSIONS 4

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
 * change.) What a fragment header says is noted in the packet. Few packets have
 * any. Global: the verifier reads it once, and knows of its
 * result nothing that would multiply the states of the rest.
 */
__noinline __u32 ipv6_extensions(struct context *ctx, __u32 type, __u32 l4_off)
{
	union ipv6_walk walk = {.l4_off = l4_off, .proto = type, .kind = KIND_OTHER_IP};
	struct packet *pkt = packet_of();
	bool fragmented = false;

	if (!pkt)
		return walk.result;

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
			const struct frag_hdr *frag = (const struct frag_hdr *)ext;
			__u16 frag_off = bpf_ntohs(frag->frag_off);

			if (fragmented) { /* a fragment of a fragment */
				walk.kind = KIND_INVALID;
				break;
			}
			fragmented = true;
			pkt->fragment_id = frag->identification;
			pkt->fragment_offset = frag_off & IP6_OFFSET;
			len = sizeof(*frag);
			walk.fragment = frag_off & (IP6_MF | IP6_OFFSET);
			if (frag_off & IP6_OFFSET) {
				walk.kind = KIND_FRAGMENT;
				walk.l4_off += len;
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
