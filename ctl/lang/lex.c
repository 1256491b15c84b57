// SPDX-License-Identifier: GPL-2.0
#include "lex.h"

#include <string.h>

#define W 1 /* in a word */
#define N 2 /* in the name behind @ or $ */

/* Bytes beyond ASCII count as parts of words, so that an error shows the whole word. */
static const unsigned char classes[256] = {
	['0' ... '9'] = W | N,
	['A' ... 'Z'] = W | N,
	['a' ... 'z'] = W | N,
	['_'] = W | N,
	['-'] = W | N,
	['.'] = W,
	[':'] = W,
	['/'] = W,
	['['] = W,
	[']'] = W,
	['%'] = W,
	['+'] = W,
	['*'] = W,
	['?'] = W,
	['~'] = W,
	[0x80 ... 0xff] = W,
};

bool lex_is_word_char(unsigned char c)
{
	return classes[c] & W;
}

void lex_start(struct lexer *lex, uint16_t file, const char *text, size_t length)
{
	*lex = (struct lexer){ .pos = text, .end = text + length, .line_start = text, .line = 1, .file = file };
	if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* a byte order mark, as some editors write it */
		lex->pos += 3;
}

static uint16_t clamp16(size_t n)
{
	return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

/* Blanks, comments, and line ends behind a backslash. */
static void skip_blanks(struct lexer *lex)
{
	const char *p = lex->pos, *end = lex->end;

	for (; p < end; p++) {
		const char *q = p + 1;

		if (*p == ' ' || *p == '\t')
			continue;
		if (*p == '#') {
			p = memchr(p, '\n', (size_t)(end - p));
			if (!p)
				p = end;
			else if (p[-1] == '\r')
				p--;
			break;
		}
		if (*p != '\\')
			break;
		if (q < end && *q == '\r')
			q++;
		if (q == end || *q != '\n')
			break;
		p = q;
		lex->line++;
		lex->line_start = p + 1;
	}
	lex->pos = p;
}

static void lex_bad(struct token *token, const char *complaint)
{
	token->kind = T_BAD;
	token->text = complaint;
}

static void lex_string(struct lexer *lex, struct token *token)
{
	const char *p = lex->pos + 1;

	while (p < lex->end && *p != '"' && (unsigned char)*p >= 0x20 && *p != 0x7f)
		p++;
	if (p < lex->end && *p == '"') {
		token->kind = T_STRING;
		token->text = lex->pos + 1;
		token->length = (size_t)(p - token->text);
		lex->pos = p + 1;
		return;
	}
	if (p == lex->end || *p == '\n' || *p == '\r')
		lex_bad(token, "the text in quotes does not end on this line");
	else
		lex_bad(token, "a control character in a text in quotes");
	/* The rest of the line is most likely meant as text: reading it as rules would only add noise. */
	p = memchr(p, '\n', (size_t)(lex->end - p));
	lex->pos = p ? p : lex->end;
}

static void lex_name(struct lexer *lex, struct token *token, enum token_kind kind, const char *complaint)
{
	const char *p = lex->pos + 1;

	while (p < lex->end && classes[(unsigned char)*p] & N)
		p++;
	token->kind = kind;
	token->text = lex->pos + 1;
	token->length = (size_t)(p - token->text);
	if (!token->length)
		lex_bad(token, complaint);
	lex->pos = p;
}

static void lex_word(struct lexer *lex, struct token *token)
{
	const char *start = lex->pos, *p = start, *slash;

	if (*p == '/') { /* as in `syn /syn,ack`: never part of what follows */
		token->kind = T_SLASH;
		lex->pos++;
		return;
	}
	while (p < lex->end && classes[(unsigned char)*p] & W)
		p++;
	if (lex->slash_ends && (slash = memchr(start, '/', (size_t)(p - start))) != NULL)
		p = slash;
	lex->pos = p;
	token->kind = T_WORD;
	if (p - start == 1 && *start == '.')
		token->kind = T_DOT;
	else if (p - start == 1 && *start == '-')
		token->kind = T_DASH;
}

/* One or two characters: `kind`, or with second behind it `pair`. */
static void lex_sign(struct lexer *lex, struct token *token, enum token_kind kind, char second, enum token_kind pair)
{
	token->kind = kind;
	if (second && lex->pos + 1 < lex->end && lex->pos[1] == second) {
		token->kind = pair;
		lex->pos++;
	}
	lex->pos++;
}

static void lex_other(struct lexer *lex, struct token *token)
{
	const char *p = lex->pos;

	switch (*p) {
	case '\r':
		if (p + 1 < lex->end && p[1] == '\n') {
			token->kind = T_NEWLINE;
			lex->pos += 2;
			return;
		}
		lex_bad(token, "a carriage return inside a line");
		break;
	case '\\':
		lex_bad(token, "a backslash that is not at the end of the line");
		break;
	case '\0':
		lex_bad(token, "a NUL byte: this is not a text file");
		break;
	case '\'':
		lex_bad(token, "a single quote; texts stand in double quotes");
		break;
	default:
		lex_bad(token, "a character that has no meaning here");
	}
	lex->pos++;
}

void lex_next(struct lexer *lex, struct token *token)
{
	const char *start;

	skip_blanks(lex);
	start = lex->pos;
	token->text = start;
	token->length = 0;
	token->loc = (struct location){ .file = lex->file,
					.line = lex->line,
					.column = clamp16((size_t)(start - lex->line_start) + 1),
					.length = 1 };
	if (start == lex->end) {
		token->kind = T_END;
		return;
	}
	if (classes[(unsigned char)*start] & W) {
		lex_word(lex, token);
	} else {
		switch (*start) {
		case '\n':
			lex_sign(lex, token, T_NEWLINE, 0, 0);
			break;
		case ';':
			lex_sign(lex, token, T_SEMICOLON, 0, 0);
			break;
		case ',':
			lex_sign(lex, token, T_COMMA, 0, 0);
			break;
		case '{':
			lex_sign(lex, token, T_OPEN, 0, 0);
			break;
		case '}':
			lex_sign(lex, token, T_CLOSE, 0, 0);
			break;
		case '(':
			lex_sign(lex, token, T_PAREN_OPEN, 0, 0);
			break;
		case ')':
			lex_sign(lex, token, T_PAREN_CLOSE, 0, 0);
			break;
		case '=':
			lex_sign(lex, token, T_ASSIGN, '=', T_EQ);
			break;
		case '!':
			lex_sign(lex, token, T_NOT, '=', T_NE);
			break;
		case '<':
			lex_sign(lex, token, T_LT, '=', T_LE);
			break;
		case '>':
			lex_sign(lex, token, T_GT, '=', T_GE);
			break;
		case '&':
			lex_sign(lex, token, T_AND, 0, 0);
			break;
		case '|':
			lex_sign(lex, token, T_OR, 0, 0);
			break;
		case '"':
			lex_string(lex, token);
			break;
		case '@':
			lex_name(lex, token, T_SET, "'@' without the name of a set");
			break;
		case '$':
			lex_name(lex, token, T_DEFINE, "'$' without the name of a define");
			break;
		default:
			lex_other(lex, token);
		}
	}
	if (token->kind == T_NEWLINE) {
		lex->line++;
		lex->line_start = lex->pos;
		return;
	}
	token->loc.length = clamp16((size_t)(lex->pos - start));
	if (token->kind == T_WORD)
		token->length = (size_t)(lex->pos - start);
}
