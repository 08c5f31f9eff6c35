//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/sock.h"

/* Where an application names a peer, or is told of one. What these programs return is whether the call goes on. */

#define CALL_GOES_ON 1
#define CALL_FAILS 0

/*
 * Nobody serves this: what a host would answer to a packet. Without the helper
 * the kernel makes it EPERM.
 */
static __always_inline int refuse(void)
{
	if (config.has_set_retval)
		bpf_set_retval(-ECONNREFUSED);
	return CALL_FAILS;
}

static __always_inline int balance(struct bpf_sock_addr *ctx, enum trace_point point, bool ipv6)
{
	struct sock_peer sock = {};

	if (!sock_has_services(ctx))
		return CALL_GOES_ON;
	sock_read(ctx, &sock, ipv6);
	switch (sock_balance(ctx, &sock, point)) {
	case SOCK_BALANCED:
		sock_write(ctx, &sock.peer, ipv6);
		return CALL_GOES_ON;
	case SOCK_REFUSED:
		return refuse();
	default:
		return CALL_GOES_ON;
	}
}

static __always_inline int balance_ipv4(struct bpf_sock_addr *ctx, enum trace_point point)
{
	return balance(ctx, point, false);
}

static __always_inline int balance_ipv6(struct bpf_sock_addr *ctx, enum trace_point point)
{
	return balance(ctx, point, true);
}

/* A connecting caller may claim another family than its socket's. The kernel finds out only after the program. */

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return ctx->user_family == AF_INET ? balance_ipv4(ctx, POINT_CONNECT) : CALL_GOES_ON;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return ctx->user_family == AF_INET6 ? balance_ipv6(ctx, POINT_CONNECT) : CALL_GOES_ON;
}

/* Also for IPv6 sockets that send to an IPv4 address. Here the kernel has looked at the family; for UDP, none means IPv4. */
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return balance_ipv4(ctx, POINT_SENDMSG);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return balance_ipv6(ctx, POINT_SENDMSG);
}

static __always_inline int restore(struct bpf_sock_addr *ctx, enum trace_point point, bool ipv6)
{
	struct sock_peer sock = {};

	if (!sock_has_services(ctx))
		return CALL_GOES_ON;
	sock_read(ctx, &sock, ipv6);
	if (sock_restore(&sock, point))
		sock_write(ctx, &sock.peer, ipv6);
	return CALL_GOES_ON;
}

static __always_inline int restore_ipv4(struct bpf_sock_addr *ctx, enum trace_point point)
{
	return restore(ctx, point, false);
}

static __always_inline int restore_ipv6(struct bpf_sock_addr *ctx, enum trace_point point)
{
	return restore(ctx, point, true);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return restore_ipv4(ctx, POINT_RECVMSG);
}

/* Also for IPv6 sockets that receive from an IPv4 address. */
SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return restore_ipv6(ctx, POINT_RECVMSG);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return restore_ipv4(ctx, POINT_GETPEERNAME);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return restore_ipv6(ctx, POINT_GETPEERNAME);
}

/* A socket is closed. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	struct sock_peer sock = {.cookie = bpf_get_socket_cookie(ctx)};

	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return CALL_GOES_ON;
	sock_read_connected(ctx, &sock);
	sock_forget(&sock);
	return CALL_GOES_ON;
}

char _license[] SEC("license") = "Dual BSD/GPL";
