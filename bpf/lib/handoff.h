/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_HANDOFF_H
#define LIB_HANDOFF_H

#include "parse.h"

/*
 * XDP tells TC that it has translated a packet which stays on this node, in the
 * metadata before the packet, so that TC does not look for a flow a second time
 * under the tuple that XDP wrote. A driver without metadata refuses; then XDP
 * leaves the packet as it came and TC does the whole work.
 *
 * The mark names the NIC: an skb can reach another machine's programs over a
 * veth pair with its metadata still on it.
 */
struct handoff {
	__u32 magic;
	__u32 ifindex;
};

#define HANDOFF_MAGIC 0x5bc01a7e

#ifdef LIB_CTX_XDP
/* Ends the life of pointers into the packet. */
static __always_inline bool handoff_put(struct context *ctx)
{
	struct handoff *mark;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*mark)))
		return false;
	mark = ctx_data_meta(ctx);
	if ((void *)(mark + 1) > ctx_data(ctx))
		return false;
	mark->magic = HANDOFF_MAGIC;
	mark->ifindex = ctx_ifindex(ctx);
	return true;
}
#else
static __always_inline bool handoff_found(const struct context *ctx)
{
	const struct handoff *mark = ctx_data_meta(ctx);

	return (void *)(mark + 1) <= ctx_data(ctx) && mark->magic == HANDOFF_MAGIC && mark->ifindex == ctx_ifindex(ctx);
}
#endif

#endif /* LIB_HANDOFF_H */
