/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include "addr.h"

/*
 * What one node's programs are built with. It lies in .rodata, which is frozen
 * before the verifier sees the programs: every field is a constant to it, and
 * what a field switches off is dead code that costs nothing and may name
 * helpers that the kernel lacks.
 */
struct node_config {
	struct addr ipv4; /* the node's own addresses; all zero: no such family */
	struct addr ipv6;
	struct addr gateway_ipv4; /* what the pods of the node route through */
	struct addr gateway_ipv6;
	__u32 nic; /* interface index */
	__u8 nic_mac[ETH_ALEN];
	__u16 snat_port_min; /* host byte order; reserved on the node for SNAT */
	__u16 snat_port_max;
	__u8 trace; /* one event per packet and program; counters always run */
	__u8 has_redirect_peer; /* bpf_redirect_peer, bpf_redirect_neigh: 5.10 */
	__u8 has_redirect_neigh;
	__u8 has_set_retval; /* bpf_set_retval, for programs at sockets: 6.1 */
	__u8 dsr; /* packets from other nodes come encapsulated to backends here: see dsr.h */
	__u8 ipsec; /* the stack encrypts what goes from pods here to pods elsewhere */
	__u16 mtu; /* of the NIC */
	__u16 delay; /* turns: see delay.h */
	__u64 netns_cookie; /* of the node's own network namespace; 0: not known */
	__u32 wireguard; /* interface index of the device that encrypts what is routed to it; 0: none */
	__u8 pad3[4];
};

const volatile struct node_config config;

static __always_inline bool is_node_address(const struct addr *addr)
{
	return (addr->halves[1] == config.ipv4.halves[1] && addr->halves[0] == config.ipv4.halves[0]) ||
	       (addr->halves[1] == config.ipv6.halves[1] && addr->halves[0] == config.ipv6.halves[0]);
}

/* What the node's pods know it by. */
static __always_inline bool is_gateway_address(const struct addr *addr)
{
	return (addr->halves[1] == config.gateway_ipv4.halves[1] && addr->halves[0] == config.gateway_ipv4.halves[0]) ||
	       (addr->halves[1] == config.gateway_ipv6.halves[1] && addr->halves[0] == config.gateway_ipv6.halves[0]);
}

static __always_inline void addr_set_node(struct addr *addr, bool ipv6)
{
	addr->halves[0] = ipv6 ? config.ipv6.halves[0] : config.ipv4.halves[0];
	addr->halves[1] = ipv6 ? config.ipv6.halves[1] : config.ipv4.halves[1];
}

#endif /* LIB_CONFIG_H */
