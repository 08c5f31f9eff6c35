/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_PACKET_H
#define LIB_PACKET_H

#include "trace.h"
#include "tuple.h"

/* What a packet is to the datapath. */
enum packet_kind {
	KIND_FLOW,	 /* TCP, UDP, an ICMP echo, or an ICMP error about one of them: the tuple is whole */
	KIND_FRAGMENT, /* a later fragment of anything: only the tuple's addresses and protocol are known */
	KIND_OTHER_IP, /* never translated; the tuple as for a fragment */
	KIND_ARP,
	KIND_NOT_IP,
	KIND_INVALID, /* a header is cut short or contradicts itself */
};

/* All that is ever read from the headers of a packet, each of them once. */
struct packet {
	struct tuple tuple;
	__u32 l3_len; /* of IP header and all behind it */
	__u16 l4_off; /* bytes from the start of the frame */
	__u8 l4_len;  /* of the header of TCP or UDP */
	__u8 ttl;     /* or hop limit */
	__u8 tcp_flags;
	__u8 icmp_type;
	bool ipv6;
	bool echo_reply;

	bool fragment;	       /* the first or a later one */
	bool follows;	       /* a later one, of a datagram whose first is known: see fragment.h */
	__u16 fragment_offset; /* bytes */
	__be32 fragment_id;    /* of IPv4, 16 bits */

	__u16 quote_off; /* an ICMP error, about the packet whose L4 header is there; 0: it is none */
	bool relayed;	 /* an ICMP error of neither end of the flow, but of a router between them */
};

/*
 * The packet that a program works on. It lies in a map, where global functions
 * find it, and of whose contents the verifier knows nothing: on the stack it would
 * follow every kind of packet through the whole program. One per CPU is enough:
 * XDP and TC run with bottom halves off, so no program interrupts another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet);
	__uint(max_entries, 1);
} packets SEC(".maps");

/* Never NULL, which the verifier does not know. */
static __always_inline struct packet *packet_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&packets, &zero);
}

/* A flow's first packet may be like this. */
static __always_inline bool opens_flow(const struct packet *pkt)
{
	return !pkt->echo_reply && !pkt->quote_off;
}

#define L3_OFF sizeof(struct ethhdr)

/*
 * No L4 header starts behind this. IPv4 options end at 74; IPv6 has room for
 * 450 bytes of extension headers, and what has more goes to the stack. Offsets
 * pass through l4_bound, so that verifiers which lose a number's bounds on its
 * way over the stack find them again.
 */
#define L4_OFF_MASK 0x1ff

static __always_inline __u32 l4_bound(__u32 off)
{
	asm volatile("%0 &= %1" : "+r"(off) : "i"(L4_OFF_MASK));
	return off;
}

#endif /* LIB_PACKET_H */
