// SPDX-License-Identifier: GPL-2.0
/*
 * The second layer of a guard: packets that leave, judged by who sent them. What a call was not asked for ends here: raw
 * and packet sockets, sockets that were there before the guard, what is forwarded.
 *
 * 1. Is the address near an endpoint? Most are not, and that is all that they pay.
 * 2. guard_packet() parses the packet, finds the endpoint, asks who sent it, counts and tells.
 * 3. What is denied is answered with a reset if it is TCP, else dropped. Accept is TC_ACT_UNSPEC, as in tc.bpf.c.
 */
#include <linux/pkt_cls.h>

#include "hook_tc.h"
#include "answer_tc.h"
#include "guard_packet.h"

/* Of the frame as it most often is: in one piece, and no tag in it. Else it is near, and the parser will see. */
static __always_inline bool guard_egress_near(struct __sk_buff *skb, const struct guard_tables *t, const bool raw_ip)
{
	const __u8 *frame = hook_data(skb), *end = hook_data_end(skb);
	const __u8 *ip = frame + (raw_ip ? 0 : ETH_HLEN), *daddr;
	bool ipv6;

	if (ip + sizeof(struct iphdr) > end)
		return true;
	if (raw_ip) {
		ipv6 = *ip >> 4 == 6;
	} else {
		__u16 type_be = *(const __be16 *)(frame + 2 * ETH_ALEN);

		ipv6 = type_be == bpf_htons(ETH_P_IPV6);
		if (!ipv6 && type_be != bpf_htons(ETH_P_IP))
			return is_vlan(type_be);
	}
	if (!ipv6)
		return guard_near(t, false, load_be16(ip + 16));
	daddr = ip + 24;
	if (daddr + 2 > end)
		return true;
	return guard_near(t, true, load_be16(daddr));
}

/* What is denied. The scratch memory is as guard_packet() left it. */
static __always_inline int guard_egress_refuse(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s || s->key[KEY_L4] != IPPROTO_TCP)
		return TC_ACT_SHOT;
	s->redirect = REJECT_RESET;
	return answer_tc(skb);
}

static __always_inline int guard_egress(struct __sk_buff *skb, const bool raw_ip)
{
	__u64 generation;
	const struct guard_tables *t = guard_now(&generation);
	__u32 outcome;

	if (!t || !guard_egress_near(skb, t, raw_ip))
		return TC_ACT_UNSPEC;
	outcome = guard_packet(skb, generation, raw_ip);
	if (outcome == GUARD_OUTCOME_MAX || !guard_denies(outcome))
		return TC_ACT_UNSPEC;
	return guard_egress_refuse(skb);
}

SEC("?tc")
int weir_guard_egress(struct __sk_buff *skb)
{
	return guard_egress(skb, false);
}

/* Of devices without a link-layer header. */
SEC("?tc")
int weir_guard_egress_ip(struct __sk_buff *skb)
{
	return guard_egress(skb, true);
}

char LICENSE[] __weak SEC("license") = "GPL";
