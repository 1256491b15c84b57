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

size_t set_key_bytes(enum set_map map)
{
	return key_bytes[map];
}

int set_image_reserve(struct set_image *image, enum set_map map, size_t capacity)
{
	void **keys = image_keys(image, map), *grown = realloc(*keys, capacity * key_bytes[map]);

	if (!grown)
		return -ENOMEM;
	*keys = grown;
	if (image->has_values) {
		grown = realloc(image->value[map], capacity * sizeof(*image->value[map]));
		if (!grown)
			return -ENOMEM;
		image->value[map] = grown;
	}
	image->capacity[map] = capacity;
	return 0;
}

int set_image_push(struct set_image *image, enum set_map map, const void *key, const struct set_value *value)
{
	size_t at = image->n[map];

	if (at == image->capacity[map]) {
		int r = set_image_reserve(image, map, at ? at * 2 : 16);

		if (r)
			return r;
	}
	memcpy((char *)*image_keys(image, map) + at * key_bytes[map], key, key_bytes[map]);
	if (image->has_values)
		image->value[map][at] = value ? *value : (struct set_value){ 0 };
	image->n[map]++;
	return 0;
}

const void *set_image_key(const struct set_image *image, enum set_map map, size_t i)
{
	return (const char *)*image_keys((struct set_image *)image, map) + i * key_bytes[map];
}

struct set_value set_image_value(const struct set_image *image, enum set_map map, size_t i)
{
	return image->value[map] ? image->value[map][i] : (struct set_value){ 0 };
}

size_t set_image_count(const struct set_image *image)
{
	size_t n = 0;

	for (int map = 0; map < SET_MAP_MAX; map++)
		n += image->n[map];
	return n;
}

void set_image_clear(struct set_image *image)
{
	for (int map = 0; map < SET_MAP_MAX; map++) {
		free(*image_keys(image, map));
		free(image->value[map]);
	}
	memset(image, 0, sizeof(*image));
}

bool set_in_pool(const struct set *set)
{
	return set->n_types == 1 && !set_has_values(set);
}

bool set_has_values(const struct set *set)
{
	return set->has_timeout || set->has_counter;
}

unsigned int set_maps_used(const struct set *set)
{
	if (set_in_pool(set))
		return 0;
	if (set->n_types > 1)
		return 1u << SET_TUPLE;
	switch (set->type[0]) {
	case TYPE_ADDR:
		return 1u << SET_WORD | 1u << SET_WORD_LPM | 1u << SET_QUAD | 1u << SET_QUAD_LPM |
		       (set_takes_bans(set) ? 1u << SET_RING : 0);
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

static int push_prefix(struct set_image *image, const uint32_t *number, int words, unsigned int length,
		       const struct set_value *value)
{
	bool exact = length == 32u * words;

	if (words == 1) {
		struct set_word_key key = { .word = number[0] };
		struct set_word_lpm_key prefix = { .prefix_len = length, .word_be = htonl(number[0]) };

		return exact ? set_image_push(image, SET_WORD, &key, value)
			     : set_image_push(image, SET_WORD_LPM, &prefix, value);
	}
	if (exact) {
		struct set_quad_key key = { .word = { number[0], number[1], number[2], number[3] } };

		return set_image_push(image, SET_QUAD, &key, value);
	} else {
		struct set_quad_lpm_key prefix = { .prefix_len = length };

		for (int i = 0; i < 4; i++)
			prefix.word_be[i] = htonl(number[i]);
		return set_image_push(image, SET_QUAD_LPM, &prefix, value);
	}
}

/* lo ... hi as the fewest prefixes */
static int push_range(struct set_image *image, const uint32_t *lo, const uint32_t *hi, int words,
		      const struct set_value *value)
{
	uint32_t from[4] = { 0 }, to[4];

	if (!memcmp(lo, hi, words * sizeof(*lo)))
		return push_prefix(image, lo, words, 32 * words, value);
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
		r = push_prefix(image, from, words, 32 * words - bits, value);
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
		      const struct device_env *devices, unsigned int part, unsigned int at, struct set_tuple_key *key,
		      const struct set_value *given)
{
	const struct range *range;
	enum value_type type;
	struct value value;
	uint32_t last;

	if (part == set->n_types)
		return set_image_push(image, SET_TUPLE, key, given);
	range = &element->part[part];
	type = set->type[part];
	value = range->lo;
	last = range->hi.w[0];
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
		r = push_tuple(image, set, element, devices, part + 1, at + part_words(type), key, given);
		if (r || value.w[0] == last)
			return r;
	}
}

static int add_tuple(struct set_image *image, const struct set *set, const struct element *element,
		     const struct device_env *devices, const struct set_value *value, struct diag *diag)
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
	return push_tuple(image, set, element, devices, 0, 0, &key, value);
}

/* What an element begins with. */
static struct set_value value_of(const struct set *set, const struct element_extra *extra)
{
	uint64_t timeout_ms = extra && extra->timeout_ms ? extra->timeout_ms : set->timeout_ms;
	uint64_t left_ms = extra && extra->expires_ms ? extra->expires_ms : timeout_ms;
	struct set_value value = { 0 };

	if (set->has_timeout) {
		value.timeout_ns = timeout_ms * 1000000;
		value.expires_ns = left_ms * 1000000;
	}
	if (set->has_counter && extra) {
		value.packets = extra->packets;
		value.bytes = extra->bytes;
	}
	return value;
}

int set_image_add(struct set_image *image, const struct set *set, const struct element *elements, size_t n,
		  const struct device_env *devices, struct diag *diag)
{
	image->has_values = set_has_values(set);
	for (size_t i = 0; i < n; i++) {
		const struct range *range = &elements[i].part[0];
		struct set_value value = value_of(set, elements[i].extra);
		int words = set->type[0] == TYPE_MAC || range->family == 6 ? 4 : 1, r;

		if (set->n_types > 1) {
			r = add_tuple(image, set, &elements[i], devices, &value, diag);
		} else if (set->type[0] == TYPE_IFACE) {
			uint32_t ifindex = devices[range->lo.w[0]].ifindex;

			r = ifindex ? push_prefix(image, &ifindex, 1, 32, &value) : 0;
		} else {
			r = push_range(image, range->lo.w, range->hi.w, words, &value);
		}
		if (r == -ENOMEM)
			return diag_oom(diag);
		if (r)
			return r;
	}
	return 0;
}

int set_image_add_addresses(struct set_image *image, const struct set *set, const struct addresses *addresses,
			    struct diag *diag)
{
	struct set_value value = value_of(set, NULL);
	size_t n_exact = 0;
	int r = 0;

	image->has_values = set_has_values(set);
	for (size_t i = 0; i < addresses->n4; i++)
		n_exact += addresses->v4[i].lo == addresses->v4[i].hi;
	if (n_exact > image->capacity[SET_WORD] - image->n[SET_WORD])
		r = set_image_reserve(image, SET_WORD, image->n[SET_WORD] + n_exact);
	for (size_t i = 0; i < addresses->n4 && r == 0; i++)
		r = push_range(image, &addresses->v4[i].lo, &addresses->v4[i].hi, 1, &value);
	for (size_t i = 0; i < addresses->n6 && r == 0; i++)
		r = push_range(image, addresses->v6[i].lo, addresses->v6[i].hi, 4, &value);
	return r ? diag_oom(diag) : 0;
}

int set_image_of(struct set_image *image, const struct set *set, const struct device_env *devices, struct diag *diag)
{
	int r = set_image_add(image, set, set->elements, set->n_elements, devices, diag);

	return r ? r : set_image_add_addresses(image, set, &set->addresses, diag);
}

static int compare_bytes(const void *a, const void *b, void *bytes)
{
	return memcmp(a, b, *(const size_t *)bytes);
}

size_t set_keys_sort(void *keys, size_t n, size_t bytes)
{
	char *at = keys;
	size_t kept = 0;

	if (n)
		qsort_r(keys, n, bytes, compare_bytes, &bytes);
	for (size_t i = 0; i < n; i++)
		if (!kept || memcmp(at + (kept - 1) * bytes, at + i * bytes, bytes))
			memmove(at + kept++ * bytes, at + i * bytes, bytes);
	return kept;
}
