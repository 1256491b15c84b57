// SPDX-License-Identifier: GPL-2.0
/* Chunks in a list, each twice as large as the one before, up to a limit; large wishes get a chunk of their own. */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST ((size_t)16 << 10)
#define CHUNK_MOST  ((size_t)1 << 20)
#define ALIGNMENT   _Alignof(max_align_t)

struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct arena {
	struct chunk *chunks;
	char *pos, *end; /* what is free in the newest shared chunk */
	size_t chunk_size;
	jmp_buf *on_oom;
};

struct arena *arena_new(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena)
		arena->chunk_size = CHUNK_FIRST;
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena);
}

void arena_on_oom(struct arena *arena, jmp_buf *place)
{
	arena->on_oom = place;
}

void arena_give_up(struct arena *arena)
{
	if (!arena->on_oom)
		abort();
	longjmp(*arena->on_oom, 1);
}

static void *arena_oom(struct arena *arena)
{
	if (arena->on_oom)
		longjmp(*arena->on_oom, 1);
	return NULL;
}

static struct chunk *chunk_new(struct arena *arena, size_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (chunk) {
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct chunk *chunk;
	char *p;

	if (size > SIZE_MAX / 2)
		return arena_oom(arena);
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	if (size <= (size_t)(arena->end - arena->pos)) {
		p = arena->pos;
		arena->pos += size;
		return p;
	}
	if (size > CHUNK_FIRST / 4) {
		chunk = chunk_new(arena, size);
		return chunk ? (void *)chunk->data : arena_oom(arena);
	}
	chunk = chunk_new(arena, arena->chunk_size);
	if (!chunk)
		return arena_oom(arena);
	arena->pos = (char *)chunk->data + size;
	arena->end = (char *)chunk->data + arena->chunk_size;
	if (arena->chunk_size < CHUNK_MOST)
		arena->chunk_size *= 2;
	return chunk->data;
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
	void *copy = arena_alloc(arena, size);

	if (copy && size)
		memcpy(copy, data, size);
	return copy;
}

char *arena_text(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	if (copy && length)
		memcpy(copy, text, length);
	return copy;
}

void *arena_grow(struct arena *arena, void *items, size_t n, size_t *capacity, size_t item_size)
{
	size_t wanted = *capacity ? *capacity * 2 : 8;
	void *grown;

	if (wanted > SIZE_MAX / 4 / item_size)
		return arena_oom(arena);
	grown = arena_alloc(arena, wanted * item_size);
	if (grown && n)
		memcpy(grown, items, n * item_size);
	if (grown)
		*capacity = wanted;
	return grown;
}
