// SPDX-License-Identifier: GPL-2.0
/* `flows { ... }`: how large the table behind ct state is, and how long flows stay in it. */
#include <string.h>

#include "parse.h"
#include "suggest.h"

#define TIME_LEAST_MS 1000
#define TIME_MOST_MS  (UINT64_C(30) * 86400000)

const struct flow_time_info flow_time_info[FLOW_TIME_COUNT] = {
#define X(name, in, of, after) [FLOW_TIME_##name] = { .protocol = in, .state = of, .seconds = after },
	FLOW_TIMES(X)
#undef X
};

/* What the block has stated so far; file 0: not yet. */
struct stated {
	struct location size, full, time[FLOW_TIME_COUNT];
};

void flows_default(struct flows *ret)
{
	*ret = (struct flows){ .size = FLOWS_SIZE, .full = POLICY_DROP };
	for (size_t i = 0; i < FLOW_TIME_COUNT; i++)
		ret->time_ms[i] = flow_time_info[i].seconds * UINT64_C(1000);
}

static bool parse_size(struct parser *p, struct flows *flows, struct stated *stated)
{
	struct token token;

	parser_next(p);
	token = p->tok;
	if (!parser_state_once(p, "the size", p->last.loc, &stated->size))
		return false;
	if (token.kind != T_WORD || !value_number(token.text, token.length, &flows->size))
		return parser_expected(p, "a number of flows behind 'size'");
	if (flows->size < FLOWS_SIZE_LEAST || flows->size > FLOWS_SIZE_MOST) {
		diag_error(p->l->diag, token.loc, "a flow table cannot have this size");
		diag_hint(p->l->diag, "expected %u to %u", FLOWS_SIZE_LEAST, FLOWS_SIZE_MOST);
		return false;
	}
	parser_next(p);
	return parser_expect_end(p, "the size");
}

static bool parse_full(struct parser *p, struct flows *flows, struct stated *stated)
{
	parser_next(p);
	if (!parser_state_once(p, "'full'", p->last.loc, &stated->full))
		return false;
	if (!token_is(&p->tok, "accept") && !token_is(&p->tok, "drop"))
		return parser_expected(p, "'accept' or 'drop'");
	flows->full = token_is(&p->tok, "accept") ? POLICY_ACCEPT : POLICY_DROP;
	parser_next(p);
	return parser_expect_end(p, "'full'");
}

/* ---- times ---- */

/* The first state of a protocol; FLOW_TIME_COUNT: there is no such protocol. */
static size_t find_protocol(const struct token *token)
{
	size_t i = 0;

	while (i < FLOW_TIME_COUNT && !token_is(token, flow_time_info[i].protocol))
		i++;
	return i;
}

static bool same_protocol(size_t a, size_t b)
{
	return b < FLOW_TIME_COUNT && !strcmp(flow_time_info[a].protocol, flow_time_info[b].protocol);
}

static bool unknown_state(struct parser *p, size_t protocol)
{
	struct suggestion s;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a state and a time, or '}'");
	diag_error(p->l->diag, p->tok.loc, "'%.*s' is not a state of %s flows that has a time",
		   (int)(p->tok.length < 64 ? p->tok.length : 64), p->tok.text, flow_time_info[protocol].protocol);
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = protocol; same_protocol(protocol, i); i++)
		suggest_offer(&s, flow_time_info[i].state);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	else if (protocol)
		diag_hint(p->l->diag, "expected unreplied or replied");
	else
		diag_hint(p->l->diag, "expected syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, "
				      "time_wait or close");
	return false;
}

static bool parse_time(struct parser *p, uint64_t *ret)
{
	uint64_t ms;

	if (p->tok.kind != T_WORD || !value_duration(p->tok.text, p->tok.length, &ms))
		return parser_expected(p, "a time, as in 10m or 1d12h");
	if (ms < TIME_LEAST_MS || ms > TIME_MOST_MS) {
		diag_error(p->l->diag, p->tok.loc, "flows do not stay for '%.*s'", (int)p->tok.length, p->tok.text);
		diag_hint(p->l->diag, "expected 1s to 30d");
		return false;
	}
	parser_next(p);
	*ret = ms;
	return true;
}

static bool parse_state(struct parser *p, size_t protocol, struct flows *flows, struct stated *stated)
{
	size_t i = protocol;

	while (same_protocol(protocol, i) && !token_is(&p->tok, flow_time_info[i].state))
		i++;
	if (!same_protocol(protocol, i))
		return unknown_state(p, protocol);
	if (!parser_state_once(p, "this timeout", p->tok.loc, &stated->time[i]))
		return false;
	parser_next(p);
	return parse_time(p, &flows->time_ms[i]);
}

/* `timeout tcp { established 5d, syn_sent 2m }` */
static bool parse_timeout(struct parser *p, struct flows *flows, struct stated *stated)
{
	struct location open;
	size_t protocol;

	parser_next(p);
	protocol = find_protocol(&p->tok);
	if (protocol == FLOW_TIME_COUNT)
		return parser_expected(p, "tcp, udp, sctp, icmp or other behind 'timeout'");
	parser_next(p);
	open = p->tok.loc;
	if (!parser_expect(p, T_OPEN, "'{' behind the protocol"))
		return false;
	for (;;) {
		parser_skip_newlines(p);
		if (parser_accept(p, T_CLOSE))
			return parser_expect_end(p, "the timeouts");
		if (!parse_state(p, protocol, flows, stated))
			return parser_skip_list(p, open);
		parser_skip_newlines(p);
		if (!parser_accept(p, T_COMMA) && p->tok.kind != T_CLOSE) {
			parser_expected(p, "',' or '}'");
			return parser_skip_list(p, open);
		}
	}
}

/* ---- the block ---- */

static bool parse_statement(struct parser *p, struct flows *flows, struct stated *stated)
{
	if (token_is(&p->tok, "size"))
		return parse_size(p, flows, stated);
	if (token_is(&p->tok, "full"))
		return parse_full(p, flows, stated);
	if (token_is(&p->tok, "timeout"))
		return parse_timeout(p, flows, stated);
	return parser_expected(p, "'size', 'full' or 'timeout'");
}

bool parse_flows(struct parser *p)
{
	struct lang *l = p->l;
	struct location open = p->tok.loc;
	struct stated stated = { 0 };
	struct flows flows;

	parser_next(p);
	if (!parser_expect(p, T_OPEN, "'{' behind 'flows'"))
		return false;
	flows_default(&flows);
	flows.loc = open;
	while (parser_in_block(p)) {
		if (p->tok.kind == T_END)
			return parser_unclosed(p, open, "'flows'");
		if (!parse_statement(p, &flows, &stated))
			parser_skip_statement(p);
	}
	/* A second one is read all the same, for the errors inside. */
	if (parser_state_once(p, "'flows'", open, &l->policy->flows.loc))
		l->policy->flows = flows;
	return true;
}
