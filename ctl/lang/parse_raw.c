// SPDX-License-Identifier: GPL-2.0
/* Values as written, lists of them, and defines, which are lists with a name. */
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "suggest.h"
#include "words.h"

/* Defines of defines double quickly; nobody needs more than this in one list. */
#define LIST_MOST ((size_t)4 << 20)

static struct raw_part *raw_push(struct parser *p, struct raw_list *list)
{
	struct raw_part *part = &arena_push(p->l->arena, list->parts, list->n, list->capacity);

	*part = (struct raw_part){ 0 };
	return part;
}

static const struct define *find_define(struct parser *p)
{
	size_t number = symtab_find(&p->l->defines, p->tok.text, p->tok.length);
	struct suggestion s;

	if (p->plain) {
		diag_error(p->l->diag, p->tok.loc, "defines can be used in rule files only");
		return NULL;
	}
	if (number != SYMTAB_NONE)
		return &p->l->define_list[number];
	diag_error(p->l->diag, p->tok.loc, "'$%.*s' is not defined", (int)(p->tok.length < 64 ? p->tok.length : 64),
		   p->tok.text);
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = 0; i < p->l->n_defines && i < 10000; i++)
		suggest_offer(&s, p->l->define_list[i].name);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '$%s'?", suggest_best(&s));
	else
		diag_hint(p->l->diag, "a define stands above its use: define %.*s = ...",
			  (int)(p->tok.length < 64 ? p->tok.length : 64), p->tok.text);
	return NULL;
}

static bool insert_define(struct parser *p, struct raw_list *list, bool joined)
{
	const struct define *define = find_define(p);
	struct location use = p->tok.loc;
	size_t n_elements = 0;

	if (!define)
		return false;
	parser_next(p);
	for (size_t i = 0; i < define->list.n; i++)
		n_elements += define->list.parts[i].join == JOIN_END;
	if (list->n + define->list.n > LIST_MOST) {
		diag_error(p->l->diag, use, "this list is too long");
		return false;
	}
	joined |= p->tok.kind == T_DOT || p->tok.kind == T_OR || p->tok.kind == T_DASH;
	if (joined && n_elements != 1) {
		diag_error(p->l->diag, use, "'$%s' is %s, where one value is wanted", define->name,
			   n_elements ? "a list" : "empty");
		diag_other(p->l->diag, define->loc);
		return false;
	}
	for (size_t i = 0; i < define->list.n; i++) {
		struct raw_part *part = raw_push(p, list);

		*part = define->list.parts[i];
		part->use = use;
	}
	return true;
}

static bool parse_part(struct parser *p, struct raw_list *list, bool joined)
{
	struct raw_part *part;

	switch (p->tok.kind) {
	case T_DEFINE:
		return insert_define(p, list, joined);
	case T_WORD:
	case T_STRING:
		part = raw_push(p, list);
		part->text = p->tok.text;
		part->length = (uint32_t)(p->tok.length < UINT32_MAX ? p->tok.length : UINT32_MAX);
		part->loc = p->tok.loc;
		part->quoted = p->tok.kind == T_STRING;
		parser_next(p);
		return true;
	case T_SET:
		diag_error(p->l->diag, p->tok.loc, "a set cannot stand inside a list or value");
		diag_hint(p->l->diag, "a set is a match's whole right side: saddr @%.*s",
			  (int)(p->tok.length < 64 ? p->tok.length : 64), p->tok.text);
		return false;
	default:
		return parser_expected(p, "a value");
	}
}

static bool parse_time(struct parser *p, uint64_t *ret)
{
	if (p->tok.kind != T_WORD || !value_duration(p->tok.text, p->tok.length, ret) || !*ret)
		return parser_expected(p, "a time, as in 10m or 1d12h");
	parser_next(p);
	return true;
}

static bool parse_count(struct parser *p, uint64_t *ret)
{
	uint64_t number = 0;

	for (size_t i = 0; p->tok.kind == T_WORD && i < p->tok.length; i++) {
		if (p->tok.text[i] < '0' || p->tok.text[i] > '9' || number > UINT64_MAX / 10 - 1)
			return parser_expected(p, "a number");
		number = number * 10 + (uint64_t)(p->tok.text[i] - '0');
	}
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a number");
	*ret = number;
	parser_next(p);
	return true;
}

/* What may stand behind an element of a set: as lists print it, and as nft does. */
static bool parse_extra(struct parser *p, struct raw_part *part)
{
	struct element_extra *extra = NULL;

	for (;;) {
		bool timeout = token_is(&p->tok, "timeout"), expires = token_is(&p->tok, "expires");

		if (!timeout && !expires && !token_is(&p->tok, "counter"))
			return true;
		if (!extra)
			part->extra = extra = arena_alloc(p->l->arena, sizeof(*extra));
		parser_next(p);
		if (timeout || expires) {
			if (!parse_time(p, timeout ? &extra->timeout_ms : &extra->expires_ms))
				return false;
			continue;
		}
		extra->counter = true;
		if (parser_accept_word(p, "packets") && !parse_count(p, &extra->packets))
			return false;
		if (parser_accept_word(p, "bytes") && !parse_count(p, &extra->bytes))
			return false;
	}
}

bool parse_raw_element(struct parser *p, struct raw_list *list)
{
	size_t start = list->n;
	bool joined = false;

	for (;;) {
		enum join join;

		if (!parse_part(p, list, joined)) {
			list->n = start;
			return false;
		}
		switch (p->tok.kind) {
		case T_DOT:
			join = JOIN_DOT;
			break;
		case T_DASH:
			join = JOIN_RANGE;
			break;
		case T_OR:
			join = JOIN_OR;
			break;
		default:
			if (!p->plain && token_is(&p->tok, "optional") && list->n > start) {
				list->parts[list->n - 1].optional = true;
				parser_next(p);
			}
			if (p->extras && list->n > start && !parse_extra(p, &list->parts[list->n - 1])) {
				list->n = start;
				return false;
			}
			return true;
		}
		list->parts[list->n - 1].join = (uint8_t)join;
		joined = true;
		parser_next(p);
	}
}

/* A list that does not go on behind this line has lost its }, and the next one belongs to something else. */
bool parser_skip_list(struct parser *p, struct location open)
{
	size_t depth = 0;

	for (; p->tok.kind != T_END; parser_next(p)) {
		if (p->tok.kind == T_OPEN) {
			depth++;
		} else if (p->tok.kind == T_CLOSE) {
			if (!depth--) {
				parser_next(p);
				break;
			}
		} else if (p->tok.kind == T_NEWLINE && p->tok.loc.line == open.line && p->last.kind != T_COMMA &&
			   p->last.kind != T_OPEN) {
			break;
		}
	}
	return false;
}

bool parse_raw_list(struct parser *p, struct raw_list *list, struct location open)
{
	for (;;) {
		parser_skip_newlines(p);
		if (parser_accept(p, T_CLOSE))
			return true;
		if (p->tok.kind == T_END) {
			diag_error(p->l->diag, open, "this list does not end");
			diag_hint(p->l->diag, "expected '}'");
			return false;
		}
		if (!parse_raw_element(p, list))
			return parser_skip_list(p, open);
		parser_skip_newlines(p);
		if (p->tok.kind == T_COMMA) {
			parser_next(p);
		} else if (p->tok.kind != T_CLOSE && p->tok.kind != T_END) {
			parser_expected(p, "',' or '}'");
			return parser_skip_list(p, open);
		}
	}
}

bool parse_raw_values(struct parser *p, struct raw_list *list)
{
	struct location open = p->tok.loc;

	if (parser_accept(p, T_OPEN))
		return parse_raw_list(p, list, open);
	return parse_raw_element(p, list);
}

bool parse_define(struct parser *p)
{
	struct lang *l = p->l;
	struct define define = { 0 };
	struct token token;
	size_t known;

	parser_next(p);
	token = p->tok;
	if (!parser_expect(p, T_WORD, "a name behind 'define'") ||
	    !lang_name_ok(l, "define", token.text, token.length, token.loc) ||
	    !parser_expect(p, T_ASSIGN, "'=' behind the name"))
		return false;
	define.name = arena_text(l->arena, token.text, token.length);
	define.loc = token.loc;
	if (!parse_raw_values(p, &define.list))
		return false;
	if (!parser_at_end_of_statement(p)) {
		parser_expected(p, "the end of the line behind the define");
		if (p->tok.kind == T_COMMA)
			diag_hint(l->diag, "a list stands in braces: { a, b }");
		return false;
	}
	l->defines.arena = l->arena;
	known = symtab_add(&l->defines, define.name, token.length, l->n_defines);
	if (known != l->n_defines) {
		diag_error(l->diag, token.loc, "'%s' is defined twice", define.name);
		diag_other(l->diag, l->define_list[known].loc);
		return true;
	}
	arena_push(l->arena, l->define_list, l->n_defines, l->defines_capacity) = define;
	return true;
}
