/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SESSION_H
#define LIB_SESSION_H

#include "addr.h"

/*
 * The TCP sessions between two pods of this node. Each of its two sockets is in
 * the map under its own addresses, from the moment its end is established until
 * it is closed; the kernel takes it out by itself. A session of which only one
 * end is in the map goes through the stack like any other.
 */
struct session {
	struct addr local;
	struct addr remote;
	__u16 local_port; /* host byte order */
	__u16 remote_port;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__type(key, struct session);
	__type(value, __u64); /* user space reads the socket's cookie */
	__uint(max_entries, 65536);
} sessions SEC(".maps");

/* For the contexts of sock_ops and sk_msg, which have the same fields. Each is read alone: programs may not read two at once. */
#define session_of(session, ctx)                                                                                       \
	do {                                                                                                           \
		if ((ctx)->family == AF_INET6) {                                                                       \
			(session)->local.words[0] = (ctx)->local_ip6[0];                                               \
			(session)->local.words[1] = (ctx)->local_ip6[1];                                               \
			(session)->local.words[2] = (ctx)->local_ip6[2];                                               \
			(session)->local.words[3] = (ctx)->local_ip6[3];                                               \
			(session)->remote.words[0] = (ctx)->remote_ip6[0];                                             \
			(session)->remote.words[1] = (ctx)->remote_ip6[1];                                             \
			(session)->remote.words[2] = (ctx)->remote_ip6[2];                                             \
			(session)->remote.words[3] = (ctx)->remote_ip6[3];                                             \
		} else {                                                                                               \
			addr_set_ipv4(&(session)->local, (ctx)->local_ip4);                                            \
			addr_set_ipv4(&(session)->remote, (ctx)->remote_ip4);                                          \
		}                                                                                                      \
		(session)->local_port = (ctx)->local_port;                                                             \
		(session)->remote_port = bpf_ntohl((ctx)->remote_port);                                                \
		(session)->pad = 0;                                                                                    \
	} while (0)

/* The same session, as its other end knows it. */
static __always_inline void session_reverse(struct session *reverse, const struct session *session)
{
	reverse->local = session->remote;
	reverse->remote = session->local;
	reverse->local_port = session->remote_port;
	reverse->remote_port = session->local_port;
	reverse->pad = 0;
}

/* What became of an established session. */
enum session_fate {
	SESSION_FOLLOWED, /* one of its ends: a session with both ends here counts twice */
	SESSION_REMOTE,	  /* an end is no pod of this node */
	SESSION_ON_WIRE,  /* an end is a pod that is on_wire */
	SESSION_REFUSED,  /* by the kernel: the map is full, or holds a dead session of the same addresses */
};
#define SESSION_FATES (SESSION_REFUSED + 1)

/* Which way a message went, and why. A message is what one write, or a part of a long one, hands to TCP. */
enum message_way {
	MESSAGE_REDIRECTED, /* from socket to socket; all others went through the stack */
	MESSAGE_ALONE,	    /* the other end is not, or not any more, in the map */
	MESSAGE_UNREAD,	    /* something that went through the stack is not read yet, and would be overtaken */
	MESSAGE_AWAITED,    /* a reader may wait inside the stack, where a redirected message does not wake it */
	MESSAGE_FULL,	    /* the reader's buffer */
	MESSAGE_URGENT,	    /* the session uses urgent data, which only the stack knows */
	MESSAGE_CLOSING,    /* the session is shut down in this direction, or dead */
	MESSAGE_WRAPPED,    /* the kernel does TLS, or the like, on top of this session's TCP */
	MESSAGE_STOPPED,    /* by user space */
};
#define MESSAGE_WAYS (MESSAGE_STOPPED + 1)

struct traffic {
	__u64 messages;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum session_fate);
	__type(value, __u64);
	__uint(max_entries, SESSION_FATES);
} session_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum message_way);
	__type(value, struct traffic);
	__uint(max_entries, MESSAGE_WAYS);
} message_counts SEC(".maps");

/* Both are atomic: on one CPU, a process inside a system call may be interrupted by another one. */

static __always_inline void session_count(enum session_fate fate)
{
	__u64 *sessions = bpf_map_lookup_elem(&session_counts, &fate);

	if (sessions)
		__sync_fetch_and_add(sessions, 1);
}

static __always_inline void message_count(enum message_way way, __u32 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&message_counts, &way);

	if (traffic) {
		__sync_fetch_and_add(&traffic->messages, 1);
		__sync_fetch_and_add(&traffic->bytes, bytes);
	}
}

#endif /* LIB_SESSION_H */
