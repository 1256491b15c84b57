// SPDX-License-Identifier: GPL-2.0
/* `set NAME { ... }`: elements and statements about them, in any order. */
#include <string.h>

#include "parse.h"
#include "words.h"

static bool stated_twice(struct parser *p, const char *what, struct location here, struct location there)
{
	if (!there.file)
		return false;
	diag_error(p->l->diag, here, "%s is stated twice", what);
	diag_other(p->l->diag, there);
	return true;
}

static bool parse_type(struct parser *p, struct set_entry *entry)
{
	struct location loc = p->tok.loc;
	struct set *set = &entry->set;

	parser_next(p);
	if (stated_twice(p, "the type", loc, entry->type_loc))
		return false;
	entry->type_loc = loc;
	do {
		const char *weir_name;

		if (set->n_types == CONCAT_MAX) {
			diag_error(p->l->diag, p->tok.loc, "a concatenation has at most %d parts", CONCAT_MAX);
			return false;
		}
		if (token_is(&p->tok, "ctstate") || token_is(&p->tok, "ct_state")) {
			diag_error(p->l->diag, p->tok.loc, "a set cannot hold states of flows");
			diag_hint(p->l->diag, "a rule names them: ct state { established, related }");
			return false;
		}
		if (p->tok.kind != T_WORD || !words_type(p->tok.text, p->tok.length, &set->type[set->n_types])) {
			parser_expected(p,
					"a type: addr, mac, port, proto, etype, icmp, icmpv6, dscp, iface, user, mark, "
					"tcpflags, nfproto or int");
			weir_name = p->tok.kind == T_WORD ? words_nft_type(p->tok.text, p->tok.length) : NULL;
			if (weir_name)
				diag_hint(p->l->diag, "did you mean '%s'?", weir_name);
			return false;
		}
		set->n_types++;
		parser_next(p);
	} while (parser_accept(p, T_DOT));
	return parser_expect_end(p, "the type");
}

/* Shorter lists stay with the running rules. */
#define GAP_LEAST 4096

static void note_gap(struct parser *p, struct set_entry *entry, const char *from, const char *to)
{
	struct source_gap gap = { from, to };

	if (from && to > from && to - from >= GAP_LEAST)
		arena_push(p->l->arena, entry->gaps, entry->n_gaps, entry->gaps_capacity) = gap;
}

/* Behind the element whose first part this is; NULL where it comes from a define. */
static const char *element_end(const struct raw_part *part)
{
	part += raw_element_length(part) - 1;
	return part->use.file ? NULL : part->text + part->length + part->quoted;
}

static bool parse_elements(struct parser *p, struct set_entry *entry)
{
	size_t first = entry->list.n;
	struct location open;

	parser_next(p);
	parser_accept(p, T_ASSIGN);
	open = p->tok.loc;
	if (!parser_expect(p, T_OPEN, "'{' behind 'elements'") || !parse_raw_list(p, &entry->list, open))
		return false;
	entry->set.has_content = true;
	if (entry->list.n > first)
		note_gap(p, entry, element_end(&entry->list.parts[first]), p->last.text);
	return parser_expect_end(p, "the elements");
}

static bool parse_file(struct parser *p, struct set_entry *entry)
{
	struct set_file file = { 0 };
	uint32_t column;

	parser_next(p);
	file.loc = p->tok.loc;
	if (token_is(&p->tok, "-")) {
		file.path = "-";
		parser_next(p);
	} else if (p->tok.kind == T_DASH) {
		file.path = "-";
		parser_next(p);
	} else {
		if (!parse_text(p, "a file name in double quotes, or '-' for standard input", &file.path))
			return false;
		if (!*file.path) {
			diag_error(p->l->diag, file.loc, "an empty file name");
			return false;
		}
		if (strcmp(file.path, "-"))
			file.path = parser_path(p, file.path);
	}
	if (parser_accept_word(p, "column")) {
		if (p->tok.kind != T_WORD || !value_number(p->tok.text, p->tok.length, &column) || !column ||
		    column > 1000)
			return parser_expected(p, "a column number from 1");
		file.column = column;
		parser_next(p);
	}
	arena_push(p->l->arena, entry->files, entry->n_files, entry->files_capacity) = file;
	entry->set.has_content = true;
	return parser_expect_end(p, "'file'");
}

static bool parse_size(struct parser *p, struct set_entry *entry)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (stated_twice(p, "the size", loc, entry->size_loc))
		return false;
	entry->size_loc = loc;
	if (p->tok.kind != T_WORD || !value_number(p->tok.text, p->tok.length, &entry->set.size) || !entry->set.size)
		return parser_expected(p, "a number of elements behind 'size'");
	parser_next(p);
	return parser_expect_end(p, "the size");
}

static bool parse_timeout(struct parser *p, struct set_entry *entry)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (stated_twice(p, "the timeout", loc, entry->timeout_loc))
		return false;
	entry->timeout_loc = loc;
	if (p->tok.kind != T_WORD || !value_duration(p->tok.text, p->tok.length, &entry->set.timeout_ms) ||
	    !entry->set.timeout_ms)
		return parser_expected(p, "a time behind 'timeout', as in 10m or 1d12h");
	entry->set.has_timeout = true;
	parser_next(p);
	return parser_expect_end(p, "the timeout");
}

/* `flags timeout`: elements may have one, and have none when they state none. */
static bool at_flags_timeout(const struct parser *p)
{
	struct parser ahead = *p;

	if (!token_is(&p->tok, "flags"))
		return false;
	parser_next(&ahead);
	return token_is(&ahead.tok, "timeout");
}

static bool parse_flags_timeout(struct parser *p, struct set_entry *entry)
{
	parser_next(p);
	parser_next(p);
	entry->set.has_timeout = true;
	return parser_expect_end(p, "'timeout'");
}

static bool parse_counter(struct parser *p, struct set_entry *entry)
{
	parser_next(p);
	entry->set.has_counter = true;
	return parser_expect_end(p, "'counter'");
}

/* Statements of nft's sets, and what to say of them. */
static bool refuse_statement(struct parser *p)
{
	static const struct {
		const char *word, *verdict, *hint;
	} words[] = {
		{ "dynamic", "is not supported yet", NULL },
		{ "gc-interval", "is not supported yet", NULL },
		{ "flags", "is not needed", "any set takes prefixes and ranges" },
		{ "auto-merge", "is not needed", "elements may overlap" },
		{ "typeof", "is not part of weir", "state the type: type addr" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!token_is(&p->tok, words[i].word))
			continue;
		diag_error(p->l->diag, p->tok.loc, "'%s' %s", words[i].word, words[i].verdict);
		if (words[i].hint)
			diag_hint(p->l->diag, "%s", words[i].hint);
		return true;
	}
	return false;
}

/* Not an element. */
static bool is_statement(const struct parser *p)
{
	static const char *const words[] = { "type", "elements", "file", "size", "timeout", "counter", "flags" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (token_is(&p->tok, words[i]))
			return true;
	return false;
}

static bool parse_set_statement(struct parser *p, struct set_entry *entry)
{
	if (token_is(&p->tok, "type"))
		return parse_type(p, entry);
	if (token_is(&p->tok, "elements"))
		return parse_elements(p, entry);
	if (token_is(&p->tok, "file"))
		return parse_file(p, entry);
	if (token_is(&p->tok, "size"))
		return parse_size(p, entry);
	if (token_is(&p->tok, "timeout"))
		return parse_timeout(p, entry);
	if (token_is(&p->tok, "counter"))
		return parse_counter(p, entry);
	if (at_flags_timeout(p))
		return parse_flags_timeout(p, entry);
	if (refuse_statement(p))
		return false;
	if (!parse_raw_element(p, &entry->list))
		return false;
	entry->set.has_content = true;
	if (p->tok.kind != T_COMMA && !parser_at_end_of_statement(p))
		return parser_expected(p, "',' or '}'");
	return true;
}

bool parse_set(struct parser *p)
{
	struct location open = p->tok.loc;
	const char *run_from = NULL, *run_to = NULL; /* elements in a row, behind the first */
	struct set_entry *entry;
	struct token name;
	bool bare;

	parser_next(p);
	name = p->tok;
	if (!parser_expect(p, T_WORD, "a name behind 'set'"))
		return false;
	if (!lang_name_ok(p->l, "set", name.text, name.length, name.loc) ||
	    !parser_expect(p, T_OPEN, "'{' behind the name"))
		return false;
	entry = lang_set(p->l, name.text, name.length);
	if (entry->defined) {
		diag_error(p->l->diag, name.loc, "set '%s' is defined twice", entry->set.name);
		diag_other(p->l->diag, entry->set.loc);
		entry = arena_alloc(p->l->arena, sizeof(*entry)); /* read it all the same, for the errors inside */
	}
	entry->defined = true;
	p->extras = true;
	entry->set.loc = name.loc;
	while (parser_in_block(p)) {
		size_t before = entry->list.n;

		if (parser_accept(p, T_COMMA))
			continue;
		if (p->tok.kind == T_END) {
			p->extras = false;
			return parser_unclosed(p, open, "of set '%.*s'", (int)name.length, name.text);
		}
		bare = !is_statement(p);
		if (!bare) {
			note_gap(p, entry, run_from, run_to);
			run_from = NULL;
		}
		if (!parse_set_statement(p, entry)) {
			parser_skip_statement(p);
		} else if (bare && entry->list.n > before) {
			run_from = run_from ? run_from : element_end(&entry->list.parts[before]);
			run_to = p->tok.text;
		}
	}
	note_gap(p, entry, run_from, run_to);
	p->extras = false;
	return true;
}
