// SPDX-License-Identifier: GPL-2.0
/* For t-http-bpf: one TCP segment as a request to a guarded endpoint. */
#include "../../bpf/hook_tc.h"

#include "../../bpf/datapath.h"
#include "../../bpf/guard_http.h"

__u32 tokens;
/* What guard_http() left. */
__u32 n_method;
__u32 n_path;
__u32 odd_path;
__u32 session;
char method[sizeof(((struct guard_request *)0)->method)];
char path[GUARD_PATH];

/* As guards meet a packet: parsed. */
static __always_inline bool is_segment(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);

	if (!s)
		return false;
	datapath_begin(skb, s, HOOK_TC_EGRESS);
	return packet_parse(skb, s, false) == REASON_RULE && s->key[KEY_L4] == IPPROTO_TCP;
}

SEC("tc")
int http_request(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct guard_request *r = bpf_map_lookup_elem(&guard_request, &zero);
	int result;

	if (!r || !is_segment(skb))
		return -1;
	r->tokens = tokens;
	result = guard_http(skb);
	n_method = r->n_method;
	n_path = r->n_path;
	odd_path = r->odd_path;
	session = r->session;
	__builtin_memcpy(method, r->method, sizeof(method));
	__builtin_memcpy(path, r->path, sizeof(path));
	return result == (int)r->result ? result : -1;
}

/* What it costs without the request. */
SEC("tc")
int http_nothing(struct __sk_buff *skb)
{
	return is_segment(skb);
}

char LICENSE[] SEC("license") = "GPL";
