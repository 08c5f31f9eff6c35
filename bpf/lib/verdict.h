/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_VERDICT_H
#define LIB_VERDICT_H

#include "parse.h"

/* The ways out of a program. Each is counted and traced; there is no other. */

static __always_inline int pass(struct context *ctx, enum trace_point point)
{
	trace(ctx, point, VERDICT_PASS, DROP_NONE, 0);
	return CTX_PASS;
}

static __always_inline int drop(struct context *ctx, enum trace_point point, enum drop_reason reason)
{
	trace(ctx, point, VERDICT_DROP, reason, 0);
	return CTX_DROP;
}

#endif /* LIB_VERDICT_H */
