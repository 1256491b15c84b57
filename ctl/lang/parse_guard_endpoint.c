// SPDX-License-Identifier: GPL-2.0
/* `provider NAME`, `endpoint ADDR[/LEN][:PORT] [token NAME]`: what a guard stands before. */
#include <string.h>

#include "parse_guard.h"
#include "providers.h"
#include "suggest.h"

static void add_target(struct parser *p, struct guard_block *block, const struct guard_target *target)
{
	arena_push(p->l->arena, block->guard.targets, block->guard.n_targets, block->targets_capacity) = *target;
}

/* ---- provider ---- */

static bool unknown_provider(struct parser *p, const struct raw_part *part)
{
	struct suggestion s;

	diag_error(p->l->diag, raw_place(part), "'%.*s' is not a provider that weir knows",
		   (int)(part->length < 64 ? part->length : 64), part->text);
	suggest_start(&s, part->text, part->length);
	for (const struct provider *known = providers; known->name; known++)
		suggest_offer(&s, known->name);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	else
		diag_hint(p->l->diag, "weir-rules(5) lists them; 'endpoint ADDRESS:PORT' names any other place");
	return false;
}

static bool add_provider(struct parser *p, struct guard_block *block, const struct raw_part *part)
{
	const struct provider *provider = provider_find(part->text, part->length);

	if (!provider)
		return unknown_provider(p, part);
	for (size_t i = 0; i < block->guard.n_targets; i++) {
		if (block->guard.targets[i].provider == provider->name) {
			diag_error(p->l->diag, raw_place(part), "provider '%s' is named twice", provider->name);
			diag_other(p->l->diag, block->guard.targets[i].loc);
			return false;
		}
	}
	for (const struct provider_endpoint *endpoint = provider->endpoint; endpoint->addr; endpoint++) {
		struct guard_target target = { .loc = raw_place(part),
					       .provider = provider->name,
					       .port = endpoint->port,
					       .tokens = endpoint->tokens };

		if (!value_address(endpoint->addr, strlen(endpoint->addr), &target.addr.lo, &target.addr.family))
			return !diag_error(p->l->diag, raw_place(part), "the table of providers has no address '%s'",
					   endpoint->addr);
		target.addr.hi = target.addr.lo;
		target.addr.prefix_len = target.addr.family == 4 ? 32 : 128;
		add_target(p, block, &target);
	}
	return true;
}

bool parse_guard_provider(struct parser *p, struct guard_block *block)
{
	size_t start = p->scratch.n;
	bool ok;

	parser_next(p);
	ok = parse_guard_list(p, "a provider's name, as in 'aws'", start);
	for (size_t i = start; ok && i < p->scratch.n; i++)
		ok = add_provider(p, block, &p->scratch.parts[i]);
	p->scratch.n = start;
	return ok && parser_expect_end(p, "the providers");
}

/* ---- endpoint ---- */

/* `192.0.2.1:80`, `[2001:db8::1]:80`, `[2001:db8::]/64:80`: the address alone stays in *part. */
static bool split_port(struct parser *p, struct raw_part *part, const char **ret_port, size_t *ret_length)
{
	const char *text = part->text, *end = text + part->length, *colon, *close;
	char *copy;

	*ret_port = NULL;
	if (part->length && *text == '[') {
		close = memchr(text, ']', part->length);
		if (!close)
			return !diag_error(p->l->diag, raw_place(part), "'[' without ']' behind the address");
		colon = memchr(close, ':', (size_t)(end - close));
		if (close + 1 < end && close + 1 != colon && close[1] != '/')
			return !diag_error(p->l->diag, raw_place(part), "expected ':' and a port behind ']'");
		copy = arena_text(p->l->arena, text + 1, part->length);
		part->length = (uint32_t)(close - text - 1);
		if (close + 1 < end && close[1] == '/') {
			memcpy(copy + part->length, close + 1, (size_t)((colon ? colon : end) - close - 1));
			part->length += (uint32_t)((colon ? colon : end) - close - 1);
		}
		part->text = copy;
	} else {
		colon = memchr(text, ':', part->length);
		if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
			colon = NULL; /* IPv6 without a port */
		else if (colon)
			part->length = (uint32_t)(colon - text);
	}
	if (colon) {
		*ret_port = colon + 1;
		*ret_length = (size_t)(end - colon - 1);
	}
	return true;
}

static bool read_port(struct parser *p, const struct raw_part *part, const char *text, size_t length, uint16_t *ret)
{
	uint32_t port;

	if ((!value_number(text, length, &port) && !words_find(TYPE_PORT, text, length, &port)) || !port ||
	    port > UINT16_MAX) {
		diag_error(p->l->diag, raw_place(part), "'%.*s' is not a port", (int)(length < 64 ? length : 64), text);
		diag_hint(p->l->diag, "expected 1 to 65535; without ':' and a port the guard is for all of the "
				      "address");
		return false;
	}
	*ret = (uint16_t)port;
	return true;
}

static bool overlaps(const struct range *range, uint8_t family, const struct value *lo, const struct value *hi)
{
	return range->family == family && value_compare(&range->lo, hi) <= 0 && value_compare(lo, &range->hi) <= 0;
}

/* Addresses before which a guard cannot stand. */
static const struct {
	uint8_t family;
	struct value lo, hi;
	const char *what, *hint;
} refused[] = {
	{ 6,
	  { { 0, 0, 0xffff, 0 } },
	  { { 0, 0, 0xffff, UINT32_MAX } },
	  "IPv4 addresses in IPv6",
	  "write the IPv4 address: it counts in this form, too" },
	{ 4,
	  { { 0x7f000000 } },
	  { { 0x7fffffff } },
	  "loopback addresses",
	  "packets to them go through lo, where no guard looks at them" },
	{ 6,
	  { { 0, 0, 0, 1 } },
	  { { 0, 0, 0, 1 } },
	  "the loopback address",
	  "packets to it go through lo, where no guard looks at them" },
	{ 4,
	  { { 0 } },
	  { { 0x00ffffff } },
	  "the addresses of this host",
	  "a connection to 0.0.0.0 is one to 127.0.0.1, which no guard sees" },
	{ 6,
	  { { 0 } },
	  { { 0 } },
	  "the address of this host",
	  "a connection to :: is one to ::1, which no guard sees" },
};

static bool guardable(struct parser *p, const struct raw_part *part, const struct range *range)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		if (!overlaps(range, refused[i].family, &refused[i].lo, &refused[i].hi))
			continue;
		diag_error(p->l->diag, raw_place(part), "no guard can stand before %s", refused[i].what);
		diag_hint(p->l->diag, "%s", refused[i].hint);
		return false;
	}
	return true;
}

static bool read_endpoint(struct parser *p, struct raw_part part, struct guard_target *ret)
{
	const struct want want = { .type = TYPE_ADDR, .bits = 128 };
	size_t length = 0;
	const char *port;

	*ret = (struct guard_target){ .loc = raw_place(&part) };
	if (!split_port(p, &part, &port, &length) || !value_read(p->l, &want, &part, &ret->addr))
		return false;
	if (ret->addr.prefix_len == 255) {
		diag_error(p->l->diag, ret->loc, "an endpoint is one address or a prefix, not a range");
		return false;
	}
	return (!port || read_port(p, &part, port, length, &ret->port)) && guardable(p, &part, &ret->addr);
}

static bool parse_token_kind(struct parser *p, unsigned int *ret)
{
	struct raw_part part = { .text = p->tok.text, .length = (uint32_t)p->tok.length, .loc = p->tok.loc };
	uint32_t token;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a kind of token behind 'token', as in 'token aws'");
	if (!words_find_in(guard_tokens, part.text, part.length, &token))
		return parse_guard_unknown(p, &part, "a kind of token", guard_tokens);
	parser_next(p);
	*ret = token;
	return true;
}

/* One word, list or define, and the tokens of all in it. */
static bool parse_endpoints(struct parser *p, struct guard_block *block)
{
	size_t start = p->scratch.n, first = block->guard.n_targets;
	unsigned int tokens = 0;
	bool ok;

	if (p->tok.kind != T_WORD && p->tok.kind != T_DEFINE && p->tok.kind != T_OPEN)
		return parser_expected(p, "an address, as in 192.0.2.1:80 or [2001:db8::1]:80");
	ok = parse_raw_values(p, &p->scratch);
	for (size_t i = start; ok && i < p->scratch.n; i++) {
		struct raw_part part = p->scratch.parts[i];
		struct guard_target target;

		if (part.join != JOIN_END || part.optional || part.quoted)
			ok = !diag_error(p->l->diag, raw_place(&part), "this is not one address");
		else if ((ok = read_endpoint(p, part, &target)))
			add_target(p, block, &target);
	}
	p->scratch.n = start;
	if (!ok || (parser_accept_word(p, "token") && !parse_token_kind(p, &tokens)))
		return false;
	for (size_t i = first; i < block->guard.n_targets; i++)
		block->guard.targets[i].tokens = tokens;
	return true;
}

bool parse_guard_endpoint(struct parser *p, struct guard_block *block)
{
	parser_next(p);
	do {
		if (!parse_endpoints(p, block))
			return false;
	} while (parser_accept(p, T_COMMA));
	return parser_expect_end(p, "the endpoint");
}
