/* SPDX-License-Identifier: GPL-2.0 */
/* Names to numbers: sets, filters, counters, devices, defines, and any bytes that must not appear twice. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena;

struct symtab {
	struct arena *arena;
	struct symbol *slots;
	size_t n, capacity;
};

#define SYMTAB_NONE SIZE_MAX

uint64_t hash_bytes(const void *data, size_t length, uint64_t seed); /* FNV-1a, mixed at the end */
#define HASH_SEED 0xcbf29ce484222325u

/* The value stored for the key, or SYMTAB_NONE. */
size_t symtab_find(const struct symtab *table, const void *key, size_t length);
/* Stores value unless the key is there; yields what stands there now. The key is not copied. */
size_t symtab_add(struct symtab *table, const void *key, size_t length, size_t value);
/* Same, replacing what is there. */
void symtab_set(struct symtab *table, const void *key, size_t length, size_t value);
