//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

#include "lib/ctx_xdp.h"
#include "lib/config.h"
#include "lib/ct.h"
#include "lib/endpoint.h"
#include "lib/ipcache.h"
#include "lib/lb.h"
#include "lib/trace.h"

SEC("xdp")
int xdp_entry(struct context *ctx)
{
	trace(ctx, POINT_XDP, VERDICT_PASS, DROP_NONE, 0);
	return CTX_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
