/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CSUM_H
#define LIB_CSUM_H

#include "addr.h"

/*
 * Incremental Internet checksums (RFC 1624, equation 3). A change is kept as
 * the one's complement sum of what came minus what went, 16 bits as they lie in
 * memory; one's complement does not care for byte order. 0 means no change, so
 * 0xffff, the other zero, is written as 0.
 */

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

static __always_inline __u16 csum_change(__u64 sum)
{
	__u16 change = csum_fold(sum);

	return change == 0xffff ? 0 : change;
}

static __always_inline __u64 csum_words(const void *from, int words)
{
	const __u32 *word = from;
	__u64 sum = 0;

	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

static __always_inline __u64 csum_change_addr(const struct addr *from, const struct addr *to)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (__u64)to->words[i] + (__u32)~from->words[i];
	return sum;
}

static __always_inline __u64 csum_change_port(__be16 from, __be16 to)
{
	return (__u64)to + (__u16)~from;
}

/* Two changes as one. */
static __always_inline __u16 csum_add(__u16 a, __u16 b)
{
	return csum_fold((__u64)a + b);
}

/* The change that undoes change. */
static __always_inline __u16 csum_undo(__u16 change)
{
	return change ? ~change : 0;
}

static __always_inline __sum16 csum_update(__sum16 check, __u16 change)
{
	return ~csum_fold((__u64)(__u16)~check + change);
}

#endif /* LIB_CSUM_H */
