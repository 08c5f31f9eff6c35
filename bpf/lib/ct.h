/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_CT_H
#define LIB_CT_H

#include "tuple.h"

enum __attribute__((packed)) ct_flag {
	CT_REPLY = 1,	  /* made for the answers; absent: for the direction that opened the flow */
	CT_TRANSLATE = 2, /* rewrite the packet; absent: the flow is only remembered */
	CT_EGRESS = 4,	  /* where it leaves the host's stack or the NIC; absent: where it enters the node */
	CT_LOCAL = 8,	  /* what comes out is for this node: a pod of it or its own stack */
};

/* 64 bytes: one cache line. */
struct ct_entry {
	struct addr saddr; /* what the packet leaves with */
	struct addr daddr;
	__be16 sport;
	__be16 dport;
	__u16 addr_csum; /* what the new addresses and ports add to a checksum over */
	__u16 port_csum; /* them: one's complement sums, as they lie in memory */
	__u64 last_seen; /* ns of bpf_ktime_get_ns; brought up to date about once a second */
	__u16 tick;	 /* when it last was, see ct_tick() */
	__u8 mac[ETH_ALEN]; /* replies: where the requests came from; zero: let the FIB say */
	enum ct_flag flags;
	enum ct_flag reply_flags; /* those of the reply entry, to make it again */
	__u8 tcp_flags;	    /* SYN, FIN, RST seen in this direction */
	__u8 closing;	    /* FIN or RST seen in either direction */
	__u8 pad[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct tuple);
	__type(value, struct ct_entry);
	__uint(max_entries, 65536);
} ct SEC(".maps");

#endif /* LIB_CT_H */
