// SPDX-License-Identifier: GPL-2.0
/* Elements of sets as keys of the kernel's maps: exact values in hashes, prefixes in tries, ranges as prefixes. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

/* A range of ports inside a concatenation becomes that many elements. */
#define TUPLE_EXPANSION_MAX 65536

static const size_t key_bytes[SET_MAP_MAX] = {
	[SET_WORD] = sizeof(struct set_word_key),   [SET_WORD_LPM] = sizeof(struct set_word_lpm_key),
	[SET_QUAD] = sizeof(struct set_quad_key),   [SET_QUAD_LPM] = sizeof(struct set_quad_lpm_key),
	[SET_TUPLE] = sizeof(struct set_tuple_key),
};

static void **image_keys(struct set_image *image, enum set_map map)
{
	switch (map) {
	case SET_WORD:
		return (void **)&image->word;
	case SET_WORD_LPM:
		return (void **)&image->word_lpm;
	case SET_QUAD:
		return (void **)&image->quad;
	case SET_QUAD_LPM:
		return (void **)&image->quad_lpm;
	default:
		return (void **)&image->tuple;
	}
}

static int image_push(struct set_image *image, enum set_map map, const void *key)
{
	void **keys = image_keys(image, map);

	if (image->n[map] == image->capacity[map]) {
		size_t capacity = image->capacity[map] ? image->capacity[map] * 2 : 16;
		void *grown = realloc(*keys, capacity * key_bytes[map]);

		if (!grown)
			return -ENOMEM;
		*keys = grown;
		image->capacity[map] = capacity;
	}
	memcpy((char *)*keys + image->n[map]++ * key_bytes[map], key, key_bytes[map]);
	return 0;
}

void set_image_clear(struct set_image *image)
{
	for (int map = 0; map < SET_MAP_MAX; map++)
		free(*image_keys(image, map));
	memset(image, 0, sizeof(*image));
}

unsigned int set_maps_used(const struct set *set)
{
	if (set->n_types > 1)
		return 1u << SET_TUPLE;
	switch (set->type[0]) {
	case TYPE_ADDR:
		return 1u << SET_WORD | 1u << SET_WORD_LPM | 1u << SET_QUAD | 1u << SET_QUAD_LPM;
	case TYPE_MAC:
		return 1u << SET_QUAD | 1u << SET_QUAD_LPM;
	default:
		return 1u << SET_WORD | 1u << SET_WORD_LPM;
	}
}

/* ---- values of up to four words, most significant first, as one number ---- */

static int number_compare(const uint32_t *a, const uint32_t *b, int words)
{
	for (int i = 0; i < words; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

/* number | the low `bits` bits */
static void number_fill(uint32_t *number, int words, unsigned int bits)
{
	for (int i = words - 1; i >= 0 && bits; i--) {
		unsigned int here = bits > 32 ? 32 : bits;

		number[i] |= here == 32 ? UINT32_MAX : (1u << here) - 1;
		bits -= here;
	}
}

/* Returns false on overflow. */
static bool number_increment(uint32_t *number, int words)
{
	for (int i = words - 1; i >= 0; i--)
		if (++number[i])
			return true;
	return false;
}

static unsigned int number_trailing_zeros(const uint32_t *number, int words)
{
	unsigned int zeros = 0;

	for (int i = words - 1; i >= 0; i--) {
		if (number[i])
			return zeros + __builtin_ctz(number[i]);
		zeros += 32;
	}
	return zeros;
}

static int push_prefix(struct set_image *image, const uint32_t *number, int words, unsigned int length)
{
	bool exact = length == 32u * words;

	if (words == 1) {
		struct set_word_key key = { .word = number[0] };
		struct set_word_lpm_key prefix = { .prefix_len = length, .word_be = htonl(number[0]) };

		return exact ? image_push(image, SET_WORD, &key) : image_push(image, SET_WORD_LPM, &prefix);
	}
	if (exact) {
		struct set_quad_key key = { .word = { number[0], number[1], number[2], number[3] } };

		return image_push(image, SET_QUAD, &key);
	} else {
		struct set_quad_lpm_key prefix = { .prefix_len = length };

		for (int i = 0; i < 4; i++)
			prefix.word_be[i] = htonl(number[i]);
		return image_push(image, SET_QUAD_LPM, &prefix);
	}
}

/* lo ... hi as the fewest prefixes */
static int push_range(struct set_image *image, const uint32_t *lo, const uint32_t *hi, int words)
{
	uint32_t from[4] = { 0 }, to[4];

	memcpy(from, lo, words * sizeof(*lo));
	for (;;) {
		unsigned int bits = number_trailing_zeros(from, words);
		int r;

		for (;; bits--) {
			memcpy(to, from, sizeof(to));
			number_fill(to, words, bits);
			if (number_compare(to, hi, words) <= 0)
				break;
		}
		r = push_prefix(image, from, words, 32 * words - bits);
		if (r)
			return r;
		if (number_compare(to, hi, words) == 0)
			return 0;
		memcpy(from, to, sizeof(from));
		if (!number_increment(from, words))
			return 0;
	}
}

static unsigned int part_words(enum value_type type)
{
	return type == TYPE_ADDR ? 5 : type == TYPE_MAC ? 2 : 1;
}

/* Fills the words of one part with a single value. */
static void tuple_part(uint32_t *words, enum value_type type, uint8_t family, const uint32_t *value)
{
	if (type == TYPE_ADDR) {
		words[0] = family;
		memcpy(words + 1, value, 4 * sizeof(*value));
	} else {
		memcpy(words, value, part_words(type) * sizeof(*value));
	}
}

static int push_tuple(struct set_image *image, const struct set *set, const struct element *element,
		      const struct device_env *devices, unsigned int part, unsigned int at, struct set_tuple_key *key)
{
	const struct range *range = &element->part[part];
	enum value_type type = set->type[part];
	uint32_t last = range->hi.w[0];
	struct value value = range->lo;

	if (part == set->n_types)
		return image_push(image, SET_TUPLE, key);
	if (type == TYPE_IFACE) {
		value.w[0] = last = devices[value.w[0]].ifindex;
		if (!last)
			return 0;
	}
	if (type == TYPE_ADDR || type == TYPE_MAC)
		last = value.w[0];
	for (;; value.w[0]++) {
		int r;

		tuple_part(key->word + at, type, range->family, value.w);
		r = push_tuple(image, set, element, devices, part + 1, at + part_words(type), key);
		if (r || value.w[0] == last)
			return r;
	}
}

static int add_tuple(struct set_image *image, const struct set *set, const struct element *element,
		     const struct device_env *devices, struct diag *diag)
{
	struct set_tuple_key key = { 0 };
	unsigned int words = 0;
	uint64_t n = 1;

	for (unsigned int i = 0; i < set->n_types; i++) {
		const struct range *range = &element->part[i];

		words += part_words(set->type[i]);
		if (set->type[i] == TYPE_ADDR || set->type[i] == TYPE_MAC) {
			if (memcmp(&range->lo, &range->hi, sizeof(range->lo)))
				return diag_error(diag, element->loc,
						  "an element of a concatenation holds single addresses, not ranges");
		} else {
			n *= (uint64_t)range->hi.w[0] - range->lo.w[0] + 1;
		}
	}
	if (words > TUPLE_WORDS)
		return diag_error(diag, set->loc, "the concatenation of set '%s' is too wide", set->name);
	if (n > TUPLE_EXPANSION_MAX)
		return diag_error(diag, element->loc,
				  "the ranges of this element stand for %llu elements, at most %d are allowed",
				  (unsigned long long)n, TUPLE_EXPANSION_MAX);
	return push_tuple(image, set, element, devices, 0, 0, &key);
}

int set_image_add(struct set_image *image, const struct set *set, const struct element *elements, size_t n,
		  const struct device_env *devices, struct diag *diag)
{
	for (size_t i = 0; i < n; i++) {
		const struct range *range = &elements[i].part[0];
		int words = set->type[0] == TYPE_MAC || range->family == 6 ? 4 : 1, r;

		if (set->n_types > 1) {
			r = add_tuple(image, set, &elements[i], devices, diag);
		} else if (set->type[0] == TYPE_IFACE) {
			uint32_t ifindex = devices[range->lo.w[0]].ifindex;

			r = ifindex ? push_prefix(image, &ifindex, 1, 32) : 0;
		} else {
			r = push_range(image, range->lo.w, range->hi.w, words);
		}
		if (r == -ENOMEM)
			return diag_oom(diag);
		if (r)
			return r;
	}
	return 0;
}
