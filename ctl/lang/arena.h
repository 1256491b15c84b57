/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that is given back all at once. */
#pragma once

#include <setjmp.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);

/*
 * Where to go when memory ends: with a place set, arena_alloc() never returns NULL, so that the parser need not
 * test every node. The place must be live, and be cleared (NULL) before its function returns.
 */
void arena_on_oom(struct arena *arena, jmp_buf *place);

/* Takes that way for memory from elsewhere. */
void arena_give_up(struct arena *arena) __attribute__((noreturn));

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_copy(struct arena *arena, const void *data, size_t size);
/* With a NUL behind it. */
char *arena_text(struct arena *arena, const char *text, size_t length);

/* Room for one more item of a growing array; the old array stays behind in the arena. */
void *arena_grow(struct arena *arena, void *items, size_t n, size_t *capacity, size_t item_size);

/* Appends an item to (items, n, capacity) and yields its address. */
#define arena_push(arena, items, n, capacity)                                                                          \
	(*((n) == (capacity) ? (void)((items) = arena_grow(arena, items, n, &(capacity), sizeof(*(items)))) : (void)0, \
	   &(items)[(n)++]))
