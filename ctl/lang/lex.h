/* SPDX-License-Identifier: GPL-2.0 */
/* Text to tokens, each with its place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"

enum token_kind {
	T_END,
	T_NEWLINE,
	T_SEMICOLON,
	T_WORD,   /* letters, digits and . _ : - / [ ] and so on: names, numbers, addresses, ranges */
	T_STRING, /* text without the quotes */
	T_SET,    /* @name; text is the name */
	T_DEFINE, /* $name; text is the name */
	T_OPEN,   /* { */
	T_CLOSE,  /* } */
	T_PAREN_OPEN,
	T_PAREN_CLOSE,
	T_COMMA,
	T_DOT, /* these three stand alone, between blanks */
	T_DASH,
	T_SLASH,
	T_ASSIGN,
	T_EQ,
	T_NE,
	T_NOT,
	T_LT,
	T_GT,
	T_LE,
	T_GE,
	T_AND,
	T_OR,
	T_BAD, /* text is the complaint */
};

struct token {
	enum token_kind kind;
	const char *text;
	size_t length;
	struct location loc;
};

/* Copyable: a copy looks ahead. */
struct lexer {
	const char *pos, *end;
	const char *line_start;
	uint32_t line;
	uint16_t file;
	bool slash_ends; /* a word: `10/second` is three tokens */
};

void lex_start(struct lexer *lex, uint16_t file, const char *text, size_t length);
/* The next token; T_END again and again at the end. */
void lex_next(struct lexer *lex, struct token *token);
bool lex_is_word_char(unsigned char c);
