// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Programs of other types than XDP and TC, each with its own context and verdicts. */
#include <vmlinux.h>
#include <bpf_helpers.h>

SEC("socket")
int filter(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("cgroup_skb/ingress")
int cgroup(struct __sk_buff *skb)
{
	return skb->len > 60;
}

SEC("flow_dissector")
int dissect(struct __sk_buff *skb)
{
	return 129; /* BPF_FLOW_DISSECTOR_CONTINUE */
}

SEC("lwt_xmit")
int route(struct __sk_buff *skb)
{
	skb->mark = skb->mark + 1;
	return 2; /* BPF_DROP */
}

struct raw_args {
	__u64 args[2];
};

SEC("raw_tracepoint/sys_enter")
int trace(struct raw_args *ctx)
{
	return ctx->args[0] + ctx->args[1];
}

struct request {
	__u32 number;
};

SEC("syscall")
int call(struct request *request)
{
	return request->number + 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
