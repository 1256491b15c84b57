// SPDX-License-Identifier: GPL-2.0
/* Open addressing with linear probes, at most half full. Keys are compared in full: a hash alone proves nothing. */
#include "symtab.h"

#include <string.h>

#include "arena.h"

struct symbol {
	const void *key; /* NULL: free */
	size_t length;
	size_t value;
	uint64_t hash;
};

uint64_t hash_bytes(const void *data, size_t length, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = seed;

	for (; length >= 8; length -= 8, p += 8) {
		uint64_t word;

		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * 0x9fb21c651e98df25u;
		h ^= h >> 32;
	}
	for (size_t i = 0; i < length; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	/* FNV's low bits are weak when keys differ in their last bytes only. */
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdu;
	return h ^ h >> 33;
}

static struct symbol *symtab_slot(const struct symtab *table, const void *key, size_t length, uint64_t hash)
{
	size_t at = hash & (table->capacity - 1);

	for (;; at = (at + 1) & (table->capacity - 1)) {
		struct symbol *s = &table->slots[at];

		if (!s->key || (s->hash == hash && s->length == length && !memcmp(s->key, key, length)))
			return s;
	}
}

size_t symtab_find(const struct symtab *table, const void *key, size_t length)
{
	const struct symbol *s;

	if (!table->n)
		return SYMTAB_NONE;
	s = symtab_slot(table, key, length, hash_bytes(key, length, HASH_SEED));
	return s->key ? s->value : SYMTAB_NONE;
}

static struct symbol *symtab_enter(struct symtab *table, const void *key, size_t length, uint64_t hash)
{
	if (table->n * 2 >= table->capacity) {
		struct symtab larger = *table;

		larger.capacity = table->capacity ? table->capacity * 4 : 32;
		larger.slots = arena_alloc(table->arena, larger.capacity * sizeof(*larger.slots));
		if (!larger.slots)
			return NULL;
		for (size_t i = 0; i < table->capacity; i++) {
			const struct symbol *s = &table->slots[i];

			if (s->key)
				*symtab_slot(&larger, s->key, s->length, s->hash) = *s;
		}
		*table = larger;
	}
	return symtab_slot(table, key, length, hash);
}

size_t symtab_add(struct symtab *table, const void *key, size_t length, size_t value)
{
	uint64_t hash = hash_bytes(key, length, HASH_SEED);
	struct symbol *s = symtab_enter(table, key, length, hash);

	if (!s)
		return SYMTAB_NONE;
	if (!s->key) {
		*s = (struct symbol){ .key = key, .length = length, .value = value, .hash = hash };
		table->n++;
	}
	return s->value;
}

void symtab_set(struct symtab *table, const void *key, size_t length, size_t value)
{
	uint64_t hash = hash_bytes(key, length, HASH_SEED);
	struct symbol *s = symtab_enter(table, key, length, hash);

	if (!s)
		return;
	table->n += !s->key;
	*s = (struct symbol){ .key = key, .length = length, .value = value, .hash = hash };
}
