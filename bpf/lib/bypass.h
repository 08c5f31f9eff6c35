/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_BYPASS_H
#define LIB_BYPASS_H

#include "endpoint.h"
#include "flow.h"
#include "ipcache.h"

/*
 * Flows that go to a backend by its own address, past the services that lead
 * there. A client may talk to a backend both ways from the same port; the answers
 * of both flows then have one tuple. So that they can be told apart, such flows
 * are in conntrack too: the first of the two keeps its port, whichever it is, and
 * the second gets another, as from Linux's own conntrack. A flow that keeps its
 * port is not translated.
 *
 * What may be a backend is told by a filter: a bit for each hash of address, port
 * and protocol. A bit is never taken back, for flows last longer than backends
 * stay in services; one that says too much only means that a flow is remembered.
 *
 * Flows that the world opens to a pod are remembered whether there are services
 * or not: the pod answers as itself, and must not be masqueraded.
 */
#define BACKEND_WORDS 128

struct backend_bits {
	__u64 words[BACKEND_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct backend_bits);
	__uint(max_entries, 64);
} backend_bits SEC(".maps");

/* Whether what tuple is addressed to may be a backend, or have been one. */
static __always_inline bool bypass_is_backend(const struct tuple *tuple)
{
	struct tuple to = {.daddr = tuple->daddr, .dport = tuple->dport, .proto = tuple->proto};
	__u32 hash = tuple_hash(&to) * 0x9e3779b1U; /* all bits of it have a say in the upper ones */
	__u32 number = hash >> 26;
	const struct backend_bits *bits = bpf_map_lookup_elem(&backend_bits, &number);

	return bits && (bits->words[(hash >> 19) % BACKEND_WORDS] >> (hash >> 13 & 63) & 1);
}

/* Where the answers of slow_path.tuple's flow are made what the client expects, should it get another port. */
static __always_inline enum ct_flag bypass_reply_flags(const struct tuple *tuple, bool local_pod, bool local,
						       enum side side)
{
	if (side == INSIDE)
		return local && !local_pod ? CT_REPLY | CT_LOCAL | CT_EGRESS : CT_REPLY | CT_LOCAL;
	/* What leaves for the world is looked at where it does, or would be masqueraded there. */
	return !local_pod || entity_of(&tuple->saddr) == ENTITY_WORLD ? CT_REPLY | CT_EGRESS : CT_REPLY;
}

/*
 * Starts slow_path.forward for slow_path.tuple. Returns how many ports the flow may try, 0: it need not be remembered.
 * Global: the verifier reads it once.
 */
__noinline int bypass_choose(enum side side)
{
	struct slow_path *slow = slow_path_of();
	bool local_pod, local, known;

	if (!slow)
		return 0;
	local_pod = endpoint_lookup(&slow->tuple.daddr);
	local = local_pod || is_node_address(&slow->tuple.daddr);
	if (side == OUTSIDE && !local)
		return 0; /* on its way to another machine */
	if (side == INSIDE && entity_of(&slow->tuple.daddr) == ENTITY_WORLD)
		return 0; /* will be masqueraded */
	known = bypass_is_backend(&slow->tuple);
	if (!known && (side == INSIDE || !local_pod || entity_of(&slow->tuple.saddr) != ENTITY_WORLD))
		return 0;
	__builtin_memset(&slow->forward, 0, sizeof(slow->forward));
	slow->forward.saddr = slow->tuple.saddr;
	slow->forward.daddr = slow->tuple.daddr;
	slow->forward.dport = slow->tuple.dport;
	slow->forward.flags = local ? CT_LOCAL : 0;
	slow->forward.reply_flags = bypass_reply_flags(&slow->tuple, local_pod, local, side);
	return known ? SNAT_TRIES : 1;
}

/*
 * Opens pkt's flow, which leads to no service, if it must be remembered. *entry is the flow then. Returns a drop reason.
 */
static __always_inline int bypass_open(struct context *ctx, const struct packet *pkt, enum side side, struct ct_entry **entry)
{
	struct slow_path *slow;
	int tries, reason;

	if (!opens_flow(pkt) || pkt->ttl <= 1)
		return DROP_NONE;
	slow = slow_path_of();
	if (!slow)
		return DROP_CT_FULL;
	slow->tuple = pkt->tuple;
	tries = bypass_choose(side);
	if (!tries)
		return DROP_NONE;
	reason = flow_open(ctx, tries);
	if (reason == DROP_SNAT_NO_PORT && tries == 1 && bpf_map_lookup_elem(&ct, &slow->reply_key))
		return DROP_NONE; /* the pod has opened a flow to where this packet comes from: its answer */
	if (reason)
		return reason;
	*entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	return *entry ? DROP_NONE : DROP_CT_EXPIRED; /* already */
}

#endif /* LIB_BYPASS_H */
