// SPDX-License-Identifier: GPL-2.0
/* The top of the grammar: files, includes, and what all blocks share. */
#include "parse.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"
#include "words.h"

#define INCLUDES_MOST 1000

/* ---- tokens ---- */

void parser_next(struct parser *p)
{
	p->last = p->tok;
	lex_next(&p->lex, &p->tok);
}

void parser_start(struct parser *p, struct lang *l, uint16_t file, const char *path, const char *text, size_t length)
{
	*p = (struct parser){ .l = l, .path = path };
	lex_start(&p->lex, file, text, length);
	parser_next(p);
}

bool token_is(const struct token *token, const char *word)
{
	return token->kind == T_WORD && word_is(token->text, token->length, word);
}

bool parser_accept_word(struct parser *p, const char *word)
{
	if (!token_is(&p->tok, word))
		return false;
	parser_next(p);
	return true;
}

bool parser_accept(struct parser *p, enum token_kind kind)
{
	if (p->tok.kind != kind)
		return false;
	parser_next(p);
	return true;
}

bool parser_at_end_of_statement(const struct parser *p)
{
	return p->tok.kind == T_NEWLINE || p->tok.kind == T_SEMICOLON || p->tok.kind == T_CLOSE || p->tok.kind == T_END;
}

static void describe_token(const struct token *token, char *text, size_t size)
{
	int shown = (int)(token->length < 40 ? token->length : 40);
	const char *more = token->length > 40 ? "..." : "";

	switch (token->kind) {
	case T_END:
		snprintf(text, size, "the end of the file");
		break;
	case T_NEWLINE:
		snprintf(text, size, "the end of the line");
		break;
	case T_WORD:
		snprintf(text, size, "'%.*s%s'", shown, token->text, more);
		break;
	case T_STRING:
		snprintf(text, size, "\"%.*s%s\"", shown, token->text, more);
		break;
	case T_SET:
		snprintf(text, size, "'@%.*s%s'", shown, token->text, more);
		break;
	case T_DEFINE:
		snprintf(text, size, "'$%.*s%s'", shown, token->text, more);
		break;
	default:
		snprintf(text, size, "'%.*s'", (int)token->loc.length, token->text);
	}
}

bool parser_expected(struct parser *p, const char *what)
{
	char found[64];

	if (p->tok.kind == T_BAD) {
		diag_error(p->l->diag, p->tok.loc, "%s", p->tok.text);
		diag_hint(p->l->diag, "expected %s", what);
		return false;
	}
	describe_token(&p->tok, found, sizeof(found));
	diag_error(p->l->diag, p->tok.loc, "expected %s, found %s", what, found);
	return false;
}

bool parser_expect(struct parser *p, enum token_kind kind, const char *what)
{
	if (p->tok.kind != kind)
		return parser_expected(p, what);
	parser_next(p);
	return true;
}

bool parser_expect_end(struct parser *p, const char *statement)
{
	char what[96];

	if (parser_at_end_of_statement(p))
		return true;
	snprintf(what, sizeof(what), "the end of the line behind %s", statement);
	return parser_expected(p, what);
}

bool parser_state_once(struct parser *p, const char *what, struct location here, struct location *there)
{
	if (there->file) {
		diag_error(p->l->diag, here, "%s is stated twice", what);
		diag_other(p->l->diag, *there);
		return false;
	}
	*there = here;
	return true;
}

/* Blocks inside a filter mean that its } is missing. */
bool parser_at_block_start(const struct parser *p)
{
	struct lexer ahead = p->lex;
	struct token name, open;

	if (!token_is(&p->tok, "filter") && !token_is(&p->tok, "set") && !token_is(&p->tok, "test") &&
	    !token_is(&p->tok, "flows") && !token_is(&p->tok, "guard"))
		return false;
	lex_next(&ahead, &name);
	if (token_is(&p->tok, "flows"))
		return name.kind == T_OPEN;
	lex_next(&ahead, &open);
	return (name.kind == T_WORD || name.kind == T_STRING) && open.kind == T_OPEN;
}

struct location parser_span(const struct parser *p, struct location start)
{
	struct location end = p->last.loc;
	size_t length;

	if (end.file == start.file && end.line == start.line && end.column >= start.column) {
		length = (size_t)end.column + end.length - start.column;
		start.length = length < UINT16_MAX ? (uint16_t)length : UINT16_MAX;
	}
	return start;
}

void parser_skip_newlines(struct parser *p)
{
	while (p->tok.kind == T_NEWLINE)
		parser_next(p);
}

void parser_skip_line(struct parser *p)
{
	while (p->tok.kind != T_NEWLINE && p->tok.kind != T_END)
		parser_next(p);
}

/*
 * A { in the rest of the statement may open a list or block that goes on for lines. It does if the line
 * ends behind a { or a comma; else its } is most likely what is missing.
 */
void parser_skip_statement(struct parser *p)
{
	size_t depth = 0;

	for (;; parser_next(p)) {
		switch (p->tok.kind) {
		case T_OPEN:
			depth++;
			break;
		case T_CLOSE:
			if (!depth)
				return;
			depth--;
			break;
		case T_NEWLINE:
			if (depth && (p->last.kind == T_OPEN || p->last.kind == T_COMMA || p->last.kind == T_NEWLINE))
				break;
			parser_next(p);
			return;
		case T_SEMICOLON:
			if (depth)
				break;
			parser_next(p);
			return;
		case T_END:
			return;
		default:
			break;
		}
	}
}

bool parser_in_block(struct parser *p)
{
	while (p->tok.kind == T_NEWLINE || p->tok.kind == T_SEMICOLON)
		parser_next(p);
	return !parser_accept(p, T_CLOSE);
}

bool parser_unclosed(struct parser *p, struct location open, const char *what, ...)
{
	char block[TEXT_MOST + 32];
	va_list args;

	va_start(args, what);
	vsnprintf(block, sizeof(block), what, args);
	va_end(args);
	diag_error(p->l->diag, open, "the block %s does not end", block);
	if (p->tok.kind == T_END)
		diag_hint(p->l->diag, "expected '}' before the end of the file");
	else
		diag_hint(p->l->diag, "expected '}' before '%.*s' in line %u", (int)p->tok.length, p->tok.text,
			  p->tok.loc.line);
	return true;
}

/* A whole block of an unknown kind, so that its inside gives no errors. */
static void skip_block(struct parser *p)
{
	size_t depth = 0;

	for (; p->tok.kind != T_END; parser_next(p)) {
		if (p->tok.kind == T_OPEN)
			depth++;
		else if (p->tok.kind == T_CLOSE && depth)
			depth--;
		else if ((p->tok.kind == T_NEWLINE || p->tok.kind == T_SEMICOLON) && !depth)
			return;
	}
}

bool parser_unsupported(struct parser *p)
{
	const char *hint, *verdict;

	if (p->tok.kind != T_WORD)
		return false;
	verdict = words_unsupported(p->tok.text, p->tok.length, &hint);
	if (!verdict)
		return false;
	diag_error(p->l->diag, p->tok.loc, "'%.*s' %s", (int)p->tok.length, p->tok.text, verdict);
	if (hint)
		diag_hint(p->l->diag, "%s", hint);
	return true;
}

bool parse_text(struct parser *p, const char *what, const char **ret)
{
	struct token token = p->tok;

	if (!parser_expect(p, T_STRING, what))
		return false;
	if (token.length > TEXT_MOST) {
		diag_error(p->l->diag, token.loc, "this text is longer than %d bytes", TEXT_MOST);
		return false;
	}
	*ret = arena_text(p->l->arena, token.text, token.length);
	return true;
}

bool parse_device(struct parser *p, unsigned int *ret, struct location *ret_loc)
{
	struct token token = p->tok;
	size_t start = p->scratch.n;
	const struct raw_part *part;
	int number;

	if (token.kind != T_WORD && token.kind != T_STRING && token.kind != T_DEFINE)
		return parser_expected(p, "a device name");
	if (!parse_raw_element(p, &p->scratch))
		return false;
	part = &p->scratch.parts[start];
	if (p->scratch.n - start != 1 || part->join != JOIN_END || part->optional) {
		p->scratch.n = start;
		diag_error(p->l->diag, token.loc, "one device name is wanted here");
		return false;
	}
	p->scratch.n = start;
	number = lang_device(p->l, part->text, part->length, raw_place(part));
	if (number < 0)
		return false;
	*ret = (unsigned int)number;
	*ret_loc = token.loc;
	return true;
}

/* ---- files ---- */

static const char *directory_join(struct lang *l, const char *from, const char *path)
{
	const char *slash = strrchr(from, '/');
	size_t directory = slash ? (size_t)(slash - from) + 1 : 0;
	char *joined;

	while (path[0] == '.' && path[1] == '/')
		path += 2;
	if (path[0] == '/' || !directory)
		return path;
	joined = arena_alloc(l->arena, directory + strlen(path) + 1);
	memcpy(joined, from, directory);
	strcpy(joined + directory, path);
	return joined;
}

const char *parser_path(struct parser *p, const char *path)
{
	return directory_join(p->l, p->path, path);
}

static bool is_pattern(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

static void include_pattern(struct lang *l, const char *pattern, struct location loc)
{
	char **paths = NULL;
	size_t n = 0;
	int r = -ENOSYS;

	if (l->env && l->env->glob)
		r = l->env->glob(l->env->context, pattern, &paths, &n);
	if (r < 0) {
		diag_error(l->diag, loc, "cannot list '%s': %s", pattern, strerror(-r));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const char *path = arena_text(l->arena, paths[i], strlen(paths[i]));

		free(paths[i]);
		lang_read_file(l, path, loc);
	}
	free(paths);
}

static bool parse_include(struct parser *p)
{
	struct token token;
	const char *path;

	parser_next(p);
	token = p->tok;
	if (!parse_text(p, "a file name in double quotes behind 'include'", &path) ||
	    !parser_expect_end(p, "'include'"))
		return false;
	if (!*path) {
		diag_error(p->l->diag, token.loc, "an empty file name");
		return false;
	}
	path = directory_join(p->l, p->path, path);
	if (is_pattern(path))
		include_pattern(p->l, path, token.loc);
	else
		lang_read_file(p->l, path, token.loc);
	return true;
}

static bool unknown_block(struct parser *p)
{
	static const char *const blocks[] = { "include", "define", "set", "flows", "filter", "guard", "test" };
	struct suggestion s;

	if (parser_unsupported(p)) {
		skip_block(p);
		return true;
	}
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "'include', 'define', 'set', 'flows', 'filter', 'guard' or 'test'");
	diag_error(p->l->diag, p->tok.loc, "'%.*s' does not start a block",
		   (int)(p->tok.length < 64 ? p->tok.length : 64), p->tok.text);
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
		suggest_offer(&s, blocks[i]);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	else if (words_reserved(p->tok.text, p->tok.length))
		diag_hint(p->l->diag, "rules stand in 'filter NAME { ... }'");
	else
		diag_hint(p->l->diag, "expected include, define, set, flows, filter, guard or test");
	skip_block(p);
	return true;
}

static void parse_block(struct parser *p)
{
	bool done;

	p->unclosed = false;
	if (token_is(&p->tok, "include"))
		done = parse_include(p);
	else if (token_is(&p->tok, "define"))
		done = parse_define(p);
	else if (token_is(&p->tok, "set"))
		done = parse_set(p);
	else if (token_is(&p->tok, "filter"))
		done = parse_filter(p);
	else if (token_is(&p->tok, "test"))
		done = parse_test(p);
	else if (token_is(&p->tok, "flows"))
		done = parse_flows(p);
	else if (token_is(&p->tok, "guard"))
		done = parse_guard(p);
	else
		done = unknown_block(p);
	if (done && !p->unclosed && !parser_at_end_of_statement(p))
		done = parser_expected(p, "a new line");
	if (!done)
		skip_block(p);
}

static void parse_file(struct parser *p)
{
	while (p->tok.kind != T_END) {
		if (p->tok.kind == T_NEWLINE || p->tok.kind == T_SEMICOLON) {
			parser_next(p);
		} else if (p->tok.kind == T_CLOSE) {
			diag_error(p->l->diag, p->tok.loc, "'}' without a block that it would end");
			parser_next(p);
		} else {
			parse_block(p);
		}
	}
}

/* Without /./ and x/../, so that a file is known again; only for comparing, since x may be a symbolic link. */
static const char *path_key(struct lang *l, const char *path)
{
	char *key = arena_text(l->arena, path, strlen(path)), *to = key;

	while (*path) {
		size_t length = strcspn(path, "/");
		char *slash;

		if (length == 1 && path[0] == '.') {
			; /* nothing */
		} else if (length == 2 && path[0] == '.' && path[1] == '.' && to > key + 1 &&
			   (to < key + 3 || strncmp(to - 3, "../", 3))) {
			to[-1] = '\0';
			slash = strrchr(key, '/');
			to = slash ? slash + 1 : key;
		} else {
			memmove(to, path, length);
			to += length;
			if (path[length])
				*to++ = '/';
		}
		path += length + (path[length] == '/');
	}
	*to = '\0';
	return key;
}

static bool may_open(struct lang *l, const char *path, const char *key, struct location from)
{
	for (size_t i = 0; i < l->n_open_files; i++) {
		if (!strcmp(l->open_files[i], key)) {
			diag_error(l->diag, from, "'%s' includes itself", path);
			return false;
		}
	}
	if (l->n_open_files == sizeof(l->open_files) / sizeof(*l->open_files)) {
		diag_error(l->diag, from, "files include each other more than %zu deep", l->n_open_files);
		return false;
	}
	if (l->n_includes++ >= INCLUDES_MOST) {
		if (l->n_includes == INCLUDES_MOST + 1)
			diag_error(l->diag, from, "more than %d files are included", INCLUDES_MOST);
		return false;
	}
	return true;
}

void lang_read_file(struct lang *l, const char *path, struct location from)
{
	const char *shown = strcmp(path, "-") ? path : "stdin", *key = path_key(l, path);
	struct source source = { .name = path };
	struct parser p;
	uint16_t file;
	int r = -ENOSYS;

	if (!may_open(l, path, key, from))
		return;
	if (shown != path)
		l->stdin_used = true;
	if (l->env && l->env->read_file)
		r = l->env->read_file(l->env->context, path, &l->borrowed, &source.length);
	if (r < 0) {
		l->borrowed = NULL;
		diag_error(l->diag, from, "cannot read '%s': %s", path, strerror(-r));
		return;
	}
	source.text = arena_text(l->arena, l->borrowed, source.length);
	free(l->borrowed);
	l->borrowed = NULL;
	file = diag_add_source(l->diag, shown, source.text, source.length);
	if (!file) {
		diag_error(l->diag, from, "cannot read '%s': too many files, or no memory", path);
		return;
	}
	arena_push(l->arena, l->sources, l->policy->n_sources, l->sources_capacity) = source;
	l->policy->sources = l->sources;
	l->open_files[l->n_open_files++] = key;
	parser_start(&p, l, file, path, source.text, source.length);
	parse_file(&p);
	l->n_open_files--;
}
