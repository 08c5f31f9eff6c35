/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_IPCACHE_H
#define LIB_IPCACHE_H

#include "addr.h"

/* What the cluster knows of an address. */
enum __attribute__((packed)) entity {
	ENTITY_WORLD, /* nothing: outside the cluster */
	ENTITY_POD,   /* a pod, on whatever node */
	ENTITY_NODE,  /* a node's own address */
};

/* An IPv4 prefix has 96 bits more than its own length, as its addresses do. */
struct prefix {
	__u32 bits;
	__be32 words[4]; /* of a struct addr, which would be aligned to 8 */
};

struct identity {
	enum entity entity;
	__u8 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, struct identity);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} ipcache SEC(".maps");

static __always_inline enum entity entity_of(const struct addr *addr)
{
	struct prefix key = {
		.bits = 128,
		.words = {addr->words[0], addr->words[1], addr->words[2], addr->words[3]},
	};
	const struct identity *identity = bpf_map_lookup_elem(&ipcache, &key);

	return identity ? identity->entity : ENTITY_WORLD;
}

#endif /* LIB_IPCACHE_H */
