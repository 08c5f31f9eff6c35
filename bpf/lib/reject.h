/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_REJECT_H
#define LIB_REJECT_H

#include "icmp.h"

/*
 * The packet that lb_open() could not open a flow for, because of reason. Who
 * asks a service that has no backend is told that nobody listens, so that clients
 * fail at once. TCP gets the same as UDP, as from kube-proxy and Cilium.
 */
static __always_inline int refuse(struct context *ctx, enum trace_point point, const struct packet *pkt, int reason)
{
	if (reason != DROP_NO_BACKEND)
		return drop(ctx, point, reason);
	return drop_and_tell(ctx, point, pkt, reason, ICMP_NO_PORT, 0);
}

#endif /* LIB_REJECT_H */
