// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's programs, for t-foreign and the smoke test: each drops one UDP port (XDP 4343, TC 4242) and
 * passes the rest, so that a frame tells whether it is still there.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

static __always_inline int is_port(void *data, void *end, __u16 port)
{
	struct frame *f = data;

	return (void *)(f + 1) <= end && f->eth.h_proto == bpf_htons(ETH_P_IP) && f->ip.protocol == IPPROTO_UDP &&
	       f->udp.dest == bpf_htons(port);
}

SEC("xdp")
int foreign_xdp(struct xdp_md *ctx)
{
	return is_port((void *)(long)ctx->data, (void *)(long)ctx->data_end, 4343) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int foreign_tc(struct __sk_buff *skb)
{
	bpf_skb_pull_data(skb, sizeof(struct frame));
	return is_port((void *)(long)skb->data, (void *)(long)skb->data_end, 4242) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
