/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SOURCE_H
#define LIB_SOURCE_H

#include "addr.h"

/*
 * Who may use a service: lists of prefixes, by number. A list is never changed:
 * a service gets another one (see service.h).
 */

struct source {
	__u32 bits;	 /* 32 for the list, and those of the prefix: of an IPv4 one, 96 more than its length */
	__u32 list;
	__be32 words[4]; /* of a struct addr, which would be aligned to 8 */
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct source);
	__type(value, __u32); /* 1 */
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} sources SEC(".maps");

static __always_inline bool source_allowed(__u32 list, const struct addr *addr)
{
	struct source key = {
		.bits = 32 + 128,
		.list = list,
		.words = {addr->words[0], addr->words[1], addr->words[2], addr->words[3]},
	};

	return bpf_map_lookup_elem(&sources, &key);
}

#endif /* LIB_SOURCE_H */
