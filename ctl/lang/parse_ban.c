// SPDX-License-Identifier: GPL-2.0
/* `ban TIME [saddr/24/64] @SET`. Whether the set is one for it is known when all of them are (check.c). */
#include "parse.h"

#define TIME_MOST (UINT64_C(366) * 24 * 3600 * 1000)

static bool parse_time(struct parser *p, uint64_t *ret)
{
	if (p->tok.kind != T_WORD || !value_duration(p->tok.text, p->tok.length, ret) || !*ret)
		return parser_expected(p, "a time behind 'ban', as in 10m or 1d12h");
	if (*ret > TIME_MOST) {
		diag_error(p->l->diag, p->tok.loc, "nobody is banned for more than 366 days");
		return false;
	}
	parser_next(p);
	return true;
}

static bool parse_source(struct parser *p, struct ban_statement *ban)
{
	ban->prefix4 = BAN_PREFIX4;
	ban->prefix6 = BAN_PREFIX6;
	if (!parser_accept_word(p, "saddr"))
		return true;
	if (parser_accept(p, T_SLASH) && !parse_prefix_length(p, 32, &ban->prefix4))
		return false;
	return !parser_accept(p, T_SLASH) || parse_prefix_length(p, 128, &ban->prefix6);
}

static bool parse_target(struct parser *p, struct ban_statement *ban)
{
	struct set_use *use;

	if (p->tok.kind != T_SET)
		return parser_expected(p, "a set, as in @banned");
	use = arena_alloc(p->l->arena, sizeof(*use));
	use->entry = lang_set(p->l, p->tok.text, p->tok.length);
	use->loc = p->tok.loc;
	ban->set = (const void *)use; /* check.c resolves it */
	parser_next(p);
	return true;
}

static bool parse(struct parser *p, struct ban_statement *ban)
{
	ban->loc = p->tok.loc;
	parser_next(p);
	if (!parse_time(p, &ban->timeout_ms) || !parse_source(p, ban) || !parse_target(p, ban))
		return false;
	ban->loc = parser_span(p, ban->loc);
	return true;
}

bool parse_ban(struct parser *p, struct ban_statement *ret)
{
	bool ok;

	p->lex.slash_ends = true;
	ok = parse(p, ret);
	p->lex.slash_ends = false;
	return ok;
}
