/* SPDX-License-Identifier: GPL-2.0 */
/* The parser's own state, shared by the files that each parse one kind of block. */
#pragma once

#include "lang.h"
#include "lex.h"

struct parser {
	struct lang *l;
	struct lexer lex;
	struct token tok;  /* not yet consumed */
	struct token last; /* the one before it */
	const char *path;
	bool unclosed; /* the last block's } is missing and has been reported */
	bool extras;   /* elements of a set: timeouts and counters may stand behind them */
	bool plain;    /* elements of a file or command line: no defines, no `optional` */
	struct raw_list scratch;
	struct item *items; /* of the rule being read */
	size_t items_capacity;
};

/* Each parse function returns false after an error was reported; the caller then skips to the next statement. */

void parser_start(struct parser *p, struct lang *l, uint16_t file, const char *path, const char *text, size_t length);
void parser_next(struct parser *p);
bool token_is(const struct token *token, const char *word);
/* Consumes the word if it is next. */
bool parser_accept_word(struct parser *p, const char *word);
bool parser_accept(struct parser *p, enum token_kind kind);
bool parser_at_end_of_statement(const struct parser *p);
/* "expected X, found 'y'" at the next token. */
bool parser_expected(struct parser *p, const char *what);
bool parser_expect(struct parser *p, enum token_kind kind, const char *what);
bool parser_expect_end(struct parser *p, const char *statement);
/* For what a block says once: keeps the place, or reports both. */
bool parser_state_once(struct parser *p, const char *what, struct location here, struct location *there);
/* Does the next statement open a block that cannot stand inside another one? */
bool parser_at_block_start(const struct parser *p);
/* From start to the last consumed token, or the first line of it. */
struct location parser_span(const struct parser *p, struct location start);
/* To behind the end of this statement, or in front of the } that ends the block. */
void parser_skip_statement(struct parser *p);
void parser_skip_line(struct parser *p);
/* Behind an error in a list: to behind its }. Returns false. */
bool parser_skip_list(struct parser *p, struct location open);
void parser_skip_newlines(struct parser *p);
/* To the next statement of a block, which may be the end of the file; false: behind the block's }. */
bool parser_in_block(struct parser *p);
/* Reports that the block (`what`: "of set 'x'") has no } before the next token. Returns true: there is no more of it. */
bool parser_unclosed(struct parser *p, struct location open, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
/* Reports a word of nft's that weir does not have at the next token; false: it is none of those. */
bool parser_unsupported(struct parser *p);

/* One element, or what a define holds, appended to list. */
bool parse_raw_element(struct parser *p, struct raw_list *list);
/* What stands between { and }; the { is consumed. */
bool parse_raw_list(struct parser *p, struct raw_list *list, struct location open);
/* A value, a define or a list in braces. */
bool parse_raw_values(struct parser *p, struct raw_list *list);

bool parse_define(struct parser *p);
bool parse_set(struct parser *p);
bool parse_filter(struct parser *p);
bool parse_test(struct parser *p);
bool parse_flows(struct parser *p);
bool parse_guard(struct parser *p);
/* One rule; items, verdict and so on into *ret. */
bool parse_rule(struct parser *p, struct rule *ret);
bool parse_condition(struct parser *p, struct condition *ret);
bool parse_field(struct parser *p, enum field *ret);
/* From the words `limit`, `ban`, `reject` and `synproxy` on. */
bool parse_limit(struct parser *p, struct limit_rate *ret);
bool parse_ban(struct parser *p, struct ban_statement *ret);
bool parse_reject(struct parser *p, struct reject *ret);
bool parse_synproxy(struct parser *p, struct synproxy *ret);
/* `/24`, of at most 32 or 128 bits; the slash is consumed. */
bool parse_prefix_length(struct parser *p, uint8_t most, uint8_t *ret);
/* A device's name, as a word, a text or a define. */
bool parse_device(struct parser *p, unsigned int *ret, struct location *ret_loc);
/* A path relative to the file being read. */
const char *parser_path(struct parser *p, const char *path);
bool parse_text(struct parser *p, const char *what, const char **ret);
