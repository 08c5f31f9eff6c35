/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_REJECT_H
#define LIB_REJECT_H

#include "ct.h"

/*
 * Packets to a service that has no backend: their senders are told, by an ICMP
 * error that says "port unreachable" as if from the service, so that clients
 * fail at once. TCP gets the same as UDP, as from kube-proxy and Cilium. The
 * error quotes the packet as it came.
 */

/* Bytes from the IP header on: any IPv4 and IPv6 header with ports behind it; a multiple of 4. */
#define QUOTE_MAX (CTX_COPY_MAX - 16)

/* What the checksum is computed over: helpers want memory of a fixed size. */
struct quote {
	__u8 frame[CTX_COPY_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct quote);
	__uint(max_entries, 1);
} quotes SEC(".maps");

/* The sum over the quote, which is all that there is of the packet behind its Ethernet header. -1: the packet is gone. */
static __always_inline __s64 quote_sum(struct context *ctx, __u32 len)
{
	__u32 zero = 0;
	struct quote *quote = bpf_map_lookup_elem(&quotes, &zero);

	if (!quote)
		return -1;
	__builtin_memset(quote, 0, sizeof(*quote));
	if (!ctx_copy(ctx, quote->frame, L3_OFF + len))
		return -1;
	return bpf_csum_diff(NULL, 0, (__be32 *)(quote->frame + L3_OFF), QUOTE_MAX, 0);
}

static __always_inline int reject_ipv4(struct context *ctx, const struct tuple *tuple, __u32 len, __u64 sum)
{
	struct iphdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip) + sizeof(struct icmphdr));
	struct icmphdr *icmp = (void *)(ip + 1);

	if (!ip)
		return -1;
	__builtin_memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*icmp) + len);
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = 64;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = tuple->daddr.words[3];
	ip->daddr = tuple->saddr.words[3];
	ip->check = ~csum_fold(csum_words(ip, sizeof(*ip) / 4));
	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = ICMP_PORT_UNREACH;
	icmp->checksum = ~csum_fold(sum + csum_words(icmp, sizeof(*icmp) / 4));
	return 0;
}

static __always_inline int reject_ipv6(struct context *ctx, const struct tuple *tuple, __u32 len, __u64 sum)
{
	struct ipv6hdr *ip = ctx_header(ctx, L3_OFF, sizeof(*ip) + sizeof(struct icmphdr));
	struct icmphdr *icmp = (void *)(ip + 1);

	if (!ip)
		return -1;
	__builtin_memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(*icmp) + len);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = 64;
	__builtin_memcpy(&ip->saddr, &tuple->daddr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &tuple->saddr, sizeof(ip->daddr));
	icmp->type = ICMPV6_DEST_UNREACH;
	icmp->code = ICMPV6_PORT_UNREACH;
	sum += csum_words(icmp, sizeof(*icmp) / 4);
	sum += csum_words(&ip->saddr, 8); /* the pseudo header: source, destination, length, protocol */
	sum += ip->payload_len + bpf_htons(IPPROTO_ICMPV6);
	icmp->checksum = ~csum_fold(sum);
	return 0;
}

/*
 * Turns the packet of slow_path.tuple, with l3_len bytes from its IP header on,
 * into the error. Ends the life of pointers into it. Returns whether it is one
 * now; else only its end may be missing.
 */
__noinline int reject_write(struct context *ctx, __u32 l3_len, __u32 ipv6)
{
	__u32 len = l3_len < QUOTE_MAX ? l3_len : QUOTE_MAX;
	struct slow_path *slow = slow_path_of();
	__u8 sender[ETH_ALEN];
	struct ethhdr *eth;
	__s64 sum;

	if (!slow || ctx_trim(ctx, L3_OFF + len))
		return false;
	sum = quote_sum(ctx, len);
	if (sum < 0 || ctx_push(ctx, (ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) + sizeof(struct icmphdr), ipv6))
		return false;
	if (ipv6 ? reject_ipv6(ctx, &slow->tuple, len, sum) : reject_ipv4(ctx, &slow->tuple, len, sum))
		return false;
	eth = ctx_at(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	__builtin_memcpy(sender, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, sender, ETH_ALEN);
	return true;
}

/* Whom an error may be sent to: one machine, and not this one (RFC 1122, 3.2.2; RFC 4443, 2.4). */
static __always_inline bool may_be_told(const struct addr *addr)
{
	if (addr_is_ipv4(addr))
		return addr->bytes[12] != 0 && addr->bytes[12] != 127 && addr->bytes[12] < 224;
	return addr->bytes[0] != 0xff && (addr->halves[0] || addr->words[2]);
}

/* The packet that lb_open() could not open a flow for, because of reason. */
static __always_inline int refuse(struct context *ctx, enum trace_point point, const struct packet *pkt, int reason)
{
	if (reason != DROP_NO_BACKEND || !may_be_told(&pkt->tuple.saddr) || !reject_write(ctx, pkt->l3_len, pkt->ipv6))
		return drop(ctx, point, reason);
	trace(ctx, point, VERDICT_REJECT, reason, ctx_ifindex(ctx));
	return ctx_send_back(ctx);
}

#endif /* LIB_REJECT_H */
