// SPDX-License-Identifier: GPL-2.0
/* `limit rate ...`: nft's words, and what it counts by. */
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "suggest.h"

#define TICKS_PER_SECOND (UINT64_C(256) * 1000000000)
#define DEBT_MOST        (UINT64_C(1) << 62) /* ticks that a full bucket is worth */
#define BYTE_COST_MOST   (UINT64_C(1) << 42) /* so that 2^20 of them are no more than that */

static const struct {
	const char *word;
	uint32_t seconds;
} units[] = { { "second", 1 }, { "minute", 60 }, { "hour", 3600 }, { "day", 86400 }, { "week", 604800 } };

#define N_UNITS (sizeof(units) / sizeof(*units))

static bool parse_amount(struct parser *p, uint32_t *ret, const char *what)
{
	if (p->tok.kind != T_WORD || !value_number(p->tok.text, p->tok.length, ret))
		return parser_expected(p, what);
	parser_next(p);
	return true;
}

/* How much `bytes`, `kbytes` or `mbytes` is, if that is the next word; else 0. */
static uint64_t accept_bytes(struct parser *p)
{
	if (parser_accept_word(p, "bytes"))
		return 1;
	if (parser_accept_word(p, "kbytes"))
		return 1024;
	return parser_accept_word(p, "mbytes") ? 1024 * 1024 : 0;
}

static bool parse_unit(struct parser *p, uint32_t *ret)
{
	struct suggestion s;

	for (size_t i = 0; i < N_UNITS; i++) {
		if (parser_accept_word(p, units[i].word)) {
			*ret = units[i].seconds;
			return true;
		}
	}
	parser_expected(p, "second, minute, hour, day or week");
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = 0; i < N_UNITS; i++)
		suggest_offer(&s, units[i].word);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	return false;
}

static bool parse_rate(struct parser *p, struct limit_rate *limit)
{
	struct location loc = p->tok.loc;
	uint32_t number;
	uint64_t bytes;

	if (!parse_amount(p, &number, "a rate, as in 10/second or 10 mbytes/second"))
		return false;
	if (!number) {
		diag_error(p->l->diag, loc, "a rate of nothing");
		diag_hint(p->l->diag, "a rule without a limit does it: drop");
		return false;
	}
	bytes = accept_bytes(p);
	if (!bytes)
		parser_accept_word(p, "packets");
	limit->bytes = bytes > 0;
	limit->rate = number * (bytes ? bytes : 1);
	return parser_expect(p, T_SLASH, bytes ? "'/' and a unit of time" : "'/', bytes, kbytes or mbytes") &&
	       parse_unit(p, &limit->unit);
}

static bool parse_burst(struct parser *p, struct limit_rate *limit)
{
	struct location loc = p->tok.loc;
	uint32_t number;
	uint64_t bytes;
	bool packets;

	if (!parse_amount(p, &number, "a number behind 'burst'"))
		return false;
	bytes = accept_bytes(p);
	packets = !bytes && parser_accept_word(p, "packets");
	loc = parser_span(p, loc);
	if (limit->bytes ? packets : bytes > 0) {
		diag_error(p->l->diag, loc, "the rate is of %s, the burst of %s", limit->bytes ? "bytes" : "packets",
			   packets ? "packets" : "bytes");
		return false;
	}
	if (!limit->bytes && !number) {
		diag_error(p->l->diag, loc, "with a burst of 0 no packet is ever within the rate");
		diag_hint(p->l->diag, "the smallest burst is 1");
		return false;
	}
	limit->burst = limit->bytes ? limit->rate + number * (bytes ? bytes : 1) : number;
	return true;
}

/* ---- keys ---- */

/* How much room the field takes in a key; 0: nobody counts by it. */
static unsigned int key_words(enum field field)
{
	switch (field_info[field].type) {
	case TYPE_ADDR:
		return 4;
	case TYPE_MAC:
		return 2;
	case TYPE_PORT:
	case TYPE_IFACE:
	case TYPE_MARK:
	case TYPE_USER:
	case TYPE_ETYPE:
		return 1;
	default:
		return field == FIELD_META_L4PROTO || field == FIELD_VLAN_ID || field == FIELD_VLAN_INNER_ID;
	}
}

bool parse_prefix_length(struct parser *p, uint8_t most, uint8_t *ret)
{
	char what[64];
	uint32_t number;

	snprintf(what, sizeof(what), "a prefix length of IPv%d from 1 to %u", most == 32 ? 4 : 6, most);
	if (p->tok.kind != T_WORD || !value_number(p->tok.text, p->tok.length, &number) || !number || number > most)
		return parser_expected(p, what);
	parser_next(p);
	*ret = (uint8_t)number;
	return true;
}

/* `saddr/24/56`: of IPv4 and of IPv6; of one family one length. */
static bool parse_prefixes(struct parser *p, struct limit_rate *limit, size_t at)
{
	unsigned int family = want_field(limit->field[at]).family;

	if (field_info[limit->field[at]].type != TYPE_ADDR) {
		if (p->tok.kind != T_SLASH)
			return true;
		diag_error(p->l->diag, p->tok.loc, "only addresses have prefix lengths");
		return false;
	}
	if (family != 6)
		limit->prefix4[at] = LIMIT_PREFIX4;
	if (family != 4)
		limit->prefix6[at] = LIMIT_PREFIX6;
	if (family != 6 && parser_accept(p, T_SLASH) && !parse_prefix_length(p, 32, &limit->prefix4[at]))
		return false;
	return family == 4 || !parser_accept(p, T_SLASH) || parse_prefix_length(p, 128, &limit->prefix6[at]);
}

static bool add_key_field(struct parser *p, struct limit_rate *limit, enum field field, struct location loc)
{
	unsigned int words = key_words(field);

	if (!words) {
		diag_error(p->l->diag, loc, "a limit cannot count by '%s'", field_info[field].words);
		diag_hint(p->l->diag, "expected addresses, ports, proto, a device, mark, user, vlan id or ether type");
		return false;
	}
	for (size_t i = 0; i < limit->n_fields; i++) {
		words += key_words(limit->field[i]);
		if (limit->field[i] != field)
			continue;
		diag_error(p->l->diag, loc, "'%s' stands twice behind 'per'", field_info[field].words);
		return false;
	}
	if (words > LIMIT_KEY_WORDS) {
		diag_error(p->l->diag, loc, "this is more than a limit can count by");
		diag_hint(p->l->diag, "three addresses fill it; a MAC address is half of one, anything else a quarter");
		return false;
	}
	limit->field[limit->n_fields++] = field;
	return true;
}

static bool parse_key(struct parser *p, struct limit_rate *limit)
{
	do {
		struct location loc = p->tok.loc;
		enum field field;

		if (limit->n_fields == CONCAT_MAX) {
			diag_error(p->l->diag, loc, "a concatenation has at most %d parts", CONCAT_MAX);
			return false;
		}
		if (!parse_field(p, &field) || !add_key_field(p, limit, field, parser_span(p, loc)) ||
		    !parse_prefixes(p, limit, limit->n_fields - 1u))
			return false;
	} while (parser_accept(p, T_DOT));
	return true;
}

/* ---- the whole of it ---- */

static bool parse_full(struct parser *p, struct limit_rate *limit)
{
	limit->full_under = token_is(&p->tok, "under");
	if (!limit->full_under && !token_is(&p->tok, "over"))
		return parser_expected(p, "'over' or 'under' behind 'full'");
	parser_next(p);
	return true;
}

/* Time is counted in 64 bits: what does not fit is said here. */
static bool check_amounts(struct parser *p, const struct limit_rate *limit)
{
	const char *what = limit->bytes ? "bytes" : "packets";
	uint64_t ticks = limit->unit * TICKS_PER_SECOND, cost = ticks / limit->rate;
	uint64_t stated = limit->bytes ? limit->rate : 0;

	if (!cost) {
		diag_error(p->l->diag, limit->loc, "this rate is too high");
		diag_hint(p->l->diag, "the highest is %llu bytes/second", (unsigned long long)TICKS_PER_SECOND);
		return false;
	}
	if (limit->bytes && cost > BYTE_COST_MOST) {
		diag_error(p->l->diag, limit->loc, "this rate is too low");
		diag_hint(p->l->diag, "the lowest is %llu bytes in this time",
			  (unsigned long long)(ticks / BYTE_COST_MOST + 1));
		return false;
	}
	if (limit->burst <= (DEBT_MOST - 1) / cost)
		return true;
	diag_error(p->l->diag, limit->loc, "this burst is too large");
	diag_hint(p->l->diag, "the largest at this rate is %llu %s",
		  (unsigned long long)((DEBT_MOST - 1) / cost - stated), what);
	return false;
}

static bool parse(struct parser *p, struct limit_rate *limit)
{
	limit->loc = p->tok.loc;
	parser_next(p);
	if (!parser_accept_word(p, "rate"))
		return parser_expected(p, "'rate' behind 'limit'");
	limit->over = parser_accept_word(p, "over");
	if (!parse_rate(p, limit))
		return false;
	limit->burst = limit->bytes ? limit->rate : LIMIT_BURST;
	if (parser_accept_word(p, "burst") && !parse_burst(p, limit))
		return false;
	if (parser_accept_word(p, "per") && !parse_key(p, limit))
		return false;
	if (parser_accept_word(p, "full") && !parse_full(p, limit))
		return false;
	if (token_is(&p->tok, "burst") || token_is(&p->tok, "per") || token_is(&p->tok, "full")) {
		diag_error(p->l->diag, p->tok.loc, "'%.*s' cannot stand here", (int)p->tok.length, p->tok.text);
		diag_hint(p->l->diag, "the order is: rate, burst, per, full");
		return false;
	}
	limit->loc = parser_span(p, limit->loc);
	return check_amounts(p, limit);
}

bool parse_limit(struct parser *p, struct limit_rate *ret)
{
	bool ok;

	p->lex.slash_ends = true;
	ok = parse(p, ret);
	p->lex.slash_ends = false;
	return ok;
}
