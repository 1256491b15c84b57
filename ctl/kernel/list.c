// SPDX-License-Identifier: GPL-2.0
/* The elements of running sets: keys back to ranges. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inner.h"
#include "root.h"
#include "tables.h"

static uint32_t device_number(const struct weir_root *root, uint32_t ifindex)
{
	for (size_t i = 0; i < root->running.policy->n_devices; i++)
		if (root->running.devices[i].ifindex == ifindex)
			return i;
	return UINT32_MAX;
}

static struct range word_range(const struct weir_root *root, enum value_type type, uint32_t word, unsigned int length)
{
	struct range range = { .family = type == TYPE_ADDR ? 4 : 0, .prefix_len = length };

	if (type == TYPE_IFACE)
		word = device_number(root, word);
	range.lo.w[0] = word;
	range.hi.w[0] = length == 32 ? word : word | (uint32_t)(UINT64_C(0xffffffff) >> length);
	if (type != TYPE_ADDR)
		range.prefix_len = length == 32 ? 32 : 255;
	return range;
}

static struct range quad_range(enum value_type type, const uint32_t word[4], unsigned int length)
{
	struct range range = { .family = type == TYPE_ADDR ? 6 : 0, .prefix_len = length };

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = length > i * 32 ? length - i * 32 : 0;

		range.lo.w[i] = word[i];
		range.hi.w[i] = bits >= 32 ? word[i] : word[i] | (uint32_t)(UINT64_C(0xffffffff) >> bits);
	}
	if (type == TYPE_MAC) {
		range.hi.w[2] = range.hi.w[3] = 0;
		range.prefix_len = length == 128 ? 32 : 255;
	}
	return range;
}

static void tuple_ranges(const struct weir_root *root, const struct set *set, const uint32_t *words,
			 struct range *parts)
{
	for (unsigned int i = 0; i < set->n_types; i++) {
		struct range range = { .prefix_len = 32 };

		if (set->type[i] == TYPE_ADDR) {
			range.family = words[0];
			range.prefix_len = words[0] == 6 ? 128 : 32;
			memcpy(range.lo.w, words + 1, sizeof(range.lo.w));
			words += 5;
		} else if (set->type[i] == TYPE_MAC) {
			memcpy(range.lo.w, words, 2 * sizeof(*words));
			words += 2;
		} else {
			range.lo.w[0] = set->type[i] == TYPE_IFACE ? device_number(root, *words) : *words;
			words++;
		}
		range.hi = range.lo;
		parts[i] = range;
	}
}

static void key_ranges(const struct weir_root *root, const struct set *set, enum set_map map, const void *key,
		       struct range *parts)
{
	const struct set_word_lpm_key *word_lpm = key;
	const struct set_quad_lpm_key *quad_lpm = key;
	uint32_t words[4];

	switch (map) {
	case SET_WORD:
		*parts = word_range(root, set->type[0], ((const struct set_word_key *)key)->word, 32);
		break;
	case SET_WORD_LPM:
		*parts = word_range(root, set->type[0], ntohl(word_lpm->word_be), word_lpm->prefix_len);
		break;
	case SET_QUAD:
		*parts = quad_range(set->type[0], ((const struct set_quad_key *)key)->word, 128);
		break;
	case SET_QUAD_LPM:
		for (int i = 0; i < 4; i++)
			words[i] = ntohl(quad_lpm->word_be[i]);
		*parts = quad_range(set->type[0], words, quad_lpm->prefix_len);
		break;
	default:
		tuple_ranges(root, set, ((const struct set_tuple_key *)key)->word, parts);
	}
}

static int compare_elements(const void *a, const void *b, void *n_parts)
{
	const struct range *x = a, *y = b;

	for (unsigned int i = 0; i < *(unsigned int *)n_parts; i++) {
		if (x[i].family != y[i].family)
			return x[i].family < y[i].family ? -1 : 1;
		for (int w = 0; w < 4; w++)
			if (x[i].lo.w[w] != y[i].lo.w[w])
				return x[i].lo.w[w] < y[i].lo.w[w] ? -1 : 1;
		if (x[i].prefix_len != y[i].prefix_len)
			return x[i].prefix_len < y[i].prefix_len ? -1 : 1;
	}
	return 0;
}

/* An interface that is gone left its number behind, which no packet comes by and no name stands for. */
static bool has_names(const struct set *set, const struct range *parts)
{
	for (unsigned int i = 0; i < set->n_types; i++)
		if (set->type[i] == TYPE_IFACE && parts[i].lo.w[0] == UINT32_MAX)
			return false;
	return true;
}

int root_set_image(struct weir_root *root, const struct set *set, struct set_image *ret, struct diag *diag)
{
	struct inner inner = inner_none;
	int r;

	*ret = (struct set_image){ 0 };
	if (set_in_pool(set)) {
		r = tables_image(ret, root, set);
	} else {
		r = inner_open(&inner, set, root->instance->set, root->running.set_slot[set->number], diag);
		if (r)
			return r;
		r = inner_image(ret, &inner, set);
		inner_close(&inner);
	}
	if (r == 0)
		return 0;
	set_image_clear(ret);
	return diag_errno(diag, -r, "cannot list set '%s'", set->name);
}

int root_set_count(struct weir_root *root, const struct set *set, size_t *ret, struct diag *diag)
{
	struct set_image image;
	int r;

	if (set_in_pool(set)) {
		*ret = tables_count(root, set);
		return 0;
	}
	r = root_set_image(root, set, &image, diag);
	*ret = r ? 0 : set_image_count(&image);
	if (r == 0)
		set_image_clear(&image);
	return r;
}

/* Values go along with what they belong to. */
struct sorting {
	unsigned int n_parts;
	const struct range *ranges;
};

static int compare_numbers(const void *a, const void *b, void *context)
{
	struct sorting *s = context;

	return compare_elements(s->ranges + *(const uint32_t *)a * s->n_parts,
				s->ranges + *(const uint32_t *)b * s->n_parts, &s->n_parts);
}

static int sort_with_values(struct range *ranges, struct set_value *values, size_t n, unsigned int n_parts)
{
	struct sorting s = { n_parts, ranges };
	uint32_t *order = malloc(n * sizeof(*order));
	struct range *r = malloc(n * n_parts * sizeof(*r));
	struct set_value *v = malloc(n * sizeof(*v));
	bool ok = order && r && v;

	if (ok) {
		for (size_t i = 0; i < n; i++)
			order[i] = i;
		qsort_r(order, n, sizeof(*order), compare_numbers, &s);
		for (size_t i = 0; i < n; i++) {
			memcpy(r + i * n_parts, ranges + order[i] * n_parts, n_parts * sizeof(*r));
			v[i] = values[order[i]];
		}
		memcpy(ranges, r, n * n_parts * sizeof(*r));
		memcpy(values, v, n * sizeof(*v));
	}
	free(order);
	free(r);
	free(v);
	return ok ? 0 : -ENOMEM;
}

int root_set_list(struct weir_root *root, const struct set *set, struct range **ret, struct set_value **ret_values,
		  size_t *ret_n, struct diag *diag)
{
	unsigned int n_parts = set->n_types;
	struct set_value *values = NULL;
	struct set_image image;
	struct range *ranges;
	size_t n = 0, all;
	int r = root_set_image(root, set, &image, diag);

	if (r)
		return r;
	all = set_image_count(&image);
	ranges = malloc((all + 1) * n_parts * sizeof(*ranges));
	if (ret_values && set_has_values(set))
		values = malloc((all + 1) * sizeof(*values));
	if (!ranges || (ret_values && set_has_values(set) && !values))
		r = -ENOMEM;
	for (int map = 0; map < SET_MAP_MAX && r == 0; map++) {
		for (size_t i = 0; i < image.n[map]; i++) {
			key_ranges(root, set, map, set_image_key(&image, map, i), ranges + n * n_parts);
			if (values)
				values[n] = set_image_value(&image, map, i);
			n += has_names(set, ranges + n * n_parts);
		}
	}
	set_image_clear(&image);
	if (r == 0 && n && values)
		r = sort_with_values(ranges, values, n, n_parts);
	else if (r == 0 && n)
		qsort_r(ranges, n, n_parts * sizeof(*ranges), compare_elements, &n_parts);
	if (r) {
		free(ranges);
		free(values);
		return diag_errno(diag, -r, "cannot list set '%s'", set->name);
	}
	*ret = ranges;
	*ret_n = n;
	if (ret_values)
		*ret_values = values;
	return 0;
}
