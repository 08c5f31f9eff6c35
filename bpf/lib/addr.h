/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

/*
 * An address of either family, in network byte order. IPv4 is written as the
 * IPv4-mapped ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that tuples, flows and
 * services have one shape, and most code never asks for the family.
 */
struct addr {
	union {
		__u8 bytes[16];
		__be32 words[4];
		__u64 halves[2];
	};
};

static __always_inline void addr_set_ipv4(struct addr *addr, __be32 ipv4)
{
	addr->halves[0] = 0;
	addr->words[2] = bpf_htonl(0xffff);
	addr->words[3] = ipv4;
}

static __always_inline void addr_set_ipv6(struct addr *addr, const struct in6_addr *ipv6)
{
	addr->words[0] = ipv6->in6_u.u6_addr32[0];
	addr->words[1] = ipv6->in6_u.u6_addr32[1];
	addr->words[2] = ipv6->in6_u.u6_addr32[2];
	addr->words[3] = ipv6->in6_u.u6_addr32[3];
}

static __always_inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->halves[0] == b->halves[0] && a->halves[1] == b->halves[1];
}

static __always_inline bool addr_is_zero(const struct addr *addr)
{
	return !(addr->halves[0] | addr->halves[1]);
}

static __always_inline bool addr_is_ipv4(const struct addr *addr)
{
	return addr->halves[0] == 0 && addr->words[2] == bpf_htonl(0xffff);
}

#endif /* LIB_ADDR_H */
