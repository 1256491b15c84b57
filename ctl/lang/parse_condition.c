// SPDX-License-Identifier: GPL-2.0
/* One condition: fields, an operator, and what they are compared with, typed at once. */
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "parse.h"
#include "suggest.h"
#include "words.h"

/* ---- fields ---- */

static void unknown_field(struct parser *p, const struct field_word *words, struct token *tokens, size_t n)
{
	struct diag *diag = p->l->diag;
	struct suggestion s;
	char seconds[200];
	size_t at = field_is_first_word(words[0].text, words[0].length) ? 1 : 0;

	if (!at && parser_unsupported(p))
		return;
	if (at == 1 && n < 2) {
		field_list_seconds(words[0].text, words[0].length, seconds, sizeof(seconds));
		parser_next(p);
		diag_error(diag, p->tok.loc, "expected a field of '%.*s'", (int)words[0].length, words[0].text);
		diag_hint(diag, "expected %s", seconds);
		return;
	}
	diag_error(diag, tokens[at].loc, "'%.*s%s%.*s' is not a match field",
		   (int)(words[0].length < 64 ? words[0].length : 64), words[0].text, at ? " " : "",
		   at ? (int)(words[1].length < 64 ? words[1].length : 64) : 0, at ? words[1].text : "");
	suggest_start(&s, words[at].text, words[at].length);
	field_suggest(&s, words, at + 1);
	if (!at) {
		static const char *const others[] = { "counter",  "log",     "limit",    "ban",       "accept",
						      "drop",     "reject",  "redirect", "continue",  "comment",
						      "hook",     "device",  "default",  "malformed", "fragments",
						      "counters", "synproxy" };

		for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
			suggest_offer(&s, others[i]);
	}
	field_list_seconds(words[0].text, words[0].length, seconds, sizeof(seconds));
	if (at && word_is(words[0].text, words[0].length, "ct"))
		diag_hint(diag, "of nft's ct fields there is 'ct state' only");
	else if (suggest_best(&s))
		diag_hint(diag, "did you mean '%s'?", suggest_best(&s));
	else if (at)
		diag_hint(diag, "expected %s", seconds);
	else
		diag_hint(diag, "expected a match such as 'ip saddr', 'counter', 'log', 'limit', 'ban' or a verdict");
}

bool parse_field(struct parser *p, enum field *ret)
{
	struct token tokens[FIELD_WORDS];
	struct field_word words[FIELD_WORDS];
	struct lexer ahead = p->lex;
	size_t n = 1, used;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a match field");
	tokens[0] = p->tok;
	words[0] = (struct field_word){ p->tok.text, p->tok.length };
	for (; n < FIELD_WORDS; n++) {
		lex_next(&ahead, &tokens[n]);
		if (tokens[n].kind != T_WORD)
			break;
		words[n] = (struct field_word){ tokens[n].text, tokens[n].length };
		if (n == 1 && !token_is(&tokens[1], "inner")) {
			n = 2;
			break;
		}
	}
	used = field_find(words, n, ret);
	if (!used) {
		unknown_field(p, words, tokens, n);
		return false;
	}
	while (used--)
		parser_next(p);
	return true;
}

/* ---- values ---- */

/* Raw values to the condition's elements. Values that are wrong are reported and left out. */
static void convert(struct parser *p, struct condition *c, const struct raw_list *raw, size_t from)
{
	struct element_index index = { 0 };
	struct want wants[CONCAT_MAX];
	size_t n = 0, n_ok = 0;

	for (size_t i = 0; i < c->n_fields; i++)
		wants[i] = want_field(c->field[i]);
	for (size_t i = from; i < raw->n; i++)
		n += raw->parts[i].join == JOIN_END;
	c->elements = arena_alloc(p->l->arena, n * sizeof(*c->elements));
	for (size_t i = from; i < raw->n;) {
		const struct raw_part *part = &raw->parts[i];
		struct element *element = &c->elements[n_ok];
		size_t first;

		if (!element->part)
			element->part = arena_alloc(p->l->arena, c->n_fields * sizeof(*element->part));
		element->loc = raw_place(part);
		i += raw_element_length(part);
		if (raw->parts[i - 1].optional) {
			diag_error(p->l->diag, element->loc, "'optional' stands behind the devices of a filter only");
			continue;
		}
		if (!element_read(p->l, wants, c->n_fields, true, part, element->part))
			continue;
		first = element_index_add(p->l->arena, &index, c->elements, n_ok, c->n_fields);
		if (first == n_ok) {
			n_ok++;
			continue;
		}
		diag_error(p->l->diag, element->loc, "this value stands twice in the list");
		diag_other(p->l->diag, c->elements[first].loc);
	}
	c->n_elements = n_ok;
}

/* What stands behind a condition whose value was forgotten; devices have their quotes. */
static bool is_statement_word(const struct token *token)
{
	return token_is(token, "accept") || token_is(token, "drop") || token_is(token, "counter") ||
	       token_is(token, "log") || token_is(token, "redirect") || token_is(token, "continue") ||
	       token_is(token, "reject") || token_is(token, "synproxy") || token_is(token, "limit") ||
	       token_is(token, "ban");
}

static bool has_type(const struct condition *c, enum value_type type)
{
	for (size_t i = 0; i < c->n_fields; i++)
		if (field_info[c->field[i]].type == type)
			return true;
	return false;
}

/* Values to scratch. A list of states may stand without braces, as in nft: `ct state established,related`. */
static bool parse_operand(struct parser *p, const struct condition *c)
{
	bool bare = c->n_fields == 1 && has_type(c, TYPE_CTSTATE) && p->tok.kind != T_OPEN;

	do {
		if (!parse_raw_values(p, &p->scratch))
			return false;
	} while (bare && parser_accept(p, T_COMMA));
	return true;
}

static bool parse_values(struct parser *p, struct condition *c)
{
	size_t start = p->scratch.n;
	struct location loc = p->tok.loc;
	bool list = p->tok.kind == T_OPEN;
	enum token_kind before = p->tok.kind;
	uint32_t unused;

	if (p->tok.kind == T_SET && has_type(c, TYPE_CTSTATE)) {
		diag_error(p->l->diag, loc, "a ct state cannot be looked up in a set");
		return false;
	}
	if (p->tok.kind == T_SET) {
		struct set_use *use = arena_alloc(p->l->arena, sizeof(*use));

		use->entry = lang_set(p->l, p->tok.text, p->tok.length);
		use->loc = p->tok.loc;
		c->set = (const void *)use;
		parser_next(p);
		return true;
	}
	if (before == T_WORD && p->tok.length >= 3 && is_statement_word(&p->tok) &&
	    !(c->n_fields == 1 && words_find(field_info[c->field[0]].type, p->tok.text, p->tok.length, &unused)))
		return parser_expected(p, "a value");
	if (before != T_WORD && before != T_STRING && before != T_DEFINE && before != T_OPEN)
		return parser_expected(p, c->n_fields == 1 ? "a value, a list in braces or a @set"
							   : "a list in braces or a @set");
	if (!parse_operand(p, c)) {
		p->scratch.n = start;
		return false;
	}
	if (p->scratch.n == start) {
		diag_error(p->l->diag, loc, "an empty list matches nothing");
		return false;
	}
	convert(p, c, &p->scratch, start);
	p->scratch.n = start;
	if (!list && p->tok.kind == T_COMMA) {
		parser_expected(p, "the rest of the rule");
		diag_hint(p->l->diag, "a list stands in braces: { a, b }");
		return false;
	}
	return true;
}

/* A single value, where lists and sets cannot stand. `(a | b)` too. */
static bool parse_single(struct parser *p, const struct condition *c, struct range *ret)
{
	struct want want = want_field(c->field[0]);
	bool paren = parser_accept(p, T_PAREN_OPEN);
	size_t start = p->scratch.n, n, n_parts;
	struct location loc = p->tok.loc;
	bool ok;

	if (!parse_raw_element(p, &p->scratch))
		return false;
	n_parts = p->scratch.n - start;
	p->scratch.n = start;
	if (paren && !parser_expect(p, T_PAREN_CLOSE, "'|' or ')'"))
		return false;
	n = n_parts ? value_read(p->l, &want, &p->scratch.parts[start], ret) : 0;
	if (!n)
		return n_parts ? false : (diag_error(p->l->diag, loc, "one value is wanted here"), false);
	ok = n == n_parts && !value_compare(&ret->lo, &ret->hi);
	if (!ok)
		diag_error(p->l->diag, loc, "one single value is wanted here");
	return ok;
}

static void take_single(struct parser *p, struct condition *c, const struct range *value, struct location loc)
{
	c->elements = arena_alloc(p->l->arena, sizeof(*c->elements));
	c->elements->loc = loc;
	c->elements->part = arena_copy(p->l->arena, value, sizeof(*value));
	c->n_elements = 1;
}

/* What a masked field is compared with must be what the mask can leave. */
static void check_masked(struct parser *p, const struct condition *c, uint8_t family)
{
	const struct field_info *info = &field_info[c->field[0]];

	for (size_t i = 0; i < c->n_elements; i++) {
		const struct range *r = c->elements[i].part;
		uint32_t outside = 0;

		if (value_compare(&r->lo, &r->hi)) {
			diag_error(p->l->diag, c->elements[i].loc, "a masked field is compared with single values");
			continue;
		}
		if (info->type == TYPE_ADDR && r->family != family) {
			diag_error(p->l->diag, c->elements[i].loc, "the mask is of IPv%u, the value of IPv%u", family,
				   r->family);
			continue;
		}
		for (int w = 0; w < 4; w++)
			outside |= r->lo.w[w] & ~c->mask.w[w];
		if (outside)
			diag_warning(p->l->diag, c->elements[i].loc, "this %s: the value has bits that the mask clears",
				     c->negated ? "always matches" : "can never match");
	}
}

/* ---- tcp flags: nft's own little language ---- */

/*
 * `syn`, `syn | ack`, `(syn | ack)`, `syn,ack`; a `/` inside a word ends it, and its rest is *ret_slash. In a mask
 * `|` needs parentheses: `flags & syn | ack` is something else in nft.
 */
static bool parse_flags(struct parser *p, bool bare_or, uint32_t *ret, struct token *ret_slash)
{
	struct want want = want_field(FIELD_TCP_FLAGS);
	bool paren = parser_accept(p, T_PAREN_OPEN);
	uint32_t flags = 0;

	ret_slash->length = 0;
	for (;;) {
		struct raw_part part = { .loc = p->tok.loc };
		struct range value;
		size_t start = p->scratch.n;

		if (p->tok.kind == T_DEFINE) {
			if (!parse_raw_element(p, &p->scratch))
				return false;
			for (size_t i = start; i < p->scratch.n; i++) {
				p->scratch.parts[i].join = JOIN_END;
				if (!value_read(p->l, &want, &p->scratch.parts[i], &value))
					return false;
				flags |= value.lo.w[0];
			}
			p->scratch.n = start;
		} else if (p->tok.kind == T_WORD) {
			const char *slash = memchr(p->tok.text, '/', p->tok.length);

			part.text = p->tok.text;
			part.length = (uint32_t)(slash ? (size_t)(slash - p->tok.text) : p->tok.length);
			if (!value_read(p->l, &want, &part, &value))
				return false;
			flags |= value.lo.w[0];
			if (slash) {
				*ret_slash = p->tok;
				ret_slash->text = slash + 1;
				ret_slash->length = p->tok.length - part.length - 1;
			}
			parser_next(p);
		} else {
			return parser_expected(p, "a tcp flag: fin, syn, rst, psh, ack, urg, ecn or cwr");
		}
		if (ret_slash->length || (p->tok.kind != T_COMMA && (p->tok.kind != T_OR || !(paren || bare_or))))
			break;
		parser_next(p);
	}
	if (paren && !parser_expect(p, T_PAREN_CLOSE, "'|' or ')'"))
		return false;
	*ret = flags;
	return true;
}

static bool parse_tcp_flags(struct parser *p, struct condition *c, enum token_kind op)
{
	struct location loc = p->tok.loc;
	struct range value = { .prefix_len = 8 };
	struct token rest, none;
	uint32_t flags, mask;

	if (p->tok.kind == T_OPEN || p->tok.kind == T_SET) {
		if (op == T_NOT)
			return parser_expected(p, "flags behind '!'");
		return parse_values(p, c);
	}
	if (!parse_flags(p, true, &flags, &rest))
		return false;
	loc = parser_span(p, loc);
	if (rest.length || p->tok.kind == T_SLASH) { /* syn / syn,ack */
		if (rest.length) {
			/* The mask's first flag was lexed together with the value: `syn/syn,ack`. */
			struct want want = want_field(FIELD_TCP_FLAGS);
			struct raw_part part = { .text = rest.text, .length = (uint32_t)rest.length, .loc = rest.loc };
			struct range first;

			if (!value_read(p->l, &want, &part, &first))
				return false;
			mask = 0;
			if ((parser_accept(p, T_COMMA) || parser_accept(p, T_OR)) &&
			    !parse_flags(p, true, &mask, &none))
				return false;
			mask |= first.lo.w[0];
		} else {
			parser_next(p);
			if (!parse_flags(p, true, &mask, &none))
				return false;
		}
		if (op == T_NOT)
			return (diag_error(p->l->diag, loc, "write '!=' in front of 'flags / mask'"), false);
		c->has_mask = true;
		c->mask.w[0] = mask;
		c->negated = op == T_NE;
		value.lo.w[0] = value.hi.w[0] = flags;
	} else if (op == T_EQ || op == T_NE) {
		c->negated = op == T_NE;
		value.lo.w[0] = value.hi.w[0] = flags;
	} else { /* any of them; with '!' none of them */
		c->has_mask = true;
		c->mask.w[0] = flags;
		c->negated = op != T_NOT;
	}
	take_single(p, c, &value, loc);
	if (c->has_mask)
		check_masked(p, c, 0);
	return true;
}

/* ---- operators ---- */

/* FIELD & MASK == VALUES */
static bool parse_masked(struct parser *p, struct condition *c)
{
	struct location loc = p->tok.loc;
	struct token rest;
	uint32_t flags;
	struct range mask = { 0 };

	if (c->n_fields != 1 || field_info[c->field[0]].type == TYPE_IFACE ||
	    field_info[c->field[0]].type == TYPE_BOOL || field_info[c->field[0]].type == TYPE_NFPROTO ||
	    field_info[c->field[0]].type == TYPE_CTSTATE) {
		diag_error(p->l->diag, loc, "'&' needs one numeric field or address in front of it");
		return false;
	}
	parser_next(p);
	c->has_mask = true;
	if (c->field[0] == FIELD_TCP_FLAGS) {
		if (!parse_flags(p, false, &flags, &rest))
			return false;
		if (rest.length)
			return (diag_error(p->l->diag, rest.loc, "'/' and '&' do not go together"), false);
		c->mask.w[0] = flags;
	} else {
		if (!parse_single(p, c, &mask))
			return false;
		c->mask = mask.lo;
	}
	if (p->tok.kind == T_OR) {
		parser_expected(p, "'==' or '!='");
		diag_hint(p->l->diag, "a mask of several flags stands in parentheses: (syn | ack)");
		return false;
	}
	if (p->tok.kind != T_EQ && p->tok.kind != T_NE && !token_is(&p->tok, "eq") && !token_is(&p->tok, "ne"))
		return parser_expected(p, "'==' or '!=' behind the mask");
	c->negated = p->tok.kind == T_NE || token_is(&p->tok, "ne");
	parser_next(p);
	if (p->tok.kind == T_SET) {
		diag_error(p->l->diag, p->tok.loc, "a masked field cannot be looked up in a set");
		return false;
	}
	if (p->tok.kind == T_OPEN) {
		if (!parse_values(p, c))
			return false;
	} else if (c->field[0] == FIELD_TCP_FLAGS) {
		struct range value = { .prefix_len = 8 };

		loc = p->tok.loc;
		if (!parse_flags(p, true, &flags, &rest))
			return false;
		if (rest.length)
			return (diag_error(p->l->diag, rest.loc, "'/' and '&' do not go together"), false);
		value.lo.w[0] = value.hi.w[0] = flags;
		take_single(p, c, &value, parser_span(p, loc));
	} else {
		struct range value;

		loc = p->tok.loc;
		if (!parse_single(p, c, &value))
			return false;
		take_single(p, c, &value, parser_span(p, loc));
	}
	check_masked(p, c, mask.family);
	return true;
}

/* FIELD < VALUE and so on, as a range. */
static bool parse_relation(struct parser *p, struct condition *c, enum token_kind op)
{
	const struct field_info *info = &field_info[c->field[0]];
	struct location loc = p->tok.loc;
	struct range r;
	uint32_t most;

	if (c->n_fields != 1 || info->bits > 32 || info->type == TYPE_TCPFLAGS || info->type == TYPE_IFACE ||
	    info->type == TYPE_BOOL || info->type == TYPE_NFPROTO || info->type == TYPE_CTSTATE ||
	    info->type == TYPE_ADDR) {
		diag_error(p->l->diag, p->last.loc, "'<' and '>' compare numbers only");
		return false;
	}
	if (!parse_single(p, c, &r))
		return false;
	most = value_bits_mask(info->bits);
	if ((op == T_LT && r.lo.w[0] == 0) || (op == T_GT && r.lo.w[0] == most)) {
		diag_error(p->l->diag, loc, "nothing is %s %u here", op == T_LT ? "below" : "above", r.lo.w[0]);
		return false;
	}
	if (op == T_GT || op == T_GE) {
		r.lo.w[0] += op == T_GT;
		r.hi.w[0] = most;
	} else {
		r.hi.w[0] -= op == T_LT;
		r.lo.w[0] = 0;
	}
	r.prefix_len = r.lo.w[0] == r.hi.w[0] ? (uint8_t)info->bits : 255;
	take_single(p, c, &r, loc);
	return true;
}

static enum token_kind parse_operator(struct parser *p)
{
	static const struct {
		const char *word;
		enum token_kind kind;
	} words[] = { { "eq", T_EQ }, { "ne", T_NE }, { "lt", T_LT }, { "gt", T_GT }, { "le", T_LE }, { "ge", T_GE } };
	enum token_kind kind = p->tok.kind;

	if (kind == T_EQ || kind == T_NE || kind == T_LT || kind == T_GT || kind == T_LE || kind == T_GE ||
	    kind == T_NOT) {
		parser_next(p);
		return kind;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (parser_accept_word(p, words[i].word))
			return words[i].kind;
	return T_END;
}

bool parse_condition(struct parser *p, struct condition *ret)
{
	struct condition c = { .loc = p->tok.loc };
	enum token_kind op;
	bool ok;

	do {
		if (c.n_fields == CONCAT_MAX) {
			diag_error(p->l->diag, p->tok.loc, "a concatenation has at most %d parts", CONCAT_MAX);
			return false;
		}
		if (!parse_field(p, &c.field[c.n_fields]))
			return false;
		c.n_fields++;
	} while (parser_accept(p, T_DOT));
	op = parse_operator(p);
	c.negated = op == T_NE;
	if (op == T_NOT && (c.n_fields > 1 || c.field[0] != FIELD_TCP_FLAGS)) {
		diag_error(p->l->diag, p->last.loc, "'!' is for tcp flags");
		diag_hint(p->l->diag, "did you mean '!='?");
		return false;
	}
	if (op == T_END && p->tok.kind == T_ASSIGN) {
		parser_expected(p, "a value");
		diag_hint(p->l->diag, "did you mean '=='?");
		return false;
	}
	if (op == T_END && p->tok.kind == T_AND)
		ok = parse_masked(p, &c);
	else if (op == T_LT || op == T_GT || op == T_LE || op == T_GE)
		ok = parse_relation(p, &c, op);
	else if (c.n_fields == 1 && c.field[0] == FIELD_TCP_FLAGS)
		ok = parse_tcp_flags(p, &c, op);
	else
		ok = parse_values(p, &c);
	if (!ok)
		return false;
	c.loc = parser_span(p, c.loc);
	*ret = c;
	return true;
}
