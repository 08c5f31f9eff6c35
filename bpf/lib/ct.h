/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CT_H
#define LIB_CT_H

#include "csum.h"
#include "parse.h"

/*
 * Conntrack: one table of flows, with the translation inside, so that a packet
 * of a known flow costs one lookup. The key is the tuple as a packet carries it
 * when it arrives; the value is the tuple that it leaves with.
 *
 * A flow is two entries, one for each direction, whose translations undo each
 * other: turning an entry's result around gives the key of the other. The reply
 * entry is made first and only where there is none (BPF_NOEXIST), so it is what
 * reserves a source port: no two flows ever share a tuple.
 *
 * The table evicts what was not used for longest, one entry at a time, so half
 * a flow may go:
 * - its forward entry: the next packet is treated as the first of a flow. While
 *   the service is unchanged it finds the same backend, its old reply entry and
 *   with that its old source port.
 * - its reply entry: answers miss, and go where packets go that nobody asked
 *   for. Within a second of traffic ct_follow() makes it again, unless another
 *   flow has taken the tuple, or its claim: then what is left of this flow is
 *   removed, and its next packet opens it anew with another port.
 * - both: the next packet opens a flow, as if there had been none before.
 * So an entry never sends a packet to anyone but the peer that it was made for,
 * and because another flow gets the tuple only when claim.h lets it, late answers
 * to a flow that the table has forgotten do not reach the one that comes after it.
 *
 * With direct server return the answers do not come by here, and the forward
 * entry is alone (CT_ENCAP): all it does is to keep the flow with its backend.
 *
 * Untranslated flows are not here, except where their answers could be taken for
 * another flow's: see bypass.h.
 */

enum __attribute__((packed)) ct_flag {
	CT_REPLY = 1,	  /* made for the answers; absent: for the direction that opened the flow */
	CT_TRANSLATE = 2, /* rewrite the packet; absent: the flow is only remembered */
	CT_EGRESS = 4,	  /* where it leaves the host's stack or the NIC; absent: where it enters the node */
	CT_LOCAL = 8,	  /* what comes out is for this node: a pod of it or its own stack */
	CT_ENCAP = 16,	  /* not rewritten here but sent to daddr in another packet: see dsr.h */
};

/*
 * Where in its life a flow is; both of its entries say the same. It decides how
 * long the flow may be idle until the agent removes it. Flags of TCP are believed
 * as they come, sequence numbers are not looked at.
 */
enum __attribute__((packed)) ct_state {
	CT_STATELESS, /* not TCP: there are packets or there are none */
	CT_OPENING,   /* who opened it has not yet sent anything that answers an answer */
	CT_ESTABLISHED,
	CT_HALF_CLOSED, /* FIN from one side */
	CT_CLOSED,	/* FIN from both, or RST */
	CT_EXPIRED,	/* about to be removed, no packet may use it: see ct_use() */
};

/*
 * Who takes the packets next, written and read as one number, so that no packet
 * gets half of one neighbour's address and half of another's.
 */
union next_hop {
	__u64 whole; /* 0: unknown */
	struct {
		__u8 mac[ETH_ALEN];
		__u16 fits; /* bytes from the IP header on that are known to fit the way */
	};
};

/* 64 bytes: one cache line. */
struct ct_entry {
	struct addr saddr; /* what the packet leaves with */
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u16 addr_csum; /* what the new addresses and ports change in a checksum */
	__u16 port_csum; /* over them, see csum.h */
	__u64 last_seen; /* ns of bpf_ktime_get_ns, brought up to date about once a second */
	union next_hop next_hop;
	__u16 tick; /* when last_seen last was */
	enum ct_flag flags;
	enum ct_flag reply_flags; /* forward: those of the reply entry, to make it again */
	enum ct_state state;
	bool fin; /* seen in this direction */
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct tuple);
	__type(value, struct ct_entry);
	__uint(max_entries, 65536);
} ct SEC(".maps");

/*
 * Packets and the agent's removal of idle flows meet here, else a flow could be
 * removed that has just come alive. Entries cannot have locks of their own.
 */
#define CT_LOCKS 256

struct ct_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct ct_lock);
	__uint(max_entries, CT_LOCKS);
} ct_locks SEC(".maps");

static __always_inline struct ct_lock *ct_lock_of(const struct tuple *key)
{
	__u32 number = (key->sport ^ key->dport ^ key->saddr.words[3] ^ key->daddr.words[3]) % CT_LOCKS;

	return bpf_map_lookup_elem(&ct_locks, &number);
}

/*
 * What the rare paths work on: a flow's first packets, its last, and one a
 * second. They are global functions, which the verifier reads once and not once
 * for every state that their callers can be in; before 5.12 such functions take
 * numbers and the context only, so the rest lies here. One per CPU is enough:
 * XDP and TC run with bottom halves off, so no program interrupts another.
 */
struct slow_path {
	struct tuple tuple; /* of the packet */
	__u32 tcp_flags;
	__u32 pad;
	struct ct_entry forward; /* of the flow to open */
	struct ct_entry reply;	 /* to an entry */
	struct tuple reply_key;
	struct addr backend;	 /* that a packet came encapsulated for: see dsr.h */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct slow_path);
	__uint(max_entries, 1);
} slow_path SEC(".maps");

static __always_inline struct slow_path *slow_path_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&slow_path, &zero);
}

/* Rewrites packets where they enter the node. */
static __always_inline bool ct_rewrites_ingress(const struct ct_entry *entry)
{
	return (entry->flags & (CT_TRANSLATE | CT_EGRESS)) == CT_TRANSLATE;
}

/* Rewrites packets where they leave the node's stack, or the NIC. */
static __always_inline bool ct_rewrites_egress(const struct ct_entry *entry)
{
	return (entry->flags & (CT_TRANSLATE | CT_EGRESS)) == (CT_TRANSLATE | CT_EGRESS);
}

/* 256 jiffies: between 0.25 and 2.5 seconds, whatever HZ is; read without a call. */
static __always_inline __u16 ct_tick(void)
{
	return bpf_jiffies64() >> 8;
}

/* The key of the entry for the other direction. */
static __always_inline void ct_other_key(struct tuple *key, const struct ct_entry *entry, __u8 proto)
{
	key->saddr = entry->daddr;
	key->daddr = entry->saddr;
	key->sport = entry->dport;
	key->dport = entry->sport;
	key->proto = proto;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* Entry undoes what the entry at key does. */
static __always_inline bool ct_undoes(const struct ct_entry *entry, const struct tuple *key)
{
	/* Without branches: this is in the loop that looks for a port. */
	return !((entry->saddr.halves[0] ^ key->daddr.halves[0]) | (entry->saddr.halves[1] ^ key->daddr.halves[1]) |
		 (entry->daddr.halves[0] ^ key->saddr.halves[0]) | (entry->daddr.halves[1] ^ key->saddr.halves[1]) |
		 (entry->sport ^ key->dport) | (entry->dport ^ key->sport));
}

/* Where a request came from, which is where its answers go. */
static __always_inline union next_hop ct_sender(struct context *ctx)
{
	const struct ethhdr *eth = ctx_at(ctx, 0, sizeof(*eth));
	union next_hop sender = {};

	if (eth)
		__builtin_memcpy(sender.mac, eth->h_source, ETH_ALEN);
	return sender;
}

/* Makes slow_path.reply the reply entry to the forward entry of slow_path.tuple. */
static __always_inline void ct_make_reply(struct context *ctx, struct slow_path *slow, const struct ct_entry *forward)
{
	const struct tuple *tuple = &slow->tuple;
	struct ct_entry *reply = &slow->reply;

	__builtin_memset(reply, 0, sizeof(*reply));
	reply->saddr = tuple->daddr;
	reply->daddr = tuple->saddr;
	reply->sport = tuple->dport;
	reply->dport = tuple->sport;
	reply->addr_csum = csum_undo(forward->addr_csum);
	reply->port_csum = csum_undo(forward->port_csum);
	reply->flags = forward->reply_flags;
	reply->last_seen = forward->last_seen;
	reply->tick = ct_tick();
	reply->state = forward->state;
	reply->next_hop = ct_sender(ctx);
}

/*
 * Says that a packet uses the entry at key, at that time. False: it is being
 * removed, and the packet must do without. So an entry is either used or removed:
 * the agent removes what ct_expire() has marked, after it was idle for long and
 * before it was used again; packets that do not ask here know that the entry was
 * used less than a tick ago.
 */
static __always_inline bool ct_use(struct ct_entry *entry, const struct tuple *key, __u64 now)
{
	struct ct_lock *lock = ct_lock_of(key);
	bool expired;

	if (!lock)
		return false;
	bpf_spin_lock(&lock->lock);
	expired = entry->state == CT_EXPIRED;
	if (!expired)
		entry->last_seen = now;
	bpf_spin_unlock(&lock->lock);
	return !expired;
}

#endif /* LIB_CT_H */
