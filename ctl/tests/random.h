/* SPDX-License-Identifier: GPL-2.0 */
/* Random numbers that a seed repeats on any machine: splitmix64. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 ... n - 1 */
static inline unsigned int random_below(struct random *r, unsigned int n)
{
	return (unsigned int)((random_next(r) >> 32) * n >> 32);
}

/* lo ... hi, both included */
static inline unsigned int random_between(struct random *r, unsigned int lo, unsigned int hi)
{
	return lo + random_below(r, hi - lo + 1);
}

/* True in `percent` of 100 cases. */
static inline bool random_chance(struct random *r, unsigned int percent)
{
	return random_below(r, 100) < percent;
}

#define random_pick(r, array) ((array)[random_below((r), sizeof(array) / sizeof(*(array)))])
