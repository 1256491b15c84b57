// SPDX-License-Identifier: GPL-2.0
/*
 * The bench's own programs: each writes the next flow into the packet and then
 *   live_xdp           sends it to a device                     (method 1: live frames)
 *   call_xdp call_tc   becomes the program under test           (method 2: test runs)
 * and the floors that programs under test are compared with:
 *   drop_xdp drop_tc   drop at once
 *   parse_xdp parse_tc find the ports, then drop
 *
 * One CPU runs them, so plain counters are exact.
 */
#include <linux/pkt_cls.h>

#include "write.h"

enum target { TARGETS = 16 };

const volatile struct frame_config frame = { .words = FLOW4_WORDS, .count = 1, .tcp = 1 };

/* Written by the driver between slices, through the mapped .bss. */
__u32 next;   /* record of the next packet */
__u32 slot;   /* method 2: the target */
__u32 to;     /* method 1: the target's ifindex */
__u64 sent;   /* packets that were written and handed on */
__u64 failed; /* packets that were not: the run is void */

/* The flows in the order they are sent; the driver maps it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 4 * FLOW_WORDS);
} flows SEC(".maps");

#define PROGRAMS(name)                                                                                                 \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                                                 \
		__uint(max_entries, TARGETS);                                                                          \
		__type(key, __u32);                                                                                    \
		__type(value, __u32);                                                                                  \
	} name SEC(".maps")

PROGRAMS(xdp_targets);
PROGRAMS(tc_targets);

static __always_inline bool write_next(void *data, void *end)
{
	struct frame_config f = { frame.words, frame.count, frame.tcp, frame.total4, frame.payload6, frame.transport4 };
	__u32 number = next;
	const void *record;

	if (number >= f.count)
		number = 0;
	next = number + 1;
	record = bpf_map_lookup_elem(&flows, &number);
	if (!record || !write_record(data, end, &f, record)) {
		failed++;
		return false;
	}
	sent++;
	return true;
}

SEC("xdp")
int live_xdp(struct xdp_md *ctx)
{
	if (!write_next((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_DROP;
	return bpf_redirect(to, 0);
}

SEC("xdp.frags")
int call_xdp(struct xdp_md *ctx)
{
	if (write_next((void *)(long)ctx->data, (void *)(long)ctx->data_end)) {
		bpf_tail_call(ctx, &xdp_targets, slot);
		failed++;
	}
	return XDP_ABORTED;
}

SEC("tc")
int call_tc(struct __sk_buff *skb)
{
	if (write_next((void *)(long)skb->data, (void *)(long)skb->data_end)) {
		bpf_tail_call(skb, &tc_targets, slot);
		failed++;
	}
	return TC_ACT_STOLEN;
}

SEC("xdp.frags")
int drop_xdp(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

SEC("tc")
int drop_tc(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

/* The least that a filter has to read. The branch on it keeps the compiler from leaving the reads out. */
static __always_inline bool parse(void *data, void *end)
{
	__u16 *type = data + 2 * ETH_ALEN;
	__u8 *ip = data + ETH_HLEN;
	__u32 offset, *ports;

	if ((void *)(ip + 40) > end)
		return false;
	if (*type == bpf_htons(ETH_P_IP))
		offset = (ip[0] & 15) * 4;
	else if (*type == bpf_htons(ETH_P_IPV6))
		offset = 40;
	else
		return false;
	ports = (void *)ip + (offset & 0x3c);
	if ((void *)(ports + 1) > end)
		return false;
	return *ports != 0xffffffff || *(__u32 *)(ip + 12) != 0xffffffff;
}

SEC("xdp.frags")
int parse_xdp(struct xdp_md *ctx)
{
	return parse((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int parse_tc(struct __sk_buff *skb)
{
	return parse((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
