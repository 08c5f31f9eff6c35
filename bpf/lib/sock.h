/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_SOCK_H
#define LIB_SOCK_H

#include "affinity.h"
#include "config.h"
#include "ipcache.h"
#include "metric.h"

/*
 * Services at the socket: an address of a service becomes one of its backends'
 * in the system call that names it, before there is a packet, and is given back
 * where the kernel would name the backend to the application. So the first
 * packet already is the backend's, and nothing is translated on its way.
 *
 * Programs run in the caller's process, for sockets of pods and of the node
 * itself alike, whichever process uses them now. IPv4 addresses of IPv6 sockets
 * (::ffff:a.b.c.d) come in the same shape that services have them in.
 */

/* What a socket names, or what is named to it: a service or a backend. */
struct sock_peer {
	__u64 cookie; /* of the socket */
	struct frontend peer;
};

/*
 * Backend -> the service's address that the application named, for recvmsg and
 * getpeername. An application that talks to a backend by two services, or by one
 * and directly, on one socket, sees what it last named.
 *
 * A socket that is closed takes the peer along that it is connected to. All else
 * stays, and the table evicts what was not used for longest: an application that
 * still uses it sees the backend then, until it sends or connects again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct sock_peer);
	__type(value, struct sock_peer);
	__uint(max_entries, 65536);
} sock_named SEC(".maps");

/*
 * Service -> backend, for UDP sockets that say with each datagram where it goes:
 * all to one backend, as if it were a flow. The agent removes entries when a
 * service loses the backend; after that, and after an eviction, the next datagram
 * chooses anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct sock_peer);
	__type(value, struct sock_peer);
	__uint(max_entries, 65536);
} sock_kept SEC(".maps");

/* Only these have services; the type of a socket in ctx is as good as its protocol, but says less. */
static __always_inline bool sock_has_services(struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_UDP;
}

/* The peer that a call names, by the address of its family. */
static __always_inline void sock_read(struct bpf_sock_addr *ctx, struct sock_peer *sock, bool ipv6)
{
	sock->cookie = bpf_get_socket_cookie(ctx);
	if (ipv6) {
		sock->peer.addr.words[0] = ctx->user_ip6[0];
		sock->peer.addr.words[1] = ctx->user_ip6[1];
		sock->peer.addr.words[2] = ctx->user_ip6[2];
		sock->peer.addr.words[3] = ctx->user_ip6[3];
	} else {
		addr_set_ipv4(&sock->peer.addr, ctx->user_ip4);
	}
	sock->peer.port = ctx->user_port;
	sock->peer.proto = ctx->protocol;
}

static __always_inline void sock_write(struct bpf_sock_addr *ctx, const struct frontend *peer, bool ipv6)
{
	if (ipv6) {
		ctx->user_ip6[0] = peer->addr.words[0];
		ctx->user_ip6[1] = peer->addr.words[1];
		ctx->user_ip6[2] = peer->addr.words[2];
		ctx->user_ip6[3] = peer->addr.words[3];
	} else {
		ctx->user_ip4 = peer->addr.words[3];
	}
	ctx->user_port = peer->port;
}

/* As sock_read, without a cookie: the peer that a socket is connected to. */
static __always_inline void sock_read_connected(struct bpf_sock *sk, struct sock_peer *sock)
{
	if (sk->family == AF_INET) {
		addr_set_ipv4(&sock->peer.addr, sk->dst_ip4);
		barrier(); /* or the compiler reads from either place by one pointer, which the verifier forbids */
	} else {
		sock->peer.addr.words[0] = sk->dst_ip6[0];
		sock->peer.addr.words[1] = sk->dst_ip6[1];
		sock->peer.addr.words[2] = sk->dst_ip6[2];
		sock->peer.addr.words[3] = sk->dst_ip6[3];
	}
	sock->peer.port = sk->dst_port;
	sock->peer.proto = sk->protocol;
}

/* 127.0.0.0/8 and ::1, and the unspecified addresses, which the kernel takes for them when a socket connects. */
static __always_inline bool sock_is_loopback(const struct addr *addr)
{
	if (addr_is_ipv4(addr))
		return addr->words[3] == 0 || (addr->words[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return addr->halves[0] == 0 && (addr->halves[1] | bpf_cpu_to_be64(1)) == bpf_cpu_to_be64(1);
}

/*
 * The service that frontend names by an address of some node that services do not
 * list: any address of another node for a node port, loopback and the pods'
 * gateway for whatever is at this node's own address. frontend becomes that.
 */
static __always_inline const struct service *sock_service_of_node(struct bpf_sock_addr *ctx, struct frontend *frontend)
{
	struct addr named = frontend->addr;
	const struct service *service;

	addr_set_node(&frontend->addr, !addr_is_ipv4(&named));
	service = service_find(frontend);
	if (!service)
		return NULL;
	if (is_gateway_address(&named))
		return service;
	if (sock_is_loopback(&named))
		return config.netns_cookie && bpf_get_netns_cookie(ctx) == config.netns_cookie ? service : NULL;
	return (service->flags & SERVICE_NODE_PORT) && entity_of(&named) == ENTITY_NODE ? service : NULL;
}

/* The service that frontend names; NULL: none. frontend becomes the one that the service is listed by. */
static __always_inline const struct service *sock_service(struct bpf_sock_addr *ctx, struct frontend *frontend)
{
	const struct service *service = service_find(frontend);

	return service ? service : sock_service_of_node(ctx, frontend);
}

/*
 * A backend of service. The client is the namespace: a pod, which has one address
 * of each family, or the node.
 */
static __always_inline const struct backend *sock_choose(struct bpf_sock_addr *ctx, const struct service *service)
{
	struct addr client = {.halves = {0, bpf_get_netns_cookie(ctx)}};

	return backend_choose(service, &service->inside, &client, bpf_get_prandom_u32());
}

static __always_inline enum drop_reason sock_no_backend(const struct service *service)
{
	return service->flags & SERVICE_BACKENDS ? DROP_NO_LOCAL_BACKEND : DROP_NO_BACKEND;
}

enum sock_result {
	SOCK_LEFT,     /* no service */
	SOCK_BALANCED, /* sock names a backend now */
	SOCK_REFUSED,  /* the service has no backend for it */
};

/*
 * Reads an entry of a table. An element that was evicted is another's at once,
 * even while it is read; the cookie, its first word, is what then changes first.
 */
static __always_inline bool sock_entry_read(struct frontend *peer, const struct sock_peer *entry, __u64 cookie)
{
	if (!entry)
		return false;
	*peer = entry->peer;
	barrier();
	return *(const volatile __u64 *)&entry->cookie == cookie;
}

/* The socket from now on knows the backend in sock by the address that it named. */
static __always_inline void sock_remember(const struct sock_peer *sock, const struct frontend *named)
{
	const struct sock_peer *known = bpf_map_lookup_elem(&sock_named, sock);
	struct sock_peer entry = {.cookie = sock->cookie, .peer = *named};

	if (!known || known->cookie != sock->cookie || !frontend_equal(&known->peer, named))
		bpf_map_update_elem(&sock_named, sock, &entry, BPF_ANY);
}

/* What sock names has no other name any more. */
static __always_inline void sock_forget(const struct sock_peer *sock)
{
	if (bpf_map_lookup_elem(&sock_named, sock))
		bpf_map_delete_elem(&sock_named, sock);
}

/*
 * The application names what is no service: should it be a backend, then it
 * wants to know it by that address from now on. But an IPv6 socket that is
 * connected to an IPv4 address comes here with each datagram, and it is the
 * kernel then that names the peer, not the application.
 */
static __always_inline void sock_leave(struct bpf_sock_addr *ctx, const struct sock_peer *sock, enum trace_point point)
{
	struct sock_peer connected = {.cookie = sock->cookie};
	struct bpf_sock *sk = ctx->sk;

	count_call(point, VERDICT_PASS);
	if (point == POINT_SENDMSG && sk) {
		sock_read_connected(sk, &connected);
		if (frontend_equal(&connected.peer, &sock->peer))
			return;
	}
	sock_forget(sock);
}

/*
 * Replaces a service that sock names by one of its backends. Connecting chooses
 * anew; sending keeps the backend that the socket has.
 */
static __always_inline enum sock_result sock_balance(struct bpf_sock_addr *ctx, struct sock_peer *sock,
						     enum trace_point point)
{
	struct sock_peer kept = *sock; /* names the service as it is listed */
	struct frontend named = sock->peer;
	const struct service *service = sock_service(ctx, &kept.peer);
	const struct backend *backend;

	/* Who may use a service is decided by a packet's source address, which a socket may not have yet. */
	if (!service || (service->flags & SERVICE_SOURCES)) {
		sock_leave(ctx, sock, point);
		return SOCK_LEFT;
	}
	if (point != POINT_SENDMSG ||
	    !sock_entry_read(&sock->peer, bpf_map_lookup_elem(&sock_kept, &kept), sock->cookie)) {
		backend = sock_choose(ctx, service);
		if (!backend) {
			count_call(point, METRIC_DROPS + sock_no_backend(service));
			return SOCK_REFUSED;
		}
		sock->peer = named;
		sock->peer.addr = backend->addr;
		sock->peer.port = backend->port;
		if (point == POINT_SENDMSG)
			bpf_map_update_elem(&sock_kept, &kept, sock, BPF_ANY);
	}
	sock_remember(sock, &named);
	count_call(point, VERDICT_BALANCE);
	return SOCK_BALANCED;
}

/* Gives back what the socket knows the backend in sock by; false: by its own address. */
static __always_inline bool sock_restore(struct sock_peer *sock, enum trace_point point)
{
	bool restored = sock_entry_read(&sock->peer, bpf_map_lookup_elem(&sock_named, sock), sock->cookie);

	count_call(point, restored ? VERDICT_RESTORE : VERDICT_PASS);
	return restored;
}

#endif /* LIB_SOCK_H */
