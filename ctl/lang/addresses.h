/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses and prefixes by the million: read without tokens, kept as pairs of words, put in order once. */
#pragma once

#include "lang.h"
#include "lex.h"

struct gathering {
	struct arena *arena;
	struct addresses at;
	size_t capacity4, capacity6;
	size_t expected; /* lines of the text: there is room for so many at once */
};

/* An address or a prefix, the whole text of it. false: something else, or a slip that deserves words. */
bool addresses_word(struct gathering *g, const char *text, size_t length);
/* From the start of a line over all lines that hold one address or prefix, or nothing, to the start of the next other one. */
void addresses_lines(struct gathering *g, struct lexer *lex);
/* In order, each once; those that are among `elements`, too, are dropped. Returns how many were. */
size_t addresses_settle(struct gathering *g, const struct element *elements, size_t n);
