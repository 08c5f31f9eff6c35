/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_DSR_H
#define LIB_DSR_H

#include "encap.h"
#include "lb.h"

/*
 * Direct server return. The node that a client addresses (the balancing node)
 * chooses a backend and sends the packet there as it came, IP in IP from its own
 * address to the backend's. The backend's node takes the outer header off, does
 * the translation, and its answers leave with the address that the client knows,
 * past the balancing node.
 *
 * The balancing node keeps one entry for such a flow (CT_ENCAP), which only
 * holds it to its backend while backends change. Lost, it is made again: with
 * Maglev for the same backend, on this node or on another.
 *
 * The backend's node learns the frontend from the packet, and from the outer
 * destination which backend was chosen; the map direct has what is missing, the
 * backend's port. Only nodes may send so, which the outer source tells. The
 * balancing node's choice counts for every packet: a flow that comes for another
 * backend than before is opened anew. IP in IP to its pods and to itself belongs
 * to the datapath while a node takes part; nothing else is done with it.
 *
 * A server behind a balancer has no conntrack and no translation: the frontend's
 * address is its own (on lo), and packets go to its stack when the outer header
 * is off.
 */

struct direct {
	struct addr frontend; /* zero: any node's address, with a node port */
	struct addr backend;
	__be16 port; /* of the frontend; 0, and no protocol: the stack's own, whatever it is */
	__u8 proto;
	__u8 pad[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct direct);
	__type(value, __be16); /* port of the backend */
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} direct SEC(".maps");

/* What came of a packet that may be encapsulated: a drop reason, or one of these. */
#define DSR_NOTHING 0
#define DSR_STACK 0x100	  /* out of its outer header, and the stack's */
#define DSR_BACKEND 0x200 /* out of its outer header, and for slow_path.backend */

/* Whatever is addressed to frontend is for the node's own stack. */
static __always_inline bool dsr_is_own(const struct addr *frontend, const struct addr *backend)
{
	struct direct key = {.frontend = *frontend, .backend = *backend};

	return bpf_map_lookup_elem(&direct, &key);
}

/* What the inner header tells before it is the packet's own. */
struct dsr_inner {
	struct addr daddr;
	bool whole; /* has a hop left, and ports right behind the header */
};

/* false: cut short, or no header of the family that the outer one says. */
static __always_inline bool dsr_read_inner(struct context *ctx, const struct encap_header *header,
					   struct dsr_inner *inner)
{
	__u32 off = L3_OFF + encap_len(header->ipv6);
	__u8 proto;

	if (header->inner_ipv6) {
		const struct ipv6hdr *ip = ctx_header(ctx, off, sizeof(*ip));

		if (!ip || ip->version != 6)
			return false;
		addr_set_ipv6(&inner->daddr, &ip->daddr);
		inner->whole = ip->hop_limit > 1;
		proto = ip->nexthdr;
	} else {
		const struct iphdr *ip = ctx_header(ctx, off, sizeof(*ip));

		if (!ip || ip->version != 4)
			return false;
		addr_set_ipv4(&inner->daddr, ip->daddr);
		inner->whole = ip->ttl > 1 && !(ip->frag_off & bpf_htons(IP_MF | IP_OFFSET));
		proto = ip->protocol;
	}
	inner->whole = inner->whole && (proto == IPPROTO_TCP || proto == IPPROTO_UDP);
	return true;
}

/*
 * The frame came from the balancing node, where answers must not go: with no
 * sender on the link, ct_sender() leaves their way to the FIB.
 */
static __always_inline int dsr_forget_sender(struct context *ctx)
{
	struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));

	if (!eth)
		return DROP_REWRITE;
	__builtin_memset(eth->h_source, 0, ETH_ALEN);
	return DROP_NONE;
}

/*
 * Takes the outer header from a packet that another node has sent to a backend
 * of this one. XDP does so only where it can also do the rest. Global: the
 * verifier reads it once.
 */
__noinline int dsr_receive(struct context *ctx)
{
	struct encap_header header;
	struct dsr_inner inner;
	struct slow_path *slow;
	bool pod, own;
	int reason;

	if (!encap_read(ctx, &header))
		return DSR_NOTHING;
	slow = slow_path_of();
	if (!slow)
		return DROP_CT_FULL;
	pod = endpoint_lookup(&header.daddr);
	if (!pod && !is_node_address(&header.daddr))
		return DSR_NOTHING; /* on its way to another machine */
	if (entity_of(&header.saddr) != ENTITY_NODE)
		return DROP_TUNNEL_SOURCE;
	if (!dsr_read_inner(ctx, &header, &inner))
		return DROP_INVALID;
	own = !pod && dsr_is_own(&inner.daddr, &header.daddr);
#ifdef LIB_CTX_XDP
	if (!own && !inner.whole)
		return DSR_NOTHING;
#endif
	reason = encap_pop(ctx, &header);
	if (reason)
		return reason;
	if (own)
		return DSR_STACK;
	slow->backend = header.daddr;
	reason = dsr_forget_sender(ctx);
	return reason ? reason : DSR_BACKEND;
}

/* dsr_receive(), and no call where there is nothing for it. */
static __always_inline int dsr_try(struct context *ctx)
{
	return config.dsr && encap_may_be(ctx) ? dsr_receive(ctx) : DSR_NOTHING;
}

/* Forgets what is known of slow_path.tuple's flow: the balancing node has chosen another backend. */
__noinline int dsr_forget(struct context *ctx)
{
	const struct slow_path *slow = slow_path_of();
	const struct ct_entry *entry, *other;
	struct tuple key;

	barrier_var(ctx); /* or the compiler passes anything for it, having seen that it is not used */
	entry = slow ? bpf_map_lookup_elem(&ct, &slow->tuple) : NULL;
	if (!entry)
		return 0;
	ct_other_key(&key, entry, slow->tuple.proto);
	other = bpf_map_lookup_elem(&ct, &key);
	if (other && ct_undoes(other, &slow->tuple))
		bpf_map_delete_elem(&ct, &key);
	bpf_map_delete_elem(&ct, &slow->tuple);
	return 0;
}

/* Makes slow_path.forward the flow of slow_path.tuple to slow_path.backend. Returns a drop reason. */
__noinline int dsr_choose(struct context *ctx)
{
	struct slow_path *slow = slow_path_of();
	struct direct key = {};
	__be16 *port;
	bool pod;

	if (!slow)
		return DROP_CT_FULL;
	if (entity_of(&slow->tuple.daddr) != ENTITY_NODE)
		key.frontend = slow->tuple.daddr;
	key.backend = slow->backend;
	key.port = slow->tuple.dport;
	key.proto = slow->tuple.proto;
	port = bpf_map_lookup_elem(&direct, &key);
	if (!port || addr_is_ipv4(&slow->tuple.daddr) != addr_is_ipv4(&slow->backend))
		return DROP_TUNNEL_SERVICE;

	dsr_forget(ctx);
	pod = endpoint_lookup(&slow->backend);
	__builtin_memset(&slow->forward, 0, sizeof(slow->forward));
	slow->forward.flags = CT_TRANSLATE | CT_LOCAL;
	slow->forward.reply_flags = lb_reply_flags(pod, true, OUTSIDE);
	slow->forward.saddr = slow->tuple.saddr;
	slow->forward.daddr = slow->backend;
	slow->forward.dport = *port;
	return DROP_NONE;
}

/*
 * The flow of pkt, which dsr_receive() has for a backend. *entry is what
 * conntrack knew of it, and becomes what it is. Returns a drop reason.
 */
static __always_inline int dsr_follow(struct context *ctx, const struct packet *pkt, struct ct_entry **entry)
{
	struct slow_path *slow = slow_path_of();
	int reason;

	if (!slow)
		return DROP_CT_FULL;
	if (*entry && ct_rewrites_ingress(*entry) && addr_equal(&(*entry)->daddr, &slow->backend))
		return DROP_NONE;
	if (!opens_flow(pkt))
		return DROP_TUNNEL_SERVICE;
	slow->tuple = pkt->tuple;
	reason = dsr_choose(ctx);
	if (!reason)
		reason = flow_open(ctx, SNAT_TRIES);
	if (reason)
		return reason;
	*entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	return *entry ? DROP_NONE : DROP_CT_EXPIRED; /* already */
}

#endif /* LIB_DSR_H */
