// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//go:build ignore

/*
 * What a program under test prints: the lines that one thread makes by
 * bpf_trace_printk, taken from the tracepoint behind it, so that they are
 * nobody else's and none is taken from another reader of the trace pipe.
 */
#include <vmlinux.h>
#include <bpf_helpers.h>

#define LINE 512

struct raw_args {
	__u64 args[1];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} lines SEC(".maps");

volatile const __u32 thread;

SEC("raw_tracepoint/bpf_trace_printk")
int collect(struct raw_args *ctx)
{
	char *line;

	if ((__u32)bpf_get_current_pid_tgid() != thread)
		return 0;
	line = bpf_ringbuf_reserve(&lines, LINE, 0);
	if (!line)
		return 0;
	if (bpf_probe_read_kernel_str(line, LINE, (void *)ctx->args[0]) < 0)
		line[0] = 0;
	bpf_ringbuf_submit(line, 0);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
