//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/session.h"
#include "lib/endpoint.h"

/* Takes both ends of every TCP session between two pods of this node into the map sessions. */

static __always_inline enum session_fate follow(struct bpf_sock_ops *ctx)
{
	const struct endpoint *local, *remote;
	struct session session;

	session_of(&session, ctx);
	local = endpoint_lookup(&session.local);
	remote = endpoint_lookup(&session.remote);
	if (endpoint_none(local) || endpoint_none(remote))
		return SESSION_REMOTE;
	if (local->on_wire || remote->on_wire)
		return SESSION_ON_WIRE;
	/* Never in the place of another: that one may hold data which its reader has not come to yet. */
	if (bpf_sock_hash_update(ctx, &sessions, &session, BPF_NOEXIST))
		return SESSION_REFUSED;
	return SESSION_FOLLOWED;
}

SEC("sockops")
int follow_sessions(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		session_count(follow(ctx));
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
