/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CT_FIND_H
#define LIB_CT_FIND_H

#include "claim.h"
#include "ct.h"

/*
 * Finding the flow of a packet, and what the packet does to it. Most packets cost
 * a lookup and no write: only about once a second, and with the flags that begin
 * and end connections, does one follow the flow: it renews the claim, moves the
 * state on, makes an evicted reply entry again and forgets the next hop.
 */

/* The state that flags bring a flow of TCP to; other is the entry of the other direction, or NULL. */
static __always_inline enum ct_state ct_next_state(const struct ct_entry *entry, const struct ct_entry *other,
						   __u32 flags)
{
	if (entry->state == CT_STATELESS)
		return CT_STATELESS;
	if ((flags & TCP_RST) || entry->state == CT_CLOSED)
		return CT_CLOSED;
	if (entry->fin)
		return other && other->fin ? CT_CLOSED : CT_HALF_CLOSED;
	if (entry->state == CT_OPENING && !(flags & TCP_SYN) && !(entry->flags & CT_REPLY))
		return CT_ESTABLISHED;
	return entry->state;
}

/* Takes note of a packet with these flags in the direction of entry. */
static __always_inline void ct_note(struct ct_entry *entry, struct ct_entry *other, __u32 flags)
{
	enum ct_state state;

	if (flags & TCP_FIN)
		entry->fin = true;
	state = ct_next_state(entry, other, flags);
	entry->state = state;
	if (other)
		other->state = state;
	/*
	 * The next packet must come by here as well: of an opening flow it may be the
	 * one that establishes it, and after two FINs on two CPUs at once neither has
	 * seen the other.
	 */
	entry->tick = state == CT_OPENING || (flags & TCP_FIN) ? ct_tick() - 1 : ct_tick();
}

/*
 * Renews the claim on the answers' tuple, by an entry at key and what is at the key of the other direction, or NULL.
 * False: its reply entry is gone, and the tuple is another flow's or was just now.
 */
static __always_inline bool ct_claims(const struct ct_entry *entry, const struct ct_entry *other, const struct tuple *key,
				      const struct tuple *other_key, __u64 now)
{
	bool reply = entry->flags & CT_REPLY;
	const struct tuple *answers = reply ? key : other_key;
	__u32 owner = claim_owner(reply ? other_key : key);

	if (entry->flags & CT_ENCAP)
		return true;
	if (!other && !reply)
		return claim_take(tuple_hash(answers), owner, claim_time(now));
	claim_use(tuple_hash(answers), owner, claim_time(now));
	return true;
}

/*
 * The part of a lookup that few packets need. Returns whether the entry still
 * stands for the flow; otherwise it was removed, or is being removed.
 */
__noinline int ct_follow(struct context *ctx)
{
	struct slow_path *slow = slow_path_of();
	struct ct_entry *entry, *other;
	struct tuple key;
	__u64 now;

	if (!slow)
		return false;
	now = bpf_ktime_get_ns();
	entry = bpf_map_lookup_elem(&ct, &slow->tuple);
	if (!entry || !ct_use(entry, &slow->tuple, now))
		return false;
	ct_other_key(&key, entry, slow->tuple.proto);
	other = entry->flags & CT_ENCAP ? NULL : bpf_map_lookup_elem(&ct, &key);
	if ((other && !ct_undoes(other, &slow->tuple)) || !ct_claims(entry, other, &slow->tuple, &key, now)) {
		bpf_map_delete_elem(&ct, &slow->tuple);
		return false;
	}
	if ((slow->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && entry->state >= CT_HALF_CLOSED) {
		/* The client uses its port again: a new connection, free to choose its backend. */
		if (other)
			bpf_map_delete_elem(&ct, &key);
		bpf_map_delete_elem(&ct, &slow->tuple);
		return false;
	}
	ct_note(entry, other, slow->tcp_flags);
	if (entry->flags & CT_REPLY)
		return true;
	entry->next_hop.whole = 0; /* routes and neighbours change */
	if (other) {
		other->next_hop = ct_sender(ctx);
	} else if (!(entry->flags & CT_ENCAP)) {
		ct_make_reply(ctx, slow, entry);
		bpf_map_update_elem(&ct, &key, &slow->reply, BPF_NOEXIST);
	}
	return true;
}

/* The entry of pkt's flow; NULL: unknown. */
static __always_inline struct ct_entry *ct_find(struct context *ctx, const struct packet *pkt)
{
	struct ct_entry *entry = bpf_map_lookup_elem(&ct, &pkt->tuple);
	struct slow_path *slow;

	if (!entry || pkt->quote_off) /* an error is no sign of life */
		return entry;
	if (!(pkt->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) && entry->tick == ct_tick())
		return entry;
	slow = slow_path_of();
	if (!slow)
		return NULL;
	slow->tuple = pkt->tuple;
	slow->tcp_flags = pkt->tcp_flags;
	return ct_follow(ctx) ? entry : NULL;
}

#endif /* LIB_CT_FIND_H */
