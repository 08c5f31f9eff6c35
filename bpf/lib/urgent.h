/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_URGENT_H
#define LIB_URGENT_H

#include "kernel.h"

/*
 * Whether the message is urgent (MSG_OOB). An sk_msg program is not told, and a
 * redirected message would become ordinary data: the stack must have it. So look
 * at the arguments of the system call that this process is in. What io_uring
 * sends is not seen.
 */
#define MSG_OOB 1

/* x86-64 */
#define NR_SENDTO   44 /* and send(2); flags are the fourth argument */
#define NR_SENDMSG  46 /* the third */
#define NR_SENDMMSG 307

const volatile __u8 has_syscall_regs; /* the registers are those of x86-64 */

#define THREAD_SIZE 16384 /* the kernel's stack of a process, at whose end the registers are; bpf_task_pt_regs: 5.15 */

static __always_inline __u64 syscall_regs(void)
{
	if (has_rdonly_cast)
		return bpf_task_pt_regs((struct task_struct *)bpf_get_current_task_btf());
	return (__u64)kernel_read(struct task_struct, bpf_get_current_task(), stack) + THREAD_SIZE -
	       __builtin_preserve_type_info(*(struct pt_regs *)0, 1 /* size */);
}

static __always_inline bool is_urgent(void)
{
	__u64 regs;

	if (!has_syscall_regs)
		return false;
	regs = syscall_regs();
	switch (kernel_read(struct pt_regs, regs, orig_ax)) {
	case NR_SENDTO:
	case NR_SENDMMSG:
		return kernel_read(struct pt_regs, regs, r10) & MSG_OOB;
	case NR_SENDMSG:
		return kernel_read(struct pt_regs, regs, dx) & MSG_OOB;
	default:
		return false;
	}
}

#endif /* LIB_URGENT_H */
