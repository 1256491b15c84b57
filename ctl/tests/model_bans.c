// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "model_bans.h"

struct banned {
	const struct set *set;
	unsigned int family, prefix_len;
	struct value address;
	uint64_t expires_ns;
};

struct model_bans {
	struct banned *at;
	size_t n, capacity;
	size_t n_before; /* without those of the packet that is being judged */
};

static bool same_prefix(const struct value *a, const struct value *b, unsigned int length)
{
	for (unsigned int bit = 0; bit < length; bit++)
		if ((a->w[bit / 32] ^ b->w[bit / 32]) & 0x80000000u >> bit % 32)
			return false;
	return true;
}

/* Of the same prefix, the later ban holds, also where it ends earlier. */
static bool overruled(const struct model_bans *bans, size_t number)
{
	const struct banned *old = &bans->at[number];

	for (size_t i = number + 1; i < bans->n_before; i++)
		if (bans->at[i].set == old->set && bans->at[i].family == old->family &&
		    bans->at[i].prefix_len == old->prefix_len &&
		    same_prefix(&bans->at[i].address, &old->address, old->prefix_len))
			return true;
	return false;
}

bool model_bans_have(const struct model_bans *bans, const struct set *set, unsigned int family,
		     const struct value *address, uint64_t now_ns)
{
	for (size_t i = 0; i < bans->n_before; i++) {
		const struct banned *b = &bans->at[i];

		if (b->set == set && b->family == family && b->expires_ns > now_ns &&
		    same_prefix(&b->address, address, b->prefix_len) && !overruled(bans, i))
			return true;
	}
	return false;
}

void model_bans_add(struct model_bans *bans, const struct ban_statement *ban, unsigned int family,
		    const struct value *source, uint64_t now_ns)
{
	if (bans->n == bans->capacity) {
		bans->capacity = bans->capacity ? 2 * bans->capacity : 64;
		bans->at = realloc(bans->at, bans->capacity * sizeof(*bans->at));
		if (!bans->at)
			abort();
	}
	bans->at[bans->n++] = (struct banned){ .set = ban->set,
					       .family = family,
					       .prefix_len = family == 4 ? ban->prefix4 : ban->prefix6,
					       .address = *source,
					       .expires_ns = now_ns + ban->timeout_ms * 1000000 };
}

void model_bans_end(struct model_bans *bans)
{
	bans->n_before = bans->n;
}

struct model_bans *model_bans_new(void)
{
	struct model_bans *bans = calloc(1, sizeof(*bans));

	if (!bans)
		abort();
	return bans;
}

void model_bans_free(struct model_bans *bans)
{
	if (!bans)
		return;
	free(bans->at);
	free(bans);
}
