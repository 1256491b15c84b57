/* SPDX-License-Identifier: GPL-2.0 */
/* The request in a TCP segment to an endpoint. */
#pragma once

#include "cursor.h"
#include "packet.h"

enum guard_http_result { HTTP_BAD, HTTP_PLAIN, HTTP_TOKEN };

struct guard_request {
	__u32 tokens; /* in: GUARD_TOKEN_* that count */
	__u32 result; /* out: enum guard_http_result */
	__u32 n_method;
	__u32 n_path;
	__u32 odd_path; /* 1: a server may take the path for another one; no rule names it */
	__u32 session;  /* 1: it asks for a session token, which rules for paths let pass */
	char method[8];
	char path[GUARD_PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard_request);
} guard_request __weak SEC(".maps");

__weak __noinline int guard_http(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct guard_request *request = bpf_map_lookup_elem(&guard_request, &zero);

	if (!skb || !request)
		return 0;
	request->result = HTTP_BAD;
	request->n_method = 0;
	request->n_path = 0;
	return 0;
}
