/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_FRAGMENT_H
#define LIB_FRAGMENT_H

#include "parse.h"

/*
 * Fragments. Only the first of a datagram has ports. When it is translated, the
 * ports are kept here, and the fragments behind it are packets of the same flow:
 * they go where it went.
 *
 * A fragment that comes before the first has nothing but its addresses. It goes
 * where these lead; if that is the node, to the stack, which may know the rest of
 * the datagram (and is counted, METRIC_EARLY); if it would leave with the address
 * of a pod for the world, nowhere (DROP_FRAGMENT). A datagram that should have
 * been translated is then lost. The same becomes of what the table has evicted.
 */
struct datagram {
	struct addr saddr;
	struct addr daddr;
	__be32 id;
	__u8 proto; /* 0 of IPv6, where the first fragment alone is sure to tell */
	__u8 pad[3];
};

struct datagram_ports {
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
	__u64 first_seen; /* ns of bpf_ktime_get_ns */
};

/* Receivers wait no longer for what is missing (RFC 8200, 4.5): after that the same id is another datagram. */
#define FRAGMENT_NS 60000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct datagram);
	__type(value, struct datagram_ports);
	__uint(max_entries, 4096);
} datagrams SEC(".maps");

static __always_inline void datagram_of(struct datagram *key, const struct packet *pkt)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->saddr = pkt->tuple.saddr;
	key->daddr = pkt->tuple.daddr;
	key->id = pkt->fragment_id;
	key->proto = pkt->ipv6 ? 0 : pkt->tuple.proto;
}

/* The packet is the first fragment of a datagram, not yet translated. Global, as the next one: the verifier reads it once. */
__noinline int fragment_keep(struct context *ctx)
{
	struct datagram_ports ports = {.first_seen = bpf_ktime_get_ns()};
	const struct packet *pkt = packet_of();
	struct datagram key;

	barrier_var(ctx); /* or the compiler passes anything for it, having seen that it is not used */
	if (!pkt)
		return 0;
	datagram_of(&key, pkt);
	ports.sport = pkt->tuple.sport;
	ports.dport = pkt->tuple.dport;
	ports.proto = pkt->tuple.proto;
	bpf_map_update_elem(&datagrams, &key, &ports, BPF_ANY);
	return 0;
}

/* What the packet, a KIND_FRAGMENT, is by what is known of its datagram. */
__noinline int fragment_find(struct context *ctx)
{
	const struct datagram_ports *ports;
	struct packet *pkt = packet_of();
	struct datagram key;

	barrier_var(ctx);
	if (!pkt)
		return KIND_FRAGMENT;
	datagram_of(&key, pkt);
	ports = bpf_map_lookup_elem(&datagrams, &key);
	if (!ports || bpf_ktime_get_ns() - ports->first_seen > FRAGMENT_NS)
		return KIND_FRAGMENT;
	pkt->tuple.sport = ports->sport;
	pkt->tuple.dport = ports->dport;
	pkt->tuple.proto = ports->proto;
	pkt->follows = true;
	return KIND_FLOW;
}

#endif /* LIB_FRAGMENT_H */
