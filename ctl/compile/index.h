/* SPDX-License-Identifier: GPL-2.0 */
/* What the two halves of the index share: index_choose.c picks forks, index.c builds them. */
#pragma once

#include "program.h"

#define LIST_SMALL 3 /* areas: so few are not worth a fork */
#define CUT_BITS   6 /* of a port: 64 pieces of 1024 */

/* Which fields a fork hashes. */
struct spec {
	uint8_t op;               /* NODE_HASH4, NODE_HASH6, NODE_WORD or NODE_CUT */
	uint8_t saddr, daddr;     /* bits of the addresses */
	bool sport, dport, proto; /* NODE_CUT: sport or dport */
	uint8_t word;             /* NODE_WORD */
	uint32_t word_mask;
};

struct builder {
	struct program *program;
	enum family family;
	const struct area *areas;
	uint64_t looks;  /* that are left */
	uint64_t copies; /* areas that cuts may still put into their pieces */
	/* groups of one fork: open addressing, emptied by raising the stamp */
	uint64_t *key;
	uint32_t *count, *stamp, *used;
	size_t capacity;
	uint32_t now;
};

/* Does the area say all that the fork hashes? */
bool index_fits(const struct area *area, const struct spec *spec);
/* As search_hash4(), search_hash6() and search_word() in bpf/search.h; masks: of spec. */
uint64_t index_hash(const struct area *area, const struct spec *spec, const uint64_t smask[2], const uint64_t dmask[2],
		    uint8_t seed);
/* First and last piece of the port in which the area is. */
void index_pieces(const struct area *area, bool source, unsigned int ret[2]);

/* Working memory to choose among up to n areas, freed by index_forget(); false when memory ends. */
bool index_make_room(struct builder *b, size_t n);
void index_forget(struct builder *b);
/* The best fork for these areas, and what a packet would pay by the model: HUGE_VAL where none tells them apart. */
double index_choose(struct builder *b, const uint32_t *ids, size_t n, struct spec *ret);
/* The size of the sample that is looked at, at most this many. */
#define INDEX_SAMPLE 16384
