// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "model_limits.h"

/* Of one key. Time is in 1/256 ns. */
struct bucket {
	const struct limit_rate *limit;
	uint32_t key[MODEL_LIMIT_WORDS];
	uint64_t paid;
};

struct model_limits {
	struct bucket *bucket;
	size_t n, capacity;
};

static struct bucket *find(struct model_limits *limits, const struct limit_rate *limit, const uint32_t *key)
{
	for (size_t i = 0; i < limits->n; i++)
		if (limits->bucket[i].limit == limit &&
		    memcmp(limits->bucket[i].key, key, sizeof(limits->bucket[i].key)) == 0)
			return &limits->bucket[i];
	return NULL;
}

static struct bucket *add(struct model_limits *limits, const struct limit_rate *limit, const uint32_t *key)
{
	struct bucket *bucket;

	if (limits->n == limits->capacity) {
		limits->capacity = limits->capacity ? 2 * limits->capacity : 64;
		limits->bucket = realloc(limits->bucket, limits->capacity * sizeof(*limits->bucket));
		if (!limits->bucket)
			abort();
	}
	bucket = &limits->bucket[limits->n++];
	bucket->limit = limit;
	bucket->paid = 0;
	memcpy(bucket->key, key, sizeof(bucket->key));
	return bucket;
}

bool model_limits_within(struct model_limits *limits, const struct limit_rate *limit,
			 const uint32_t key[MODEL_LIMIT_WORDS], uint64_t bytes, uint64_t now_ns)
{
	uint64_t cost = limit->unit * 1000000000ull * 256 / limit->rate, now = now_ns << 8, paid;
	struct bucket *bucket = find(limits, limit, key);

	if (!bucket)
		bucket = add(limits, limit, key);
	paid = (bucket->paid > now ? bucket->paid : now) + cost * (limit->bytes ? bytes : 1);
	if (paid - now > limit->burst * cost)
		return false;
	bucket->paid = paid;
	return true;
}

struct model_limits *model_limits_new(void)
{
	struct model_limits *limits = calloc(1, sizeof(*limits));

	if (!limits)
		abort();
	return limits;
}

void model_limits_free(struct model_limits *limits)
{
	if (!limits)
		return;
	free(limits->bucket);
	free(limits);
}
