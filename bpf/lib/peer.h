/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_PEER_H
#define LIB_PEER_H

#include "kernel.h"

/*
 * The socket at the other end, that bpf_msg_redirect_hash has just found. Its
 * lock is another's: each field is what it was a moment ago.
 */
struct peer {
	__u64 sock; /* addresses in the kernel */
	__u64 psock;
};

#define PSOCK_FLAGS 7ULL /* what sk_user_data has beside the pointer */

static __always_inline void peer_of(struct peer *peer, struct sk_msg_md *msg)
{
	peer->sock = (__u64)kernel_read(struct sk_msg, msg, sk_redir);
	peer->psock = (__u64)kernel_read(struct sock, peer->sock, sk_user_data) & ~PSOCK_FLAGS;
}

/* It is alive, and this end has not said that it sends no more: that would have made it CLOSE_WAIT, or worse. */
static __always_inline bool peer_is_open(const struct peer *peer)
{
	switch (kernel_read(struct sock, peer->sock, __sk_common.skc_state)) {
	case BPF_TCP_ESTABLISHED:
	case BPF_TCP_FIN_WAIT1:
	case BPF_TCP_FIN_WAIT2:
		return true;
	default:
		return false;
	}
}

/*
 * All that went to it through the stack has been read. The sender is locked, so
 * nothing more is on the way, and what is true now stays true. Two sockets that
 * only have each other's addresses are not taken for a pair: their sequence
 * numbers differ.
 */
static __always_inline bool peer_has_read_all(const struct peer *peer, __u64 own)
{
	return kernel_read(struct tcp_sock, peer->sock, copied_seq) == kernel_read(struct tcp_sock, own, write_seq);
}

/*
 * What is written to or read from the socket is not what its TCP carries: the
 * kernel does TLS, or the like, and a redirected message would miss that.
 */
static __always_inline bool is_wrapped(__u64 sock)
{
	return kernel_read(struct inet_connection_sock, sock, icsk_ulp_ops);
}

/* Nothing that was redirected to it waits to be read. */
static __always_inline bool peer_is_drained(const struct peer *peer)
{
	__u64 first = (__u64)kernel_read(struct sk_psock, peer->psock, ingress_msg.next);

	return first == peer->psock + kernel_offset(struct sk_psock, ingress_msg);
}

#define WAITING_MAX 4

/*
 * A process may be asleep in a system call that began to read what came through
 * the stack, for more of the same (MSG_WAITALL): nothing but the stack would wake
 * it. What polls is no such reader; of those who wait at a socket, it alone leaves
 * no pointer to whom to wake. To be asked after peer_has_read_all: a process that
 * is not asleep yet then still owns the socket.
 */
static __always_inline bool peer_may_be_awaited(const struct peer *peer)
{
	__u64 queue, head, entry;

	if (kernel_read(struct sock, peer->sock, sk_lock.owned))
		return true;
	queue = (__u64)kernel_read(struct sock, peer->sock, sk_wq);
	if (!queue) /* nobody has accepted it yet */
		return false;
	head = queue + kernel_offset(struct socket_wq, wait.head);
	entry = head;
	for (int i = 0; i < WAITING_MAX; i++) {
		entry = (__u64)kernel_read(struct list_head, entry, next);
		if (entry == head)
			return false;
		if (kernel_read(struct wait_queue_entry, entry - kernel_offset(struct wait_queue_entry, entry), private))
			return true;
	}
	return true;
}

/*
 * How many bytes may be redirected to it before its reader must go on. Buffers
 * that the kernel sizes by itself grow to megabytes for a slow reader. One that
 * the program has sized must keep room for all that the stack has offered to take
 * into it: segments that do not fit are dropped, and sent again only after a while.
 */
#define QUEUE_MAX (1U << 20)
#define SOCK_RCVBUF_LOCK 2

static __always_inline __u32 peer_limit(const struct peer *peer)
{
	if (kernel_read_bits(struct sock, peer->sock, sk_userlocks) & SOCK_RCVBUF_LOCK)
		return (__u32)kernel_read(struct sock, peer->sock, sk_rcvbuf) / 4;
	return QUEUE_MAX;
}

/*
 * A message of so many bytes may be redirected to it. unread has how many were
 * since it was last seen drained, and is brought up to date.
 */
static __always_inline bool peer_has_room(const struct peer *peer, __u32 *unread, __u32 bytes)
{
	__u32 limit = peer_limit(peer);
	int queued;

	if (peer_is_drained(peer)) {
		*unread = 0;
	} else if (*unread + bytes > limit) {
		/* Its reader may be further than we saw. Kernels before 6.13 do not count what is redirected: 0. */
		queued = kernel_read(struct sock, peer->sock, sk_backlog.rmem_alloc.counter);
		if (queued > 0)
			*unread = queued;
	}
	return *unread + bytes <= limit;
}

#endif /* LIB_PEER_H */
