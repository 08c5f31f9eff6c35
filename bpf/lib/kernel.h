/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef LIB_KERNEL_H
#define LIB_KERNEL_H

/*
 * The kernel's own structures, as far as bpf_redir reads them. They are not its
 * interface: where a field lies is looked up in the running kernel's types when
 * the program is loaded (CO-RE), so only names and nesting are given here.
 */
#define KERNEL __attribute__((preserve_access_index))

typedef struct {
	int counter;
} KERNEL atomic_t;

struct refcount_struct {
	atomic_t refs;
} KERNEL;

struct list_head {
	struct list_head *next;
} KERNEL;

struct wait_queue_head {
	struct list_head head;
} KERNEL;

struct wait_queue_entry {
	void *private;
	struct list_head entry;
} KERNEL;

typedef struct wait_queue_head wait_queue_head_t;

struct socket_wq {
	wait_queue_head_t wait;
} KERNEL;

typedef struct {
	int owned; /* a process is inside a system call on the socket */
} KERNEL socket_lock_t;

struct sock_common {
	unsigned char skc_state;
} KERNEL;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct {
		atomic_t rmem_alloc; /* bytes received and not read */
	} sk_backlog;
	int sk_rcvbuf;
	__u8 sk_userlocks : 4; /* what the program has set itself */
	struct socket_wq *sk_wq;
	void *sk_user_data; /* the sk_psock, and flags in its lowest bits */
} KERNEL;

struct tcp_sock {
	__u32 copied_seq; /* the first byte that is not read yet */
	__u32 write_seq;  /* the next byte to be written */
} KERNEL;

struct inet_connection_sock {
	void *icsk_ulp_ops; /* a protocol that the kernel runs on top of TCP, such as TLS; NULL: none */
} KERNEL;

/* Of a socket in a sockhash. */
struct sk_psock {
	struct list_head ingress_msg; /* messages redirected to it and not read */
} KERNEL;

/* What the context of an sk_msg program really is. */
struct sk_msg {
	struct sock *sk;
	struct sock *sk_redir; /* where it was redirected to; no reference is held */
} KERNEL;

struct task_struct {
	void *stack; /* its lowest address */
} KERNEL;

/* Registers of the system call that a process is in. */
struct pt_regs {
	unsigned long r10; /* x86-64 */
	unsigned long dx;
	unsigned long orig_ax;
} KERNEL;

/*
 * How memory of the kernel may be read: as typed memory (kfunc, 6.2), or by the
 * helper that kernels in lockdown=confidentiality refuse. Both are safe with an
 * address that is no longer what it was: they read zero, or something else.
 */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

const volatile __u8 has_rdonly_cast;

#define kernel_offset(type, field) __builtin_preserve_field_info(((type *)0)->field, 0 /* in bytes */)

#define kernel_read(type, address, field)                                                                              \
	({                                                                                                             \
		typeof(((type *)0)->field) _value = 0;                                                                 \
		if (has_rdonly_cast)                                                                                   \
			_value = ((type *)bpf_rdonly_cast((void *)(address),                                           \
							  __builtin_btf_type_id(*(type *)0, 1 /* the kernel's */)))    \
					 ->field;                                                                      \
		else                                                                                                   \
			bpf_probe_read_kernel(&_value, sizeof(_value), (void *)(address) + kernel_offset(type, field)); \
		_value;                                                                                                \
	})

/* A bit field, wherever the kernel has it. It is read as part of 32 bits, for which any structure that begins with some does. */
#define kernel_read_bits(type, address, field)                                                                         \
	((__u64)(__u32)kernel_read(struct refcount_struct, (address) + kernel_offset(type, field), refs.counter)       \
		 << __builtin_preserve_field_info(((type *)0)->field, 4 /* left shift, of 64 bits */) >>               \
	 __builtin_preserve_field_info(((type *)0)->field, 5 /* right shift */))

#endif /* LIB_KERNEL_H */
