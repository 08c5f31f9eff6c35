/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_DROP_H
#define LIB_DROP_H

/*
 * Why a packet was dropped. Values are in events and counters, so new ones are
 * added at the end. Zero is "not dropped".
 */
enum __attribute__((packed)) drop_reason {
	DROP_NONE,
	DROP_INVALID,		/* a header is cut short or contradicts itself */
	DROP_INVALID_SOURCE,	/* a pod sent with an address that is not its own */
	DROP_NO_ENDPOINT,	/* the lxc device belongs to no pod that we know */
	DROP_FRAGMENT,		/* a fragment that would need a translation, and the first of its datagram is not known */
	DROP_NO_BACKEND,	/* the service has none */
	DROP_SNAT_NO_PORT,	/* no free source port towards this destination */
	DROP_SNAT_NO_ADDRESS,	/* the node has no address of this family */
	DROP_CT_FULL,		/* the kernel refused a conntrack entry */
	DROP_TTL_EXPIRED,	/* ran out after a translation: the stack cannot say so to the sender */
	DROP_TOO_BIG,		/* larger than the MTU of the way out, after a translation */
	DROP_NO_ROUTE,		/* a translated packet has no way out of the NIC */
	DROP_NO_NEIGHBOUR,	/* a translated packet's next hop is not resolved */
	DROP_REWRITE,		/* the kernel refused to change the packet */
	DROP_REDIRECT,		/* the kernel refused to redirect it */
	DROP_NO_LOCAL_BACKEND,	/* the service has some, but its traffic policy allows none of them here */
	DROP_SOURCE_RANGE,	/* the client is in none of the service's source ranges */
	DROP_TUNNEL_SOURCE,	/* encapsulated by a machine that is no node of the cluster */
	DROP_TUNNEL_ECN,	/* the tunnel was congested, and the sender would not hear of it (RFC 6040) */
	DROP_TUNNEL_SERVICE,	/* encapsulated for a backend that does not serve what is inside */
	DROP_CT_EXPIRED,	/* its flow is being removed at this moment: idle for long, or evicted */
};

#endif /* LIB_DROP_H */
