//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The two ends of a benchmark's wire, and the empty path between them:
//
//   generate --> NIC under test --> [datapath, or bounce] --> same NIC --> sink
//
// generate is run by BPF_PROG_RUN with live frames, at the tester's end; sink is
// attached there and swallows what comes back. Where the backend is a pod of the
// node under test, sink_pod swallows it there, and the empty path is enter_pod:
//
//   generate --> NIC under test --> [datapath, or enter_pod] --> pod's NIC, sink_pod

#include <vmlinux.h>
#include <bpf_helpers.h>
#include <bpf_endian.h>

// HEADER_LEN is what generate writes of each frame: more than any datapath here
// rewrites. The kernel recycles the pages of live frames as the datapath left
// them, so whatever a datapath may touch must be written anew each time.
#define HEADER_LEN 128
#define MAX_FLOWS 65536

// The shortest frames, without their check sequence: IPv4, and IPv6 with UDP.
#define SHORTEST_IPV4 60
#define SHORTEST_IPV6 64

struct header {
	__u8 bytes[HEADER_LEN];
	__u32 frame_len; // of the whole frame, without its check sequence
};

// The first HEADER_LEN bytes of each flow's frame, checksums and all.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_FLOWS);
	__type(key, __u32);
	__type(value, struct header);
} flows SEC(".maps");

struct count {
	__u64 sent;
	__u64 returned; // with the destination port that the datapath should have put there
	__u64 strayed;  // anything else that came back
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

const volatile __u32 flow_mask;	  // number of flows - 1
const volatile __u16 port_offset; // of the L4 destination port, bytes into the frame
const volatile __be16 want_port;  // there, once translated
const volatile __u8 mixed_sizes;  // frames differ in length
const volatile __u32 pod_device;  // the node's end of the pod's veth pair

static __always_inline struct count *my_count(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero);
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct count *count = my_count();
	struct header *header;
	__u32 flow;

	if (!count)
		return XDP_ABORTED;
	flow = count->sent & flow_mask;
	header = bpf_map_lookup_elem(&flows, &flow);
	if (!header)
		return XDP_ABORTED;

	// Frames are made as long as the longest, and the kernel makes them so again
	// after each run.
	if (mixed_sizes) {
		if (bpf_xdp_adjust_tail(ctx, (int)header->frame_len - (int)(data_end - data)))
			return XDP_ABORTED;
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
	}

	// A copy has a constant length, so there is one for each.
	if (data + HEADER_LEN <= data_end)
		__builtin_memcpy(data, header->bytes, HEADER_LEN);
	else if (data + SHORTEST_IPV6 <= data_end)
		__builtin_memcpy(data, header->bytes, SHORTEST_IPV6);
	else if (data + SHORTEST_IPV4 <= data_end)
		__builtin_memcpy(data, header->bytes, SHORTEST_IPV4);
	else
		return XDP_ABORTED;
	count->sent++;
	return XDP_TX;
}

static __always_inline void arrived(struct count *count, void *data, void *data_end)
{
	if (data + port_offset + sizeof(__be16) <= data_end &&
	    *(__be16 *)(data + port_offset) == want_port)
		count->returned++;
	else
		count->strayed++;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct count *count = my_count();

	if (!count)
		return XDP_ABORTED;
	arrived(count, data, data_end);
	return XDP_DROP;
}

#define NEXT_HEADER_AT (14 + 6) // of an IPv6 frame

// What the node asks of the pod to find it.
static __always_inline bool asks_for_neighbour(void *data, void *data_end)
{
	__be16 *protocol = data + 12;
	__u8 *next_header = data + NEXT_HEADER_AT;

	if (data + NEXT_HEADER_AT + 1 > data_end)
		return false;
	return *protocol == bpf_htons(ETH_P_ARP) || (*protocol == bpf_htons(ETH_P_IPV6) && *next_header == IPPROTO_ICMPV6);
}

// Behind bpf_redirect_peer no XDP program of the driver sees a frame, but TC does.
SEC("tc")
int sink_pod(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;
	struct count *count = my_count();

	if (!count)
		return TC_ACT_SHOT;
	if (asks_for_neighbour(data, data_end))
		return TC_ACT_OK;
	arrived(count, data, data_end);
	return TC_ACT_SHOT;
}

// bounce is the empty path: the frame goes back the way it came, as it is.
SEC("xdp")
int bounce(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u16 *mac = data;

	if (data + 12 > data_end)
		return XDP_ABORTED;
	for (int i = 0; i < 3; i++) {
		__u16 word = mac[i];

		mac[i] = mac[i + 3];
		mac[i + 3] = word;
	}
	return XDP_TX;
}

// enter_pod is the empty path to a pod: the least that a packet can do there.
SEC("tc")
int enter_pod(struct __sk_buff *skb __attribute__((unused)))
{
	return bpf_redirect_peer(pod_device, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
