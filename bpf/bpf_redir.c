//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/session.h"
#include "lib/peer.h"
#include "lib/urgent.h"

/*
 * Moves what is written to one socket of the map sessions into the queue of
 * the socket at its other end. The reader's kernel hands out that queue before
 * what came through the stack. So a message may go through the stack at any time,
 * and be redirected only when the stack has nothing left for this reader: then
 * bytes keep their order, whichever way each goes.
 */

/* Of what one socket has sent. */
struct direction {
	__u32 unread;  /* see peer_has_room */
	__u8 by_stack; /* since something last went through the stack, no message was redirected */
	__u8 urgent;   /* for good */
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__type(key, int);
	__type(value, struct direction);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} directions SEC(".maps");

/* One number: not zero stops redirecting. Set before user space lets go of the programs, which last as long as their sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} stopped SEC(".maps");

static __always_inline bool is_stopped(void)
{
	__u32 key = 0;
	const __u32 *value = bpf_map_lookup_elem(&stopped, &key);

	return !value || *value;
}

/*
 * The message goes through the stack. Once it has been directed somewhere, by this run or by an earlier one over its first
 * part, the kernel knows no way back: SK_PASS alone would send it there. Out of its own socket is the stack, too.
 */
static __always_inline int stay(struct sk_msg_md *msg, const struct session *session)
{
	if (!kernel_read(struct sk_msg, msg, sk_redir))
		return SK_PASS;
	return bpf_msg_redirect_hash(msg, &sessions, (void *)session, 0);
}

/* Decides on a message. One to be redirected is directed to the peer. */
static __always_inline enum message_way direct(struct sk_msg_md *msg, const struct session *session,
					       struct direction *direction)
{
	__u64 own = (__u64)kernel_read(struct sk_msg, msg, sk);
	struct session reverse;
	struct peer peer;

	if (is_stopped())
		return MESSAGE_STOPPED;
	if (direction->urgent || is_urgent()) {
		direction->urgent = 1;
		return MESSAGE_URGENT;
	}
	if (is_wrapped(own))
		return MESSAGE_WRAPPED;
	session_reverse(&reverse, session);
	if (bpf_msg_redirect_hash(msg, &sessions, &reverse, BPF_F_INGRESS) != SK_PASS)
		return MESSAGE_ALONE;
	peer_of(&peer, msg);
	if (!peer_is_open(&peer))
		return MESSAGE_CLOSING;
	if (is_wrapped(peer.sock))
		return MESSAGE_WRAPPED;
	if (!peer_has_read_all(&peer, own))
		return MESSAGE_UNREAD;
	if (direction->by_stack && peer_may_be_awaited(&peer))
		return MESSAGE_AWAITED;
	if (!peer_has_room(&peer, &direction->unread, msg->size))
		return MESSAGE_FULL;
	direction->unread += msg->size;
	return MESSAGE_REDIRECTED;
}

SEC("sk_msg")
int redirect_message(struct sk_msg_md *msg)
{
	struct direction *direction;
	struct session session;
	enum message_way way;

	if (!msg->sk)
		return SK_PASS;
	session_of(&session, msg);
	direction = bpf_sk_storage_get(&directions, msg->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!direction) /* no memory: nor can it have been redirected before */
		return SK_PASS;
	way = direct(msg, &session, direction);
	message_count(way, msg->size);
	direction->by_stack = way != MESSAGE_REDIRECTED;
	return way == MESSAGE_REDIRECTED ? SK_PASS : stay(msg, &session);
}

char _license[] SEC("license") = "Dual BSD/GPL";
