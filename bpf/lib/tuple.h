/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_TUPLE_H
#define LIB_TUPLE_H

#include "addr.h"

/*
 * A flow in one direction, as its packets carry it. An ICMP echo has its
 * identifier where a port of the machine that pings would be: a request as its
 * source port, a reply as its destination port, with 0 for the other.
 */
struct tuple {
	struct addr saddr;
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};

static __always_inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return addr_equal(&a->saddr, &b->saddr) && addr_equal(&a->daddr, &b->daddr) &&
	       a->sport == b->sport && a->dport == b->dport && a->proto == b->proto;
}

/* The tuple that the answers to tuple carry. */
static __always_inline void tuple_reverse(struct tuple *reply, const struct tuple *tuple)
{
	reply->saddr = tuple->daddr;
	reply->daddr = tuple->saddr;
	reply->sport = tuple->dport;
	reply->dport = tuple->sport;
	reply->proto = tuple->proto;
	reply->pad[0] = reply->pad[1] = reply->pad[2] = 0;
}

/* The same on every node and in every run: what it chooses can be chosen again. */
static __always_inline __u32 tuple_hash(const struct tuple *tuple)
{
	__u64 hash = ((__u64)tuple->sport << 48) | ((__u64)tuple->dport << 32) | tuple->proto;

	/* One round of multiply and fold per word; the constant is 2^64 over the golden ratio. */
#define MIX(word) hash = (hash ^ (word)) * 0x9e3779b97f4a7c15ULL, hash ^= hash >> 32
	MIX(tuple->saddr.halves[0]);
	MIX(tuple->saddr.halves[1]);
	MIX(tuple->daddr.halves[0]);
	MIX(tuple->daddr.halves[1]);
#undef MIX
	return hash;
}

#endif /* LIB_TUPLE_H */
