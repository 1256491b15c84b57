/* SPDX-License-Identifier: GPL-2.0 */
/* What the files share that read the statements of a guard. */
#pragma once

#include "parse.h"
#include "words.h"

/* A guard while it is read; file 0: not stated yet. */
struct guard_block {
	struct guard_statement guard;
	struct location forwarded, deny, audit;
	size_t targets_capacity, allows_capacity, devices_capacity;
};

/* `a, b`, `{ a, b }` or `$list`: single words, into p->scratch from `start` on; the caller takes them off again. */
bool parse_guard_list(struct parser *p, const char *what, size_t start);
/* "'x' is not NOUN", and which of the words was meant. Returns false. */
bool parse_guard_unknown(struct parser *p, const struct raw_part *part, const char *noun,
			 const struct named_number *words);

/* From their first words on. */
bool parse_guard_provider(struct parser *p, struct guard_block *block);
bool parse_guard_endpoint(struct parser *p, struct guard_block *block);
bool parse_guard_allow(struct parser *p, struct guard_block *block);
