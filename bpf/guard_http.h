/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this TCP segment one whole and plain HTTP/1.x request, for which path, with which token? Decision 0018 says what is
 * let through and why.
 *
 * Nothing is remembered from one segment to the next. That is enough as long as each one that passes is a whole head
 * without a body: then each begins where the server expects a request, and the server reads what was read here.
 *
 * Byte by byte through a table (guard_http_table.h); where a field ends, its text is looked at.
 */
#pragma once

#include "guard_http_table.h"
#include "packet.h"

#define TCP_URG    0x20
#define HTTP_ROUND 16 /* bytes for a call of the scanner; a call costs more than its steps */

enum guard_http_result {
	HTTP_BAD,
	HTTP_PLAIN,
	HTTP_TOKEN, /* with a token that counts at the endpoint, or it asks for one */
};

static __always_inline bool http_is(const __u8 *at, __u32 n, const char *text, const __u32 size, const __u8 fold)
{
	__u32 differ = 0;

	if (n != size)
		return false;
#pragma unroll
	for (__u32 i = 0; i < size; i++)
		differ |= (at[i] | fold) ^ text[i];
	return !differ;
}

#define HTTP_IS(at, n, text, fold) http_is(at, n, text, sizeof(text) - 1, fold)

/* The text that is being read; HTTP_TEXT_MOST bytes can be read from there. */
static __always_inline const __u8 *http_text(const struct guard_request *r)
{
	return r->head + (r->from & (HTTP_HEAD_MOST - 1));
}

/* What each of these says: may it still be a good request? */

static __always_inline bool http_method(struct guard_request *r)
{
	const __u8 *at = http_text(r);
	__u32 n = r->to - r->from;

#define X(name)                                                                                                        \
	if (HTTP_IS(at, n, #name, HTTP_AS_IS)) {                                                                       \
		__builtin_memcpy(r->method, #name, sizeof(#name) - 1);                                                 \
		r->n_method = n;                                                                                       \
		r->verb = HTTP_VERB_##name;                                                                            \
	}
	HTTP_VERBS(X)
#undef X
	return r->verb;
}

/* `end`: of the target, which has a query where that is not the path's. */
static __always_inline bool http_target(struct guard_request *r, __u32 end)
{
	r->path_from = r->from;
	r->n_path = r->to - r->from;
	r->session = r->verb == HTTP_VERB_PUT && HTTP_IS(http_text(r), end - r->from, "/latest/api/token", HTTP_AS_IS);
	return true;
}

static __always_inline bool http_version(const struct guard_request *r)
{
	const __u8 *at = http_text(r);
	__u32 n = r->to - r->from;

	return HTTP_IS(at, n, "HTTP/1.1", HTTP_AS_IS) || HTTP_IS(at, n, "HTTP/1.0", HTTP_AS_IS);
}

static __always_inline bool http_name(struct guard_request *r)
{
	const __u8 *at = http_text(r);
	__u32 n = r->to - r->from, before = r->seen;

	r->header = HTTP_NO_HEADER;
#define X(name, text, kind)                                                                                            \
	if (HTTP_IS(at, n, text, HTTP_ANY_CASE))                                                                       \
		r->header = HTTP_HEADER_##name;
	HTTP_HEADERS(X)
#undef X
	if (!r->header)
		return true;
	r->seen |= 1u << r->header;
	return r->seen != before;
}

static __always_inline bool http_value_is_number(const __u8 *at, __u32 n)
{
	__u32 other = 0;

	for (__u32 i = 0; i < HTTP_TTL_DIGITS; i++)
		other |= i < n && (__u8)(at[i] - '0') > 9;
	return n && n <= HTTP_TTL_DIGITS && !other;
}

static __always_inline bool http_value_is_right(const struct guard_request *r, bool token)
{
	const __u8 *at = http_text(r);
	__u32 n = r->to - r->from;

	if (r->header == HTTP_HEADER_AWS || r->header == HTTP_HEADER_ALIBABA)
		return token;
	if (r->header == HTTP_HEADER_AWS_TTL || r->header == HTTP_HEADER_ALIBABA_TTL)
		return http_value_is_number(at, n);
#define X(name, text, fold)                                                                                            \
	if (r->header == HTTP_HEADER_##name && HTTP_IS(at, n, text, fold))                                             \
		return true;
	HTTP_VALUES(X)
#undef X
	return false;
}

static __always_inline bool http_header(struct guard_request *r, bool token)
{
	if (!r->header)
		return true;
	if (!http_value_is_right(r, token))
		return !(HTTP_MUST >> r->header & 1);
	r->good |= 1u << r->header;
	return true;
}

/* The byte at `i` ends a field. All bits of a state, or 0: refused. Verifier: a global function, so that it is walked once. */
__weak __noinline int http_field(__u32 step, __u32 i)
{
	__u64 zero = 0;
	struct guard_request *r = bpf_map_lookup_elem(&guard_request, &zero);
	bool good;

	if (!r)
		return 0;
	if (step & HTTP_DO_METHOD) {
		good = http_method(r);
	} else if (step & HTTP_DO_TARGET) {
		good = http_target(r, i);
	} else if (step & HTTP_DO_VERSION) {
		good = http_version(r);
	} else if (step & HTTP_DO_NAME) {
		good = http_name(r);
		r->from = r->to = i + 1; /* an empty value */
	} else {
		good = http_header(r, step & HTTP_DO_TOKEN);
	}
	return good ? HTTP_STATE_MAX - 1 : 0;
}

struct http_scan {
	struct guard_request *request;
	__u64 n;
};

/* bpf_loop callback: the head's next bytes. */
static long http_steps(__u32 round, struct http_scan *scan)
{
	struct guard_request *r = scan->request;
	__u64 i = (__u64)round * HTTP_ROUND, n = scan->n, state = r->state & (HTTP_STATE_MAX - 1);

	for (__u32 k = 0; k < HTTP_ROUND && i < n; k++, i++) {
		__u64 class = http_class[r->head[i & (HTTP_HEAD_MOST - 1)]] & (HTTP_CLASS_MAX - 1);
		__u32 step = http_next[state][class];

		state = step & (HTTP_STATE_MAX - 1);
		if (!(step & ~(HTTP_STATE_MAX - 1)))
			continue;
		if (step & HTTP_DO_FROM)
			r->from = i;
		if (step & HTTP_DO_TO)
			r->to = i;
		if (step & HTTP_DO_ODD)
			r->odd_path = 1;
		if (step & HTTP_DO_FIELD)
			state &= http_field(step, i);
	}
	r->state = state;
	return state == HTTP_REFUSED;
}

/* n, which is 1 ... most. Verifier (up to 6.12 at least): a comparison with 0 does not tell it that n is not. */
static __always_inline __u32 http_bytes(__u32 n, const __u32 most)
{
	barrier_var(n);
	return ((n - 1) & (most - 1)) + 1;
}

/* The segment's data into r->head; how much, or 0: it cannot be a whole head. */
static __always_inline __u32 http_load(struct __sk_buff *skb, const struct scratch *s, struct guard_request *r)
{
	__u32 header, n;

	if (bpf_skb_load_bytes(skb, s->l3 + 12, r->head, 1))
		return 0;
	header = (r->head[0] >> 4) * 4;
	n = s->end - s->l3 - header;
	/* The server takes an urgent byte out of the stream; what follows in other fragments is not here. */
	if (s->key[KEY_TCPFLAGS] & TCP_URG || s->key[KEY_PRESENT] & PRESENT_FRAGMENT)
		return 0;
	if (skb->gso_segs > 1)
		return 0;
	if (header < TCP_BYTES || !n || n > HTTP_HEAD_MOST)
		return 0;
	r->data = s->l3 + header;
	return bpf_skb_load_bytes(skb, r->data, r->head, http_bytes(n, HTTP_HEAD_MOST)) ? 0 : n;
}

static __always_inline void http_copy_path(struct __sk_buff *skb, struct guard_request *r)
{
	__u32 n = r->n_path < GUARD_PATH ? r->n_path : GUARD_PATH;

	if (n && bpf_skb_load_bytes(skb, r->data + r->path_from, r->path, http_bytes(n, GUARD_PATH)))
		r->state = HTTP_REFUSED;
}

static __always_inline enum guard_http_result http_judge(const struct guard_request *r)
{
#define HTTP_COUNTS(name, header) (r->tokens / GUARD_TOKEN_##name & r->good >> HTTP_HEADER_##header & 1)
	if (r->state != HTTP_WHOLE)
		return HTTP_BAD;
	if (r->verb == HTTP_VERB_PUT)
		return r->session && (HTTP_COUNTS(AWS, AWS_TTL) | HTTP_COUNTS(ALIBABA, ALIBABA_TTL)) ? HTTP_TOKEN
												     : HTTP_BAD;
	if (r->verb != HTTP_VERB_GET && r->verb != HTTP_VERB_HEAD)
		return HTTP_BAD;
	return HTTP_COUNTS(AWS, AWS) | HTTP_COUNTS(GCP, GCP) | HTTP_COUNTS(AZURE, AZURE) |
			       HTTP_COUNTS(ALIBABA, ALIBABA) | HTTP_COUNTS(ORACLE, ORACLE)
		       ? HTTP_TOKEN
		       : HTTP_PLAIN;
#undef HTTP_COUNTS
}

/*
 * A TCP segment with data that packet_parse() took: into this CPU's guard_request, whose `tokens` the caller has set.
 * Its result again.
 */
__weak __noinline int guard_http(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct guard_request *r = bpf_map_lookup_elem(&guard_request, &zero);
	struct scratch *s = bpf_map_lookup_elem(&scratch, &zero);
	struct http_scan scan = { r, 0 };

	if (!s || !r)
		return HTTP_BAD;
	__builtin_memset(&r->result, 0, offsetof(struct guard_request, head) - offsetof(struct guard_request, result));
	scan.n = http_load(skb, s, r);
	r->state = HTTP_IN_METHOD;
	bpf_loop((scan.n + HTTP_ROUND - 1) / HTTP_ROUND, http_steps, &scan, 0);
	http_copy_path(skb, r);
	r->result = http_judge(r);
	return r->result;
}
