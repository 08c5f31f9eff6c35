/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_DELAY_H
#define LIB_DELAY_H

#include "config.h"

/*
 * Slows a program down by so many turns of a loop that does nothing, so that
 * benchmarks can prove that they would find a slower datapath. There are none
 * otherwise, and no instruction is left of it.
 */
static __always_inline void delay(void)
{
	for (__u32 turn = 0; turn < config.delay; turn++)
		asm volatile("" ::: "memory");
}

#endif /* LIB_DELAY_H */
