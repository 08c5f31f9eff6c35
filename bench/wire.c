//go:build ignore

// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The two ends of a benchmark's wire, and the empty path between them:
//
//   generate --> NIC under test --> [datapath, or bounce] --> same NIC --> sink
//
// generate is run by BPF_PROG_RUN with live frames, at the tester's end; sink is
// attached there and swallows what comes back.

#include <vmlinux.h>
#include <bpf_helpers.h>

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

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct count *count = my_count();

	if (!count)
		return XDP_ABORTED;
	if (data + port_offset + sizeof(__be16) <= data_end &&
	    *(__be16 *)(data + port_offset) == want_port)
		count->returned++;
	else
		count->strayed++;
	return XDP_DROP;
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

char _license[] SEC("license") = "Dual BSD/GPL";
