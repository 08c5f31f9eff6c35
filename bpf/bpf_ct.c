//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_xdp.h"
#include "lib/expire.h"

/*
 * What the agent runs on conntrack (BPF_PROG_RUN): user space cannot look at an
 * entry and remove it in one step. The packet is a list of struct ct_idle; the
 * result is the number of entries removed.
 */
SEC("xdp")
int ct_expire(struct context *ctx)
{
	int removed = 0;

	for (int i = 0; i < CT_IDLE_MAX; i++)
		removed += ct_expire_flow(ctx, i * sizeof(struct ct_idle));
	return removed;
}

char _license[] SEC("license") = "Dual BSD/GPL";
