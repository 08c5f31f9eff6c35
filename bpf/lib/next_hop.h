/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_NEXT_HOP_H
#define LIB_NEXT_HOP_H

#include "ct.h"
#include "fib.h"

/*
 * The next hop of a translated flow. The FIB is asked for its first packet, and
 * again about once a second, when ct_follow() forgets the answer: a lookup costs
 * as much as all the rest of the path (on IPv6 twice that), and a neighbour that
 * moves is missed for no longer than its own ARP entry would be.
 */

/* Who takes this packet of the flow; whole is 0 when the FIB must be asked. */
static __always_inline union next_hop next_hop_known(const struct ct_entry *entry, const struct packet *pkt)
{
	union next_hop known = {.whole = *(const volatile __u64 *)&entry->next_hop.whole};

	/* Answers go back the way that the requests came, whatever their size. */
	if (!(entry->flags & CT_REPLY) && pkt->l3_len > known.fits)
		known.whole = 0;
	return known;
}

/* The FIB's answer for a packet of the flow, which fits the way as a whole. */
static __always_inline union next_hop next_hop_remember(struct ct_entry *entry, const struct packet *pkt,
							const struct bpf_fib_lookup *fib)
{
	union next_hop found = {};

	__builtin_memcpy(found.mac, fib->dmac, ETH_ALEN);
	found.fits = pkt->l3_len < 0xffff ? pkt->l3_len : 0xffff;
	*(volatile __u64 *)&entry->next_hop.whole = found.whole;
	return found;
}

#endif /* LIB_NEXT_HOP_H */
