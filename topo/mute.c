// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * The mute: a TC program at the ingress of eth0 of pods and hosts. It drops
 * what carries a cookie, the mark of crafted packets, so that the kernel does
 * not answer them. Taps come before TC and see the packets all the same.
 *
 * A cookie begins with a magic and stands at the start of the L4 payload of
 * TCP, UDP and ICMP echo, or of the packet that an ICMP error is about.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#define TC_ACT_UNSPEC (-1) /* go on with the next program */

#define EXTENSION_HEADERS 6 /* that are walked at most */
#define ICMP_HEADER	  8

static const char magic[8] = "skbench";

/* A place in the packet: what begins at an offset from the Ethernet header. */
struct place {
	__u32 offset;
	__u8 protocol; /* of L4; ICMPv6 and ICMP have their own numbers */
};

#define LOAD(skb, offset, value) (bpf_skb_load_bytes(skb, offset, &(value), sizeof(value)) == 0)

/* IPv6 puts extension headers before L4. */
static __always_inline bool skip_extensions(struct __sk_buff *skb, struct place *place)
{
	struct ipv6_opt_hdr header;
	int i;

	for (i = 0; i < EXTENSION_HEADERS; i++) {
		switch (place->protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_FRAGMENT:
			break;
		default:
			return true;
		}
		if (!LOAD(skb, place->offset, header))
			return false;
		/* A fragment header is 8 bytes long, and its second byte is reserved. */
		place->offset += place->protocol == IPPROTO_FRAGMENT ? 8 : (header.hdrlen + 1) * 8;
		place->protocol = header.nexthdr;
	}
	return false;
}

/* Moves from the IP header to L4. */
static __always_inline bool to_l4(struct __sk_buff *skb, struct place *place)
{
	struct ipv6hdr ipv6;
	struct iphdr ipv4;

	if (!LOAD(skb, place->offset, ipv4))
		return false;
	switch (ipv4.version) {
	case 4:
		if (ipv4.frag_off & bpf_htons(IP_OFFSET))
			return false;
		place->offset += ipv4.ihl * 4;
		place->protocol = ipv4.protocol;
		return true;
	case 6:
		if (!LOAD(skb, place->offset, ipv6))
			return false;
		place->offset += sizeof(ipv6);
		place->protocol = ipv6.nexthdr;
		return skip_extensions(skb, place);
	}
	return false;
}

enum next { NOTHING, PAYLOAD, PACKET };

/* Moves from L4 to what it carries. */
static __always_inline enum next to_payload(struct __sk_buff *skb, struct place *place)
{
	struct tcphdr tcp;
	__u8 type;

	switch (place->protocol) {
	case IPPROTO_TCP:
		if (!LOAD(skb, place->offset, tcp))
			return NOTHING;
		place->offset += tcp.doff * 4;
		return PAYLOAD;
	case IPPROTO_UDP:
		place->offset += sizeof(struct udphdr);
		return PAYLOAD;
	case IPPROTO_ICMP:
		if (!LOAD(skb, place->offset, type))
			return NOTHING;
		place->offset += ICMP_HEADER;
		return type == ICMP_ECHO || type == ICMP_ECHOREPLY ? PAYLOAD : PACKET;
	case IPPROTO_ICMPV6:
		if (!LOAD(skb, place->offset, type))
			return NOTHING;
		place->offset += ICMP_HEADER;
		return type == ICMPV6_ECHO_REQUEST || type == ICMPV6_ECHO_REPLY ? PAYLOAD : PACKET;
	}
	return NOTHING;
}

SEC("tc")
int mute(struct __sk_buff *skb)
{
	struct place place = { .offset = sizeof(struct ethhdr) };
	char found[sizeof(magic)];
	int depth;

	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_UNSPEC;
	/* Once for the packet, once more for the one that an ICMP error is about. */
	for (depth = 0; depth < 2; depth++) {
		if (!to_l4(skb, &place))
			return TC_ACT_UNSPEC;
		switch (to_payload(skb, &place)) {
		case PAYLOAD:
			if (LOAD(skb, place.offset, found) && !__builtin_memcmp(found, magic, sizeof(magic)))
				return TC_ACT_SHOT;
			return TC_ACT_UNSPEC;
		case NOTHING:
			return TC_ACT_UNSPEC;
		case PACKET:
			break;
		}
	}
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
