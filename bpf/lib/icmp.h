/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_ICMP_H
#define LIB_ICMP_H

#include "answer.h"

/*
 * Telling a sender by ICMP why its packet was dropped (RFC 792, RFC 4443). The
 * packet must still be as it was sent: it is what the error quotes, and all that
 * its sender knows.
 */
enum icmp_problem {
	ICMP_HOPS,    /* TTL or hop limit ran out */
	ICMP_TOO_BIG, /* for the MTU that goes with it; of IPv4 whether DF is set or not, for nothing here fragments */
	ICMP_NO_PORT, /* nobody listens: said as if by whom the packet was for */
};

struct icmp_error {
	__be16 type; /* and code */
	__sum16 checksum;
	__be32 mtu; /* or 0; of IPv4, the lower half */
};

struct icmp_error_ipv4 {
	struct iphdr ip;
	struct icmp_error icmp;
};

struct icmp_error_ipv6 {
	struct ipv6hdr ip;
	struct icmp_error icmp;
};

#define ICMP_TTL 64
#define ICMP_TOS 0xc0 /* internetwork control (RFC 1812, 4.3.2.5) */

/* As much of the packet as errors have room for: RFC 1812, 4.3.2.3, and RFC 4443, 2.4. */
#define ICMP_QUOTE_IPV4 (576 - sizeof(struct icmp_error_ipv4))
#define ICMP_QUOTE_IPV6 (1280 - sizeof(struct icmp_error_ipv6))

/*
 * At most 1,000 errors a second, each CPU, in one burst or spread (RFC 4443,
 * 2.4 f): what anyone can ask for must not cost the node.
 */
#define ICMP_PERIOD_NS 1000000000ULL
#define ICMP_PRICE_NS (ICMP_PERIOD_NS / 1000)

struct icmp_budget {
	__u64 spent; /* up to that time, ns of bpf_ktime_get_ns */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct icmp_budget);
	__uint(max_entries, 1);
} icmp_budget SEC(".maps");

static __always_inline bool icmp_within_budget(void)
{
	__u32 zero = 0;
	struct icmp_budget *budget = bpf_map_lookup_elem(&icmp_budget, &zero);
	__u64 now = bpf_ktime_get_ns();

	if (!budget || budget->spent > now + ICMP_PERIOD_NS)
		return false;
	budget->spent = (budget->spent > now ? budget->spent : now) + ICMP_PRICE_NS;
	return true;
}

/* Not to a group, not to nobody, not to the sender's own loopback (RFC 1122, 3.2.2; RFC 4443, 2.4 e). */
static __always_inline bool icmp_may_tell_ipv4(__be32 addr)
{
	__u8 first = addr & 0xff;

	return first != 0 && first != 127 && first < 224;
}

static __always_inline bool icmp_may_tell_ipv6(const struct in6_addr *addr)
{
	const __be32 *words = addr->in6_u.u6_addr32;

	return addr->in6_u.u6_addr8[0] != 0xff &&
	       (words[0] | words[1] | words[2] | (words[3] & bpf_htonl(~1U))); /* neither :: nor ::1 */
}

/* Type and code, as they follow each other in the header. */
static __always_inline __be16 icmp_type_of(enum icmp_problem problem, bool ipv6)
{
	switch (problem) {
	case ICMP_HOPS:
		return bpf_htons((ipv6 ? ICMPV6_TIME_EXCEED : ICMP_TIME_EXCEEDED) << 8);
	case ICMP_TOO_BIG:
		return bpf_htons(ipv6 ? ICMPV6_PKT_TOOBIG << 8 : ICMP_DEST_UNREACH << 8 | ICMP_FRAG_NEEDED);
	default:
		return bpf_htons(ipv6 ? ICMPV6_DEST_UNREACH << 8 | ICMPV6_PORT_UNREACH
				      : ICMP_DEST_UNREACH << 8 | ICMP_PORT_UNREACH);
	}
}

/* The node as a router. Its pods know it as their gateway. */
static __always_inline struct addr icmp_router(const struct context *ctx, bool ipv6)
{
	const volatile struct addr *own;

	if (ctx_ifindex(ctx) == config.nic)
		own = ipv6 ? &config.ipv6 : &config.ipv4;
	else
		own = ipv6 ? &config.gateway_ipv6 : &config.gateway_ipv4;
	return (struct addr){.halves = {own->halves[0], own->halves[1]}};
}

static __always_inline int icmp_make_ipv4(struct context *ctx, __u32 l3_len, __be16 type, __u32 mtu)
{
	const struct iphdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));
	__u32 quoted = l3_len < ICMP_QUOTE_IPV4 ? l3_len : ICMP_QUOTE_IPV4;
	struct icmp_error_ipv4 error = {};
	int reason;

	if (!ip || !icmp_may_tell_ipv4(ip->saddr) || !icmp_within_budget())
		return DROP_REWRITE;
	error.ip.version = 4;
	error.ip.ihl = sizeof(error.ip) / 4;
	error.ip.tos = ICMP_TOS;
	error.ip.tot_len = bpf_htons(sizeof(error) + quoted);
	error.ip.ttl = ICMP_TTL;
	error.ip.protocol = IPPROTO_ICMP;
	error.ip.saddr = type == icmp_type_of(ICMP_NO_PORT, false) ? ip->daddr : icmp_router(ctx, false).words[3];
	error.ip.daddr = ip->saddr;
	if (!error.ip.saddr)
		return DROP_REWRITE;
	error.ip.check = ~csum_fold(csum_words(&error.ip, sizeof(error.ip) / 4));
	error.icmp.type = type;
	error.icmp.mtu = bpf_htonl(mtu & 0xffff);

	reason = answer_frame(ctx, sizeof(error), quoted);
	if (reason)
		return reason;
	error.icmp.checksum = ~csum_fold(csum_words(&error.icmp, sizeof(error.icmp) / 4) +
					 answer_sum(ctx, L3_OFF + sizeof(error) + quoted, quoted));
	return ctx_store(ctx, L3_OFF, &error, sizeof(error)) ? DROP_REWRITE : DROP_NONE;
}

static __always_inline int icmp_make_ipv6(struct context *ctx, __u32 l3_len, __be16 type, __u32 mtu)
{
	const struct ipv6hdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip));
	__u32 quoted = l3_len < ICMP_QUOTE_IPV6 ? l3_len : ICMP_QUOTE_IPV6;
	struct addr own = icmp_router(ctx, true);
	struct icmp_error_ipv6 error = {};
	__u64 sum;
	int reason;

	if (!ip || !icmp_may_tell_ipv6(&ip->saddr) || !icmp_within_budget())
		return DROP_REWRITE;
	if (type == icmp_type_of(ICMP_NO_PORT, true))
		__builtin_memcpy(&own, &ip->daddr, sizeof(own));
	if (addr_is_zero(&own))
		return DROP_REWRITE;
	error.ip.version = 6;
	error.ip.payload_len = bpf_htons(sizeof(error.icmp) + quoted);
	error.ip.nexthdr = IPPROTO_ICMPV6;
	error.ip.hop_limit = ICMP_TTL;
	__builtin_memcpy(&error.ip.saddr, &own, sizeof(own));
	error.ip.daddr = ip->saddr;
	error.icmp.type = type;
	error.icmp.mtu = bpf_htonl(mtu);

	reason = answer_frame(ctx, sizeof(error), quoted);
	if (reason)
		return reason;
	/* With the pseudo header: both addresses, length, protocol. */
	sum = csum_words(&error.icmp, sizeof(error.icmp) / 4) + csum_words(&error.ip.saddr, 8);
	sum += error.ip.payload_len + bpf_htons(IPPROTO_ICMPV6);
	error.icmp.checksum = ~csum_fold(sum + answer_sum(ctx, L3_OFF + sizeof(error) + quoted, quoted));
	return ctx_store(ctx, L3_OFF, &error, sizeof(error)) ? DROP_REWRITE : DROP_NONE;
}

/* Global: the verifier reads it once. Returns a drop reason: there is no answer then, and the packet may be spoilt. */
__noinline int icmp_make(struct context *ctx, __u32 l3_len, __u32 ipv6, __u32 type, __u32 mtu)
{
	return ipv6 ? icmp_make_ipv6(ctx, l3_len, type, mtu) : icmp_make_ipv4(ctx, l3_len, type, mtu);
}

/*
 * Drops pkt for a reason and tells its sender, unless nobody may be told: of a
 * fragment that is not the first, of an error, by a forged source, too often. mtu is of
 * ICMP_TOO_BIG.
 */
static __always_inline int drop_and_tell(struct context *ctx, enum trace_point point, const struct packet *pkt,
					 enum drop_reason reason, enum icmp_problem problem, __u32 mtu)
{
	if (pkt->quote_off || pkt->follows || icmp_make(ctx, pkt->l3_len, pkt->ipv6, icmp_type_of(problem, pkt->ipv6), mtu))
		return drop(ctx, point, reason);
	trace(ctx, point, VERDICT_REJECT, reason, ctx_ifindex(ctx));
	return ctx_send_back(ctx);
}

#endif /* LIB_ICMP_H */
