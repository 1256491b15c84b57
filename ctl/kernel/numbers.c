// SPDX-License-Identifier: GPL-2.0
/*
 * Counter numbers with history: a rule that stays keeps its number, wherever it moved, so its counts go on.
 * Numbers that fall free are not given out again in the same apply: the old rules still count there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"

struct known {
	uint64_t handle;
	uint32_t rule, own;
};

struct numbering {
	uint64_t *used;
	size_t n_used; /* numbers the bitmap covers */
	uint32_t next;
	struct fresh *fresh;
	uint32_t highest;
	int error;
};

static void mark(struct numbering *n, uint32_t number)
{
	if (number == COUNTER_NONE || n->error)
		return;
	while (number >= n->n_used) {
		size_t more = n->n_used ? n->n_used * 2 : 4096;
		uint64_t *used = realloc(n->used, more / 8);

		if (!used) {
			n->error = -ENOMEM;
			return;
		}
		memset((char *)used + n->n_used / 8, 0, (more - n->n_used) / 8);
		n->used = used;
		n->n_used = more;
	}
	n->used[number / 64] |= 1ul << (number % 64);
	if (number >= n->highest)
		n->highest = number + 1;
}

static bool is_used(const struct numbering *n, uint32_t number)
{
	return number < n->n_used && n->used[number / 64] & 1ul << (number % 64);
}

static void remember_fresh(struct numbering *n, uint32_t number)
{
	struct fresh *fresh = n->fresh;

	if (fresh->n == fresh->capacity) {
		size_t capacity = fresh->capacity ? fresh->capacity * 2 : 256;
		uint32_t *grown = realloc(fresh->at, capacity * sizeof(*grown));

		if (!grown) {
			n->error = -ENOMEM;
			return;
		}
		fresh->at = grown;
		fresh->capacity = capacity;
	}
	fresh->at[fresh->n++] = number;
}

/* `count` free numbers in a row */
static uint32_t give(struct numbering *n, uint32_t count)
{
	uint32_t first = n->next, run = 0;

	while (run < count) {
		if (is_used(n, first + run)) {
			first += run + 1;
			run = 0;
		} else {
			run++;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		mark(n, first + i);
		remember_fresh(n, first + i);
	}
	if (count == 1)
		n->next = first + 1;
	return first;
}

static int by_handle(const void *a, const void *b)
{
	uint64_t x = ((const struct known *)a)->handle, y = ((const struct known *)b)->handle;

	return x < y ? -1 : x > y;
}

/* All rules of the running policy that count, sorted by handle. */
static struct known *known_rules(const struct running *running, size_t *ret_n)
{
	struct known *known;
	size_t rules = 0, n = 0;

	for (size_t f = 0; running && f < running->policy->n_filters; f++)
		rules += running->policy->filters[f].n_rules;
	known = malloc((rules + 1) * sizeof(*known));
	for (size_t f = 0; known && running && f < running->policy->n_filters; f++) {
		const struct filter *filter = &running->policy->filters[f];

		for (size_t i = 0; i < filter->n_rules; i++)
			known[n++] = (struct known){ filter->rules[i].handle, running->counters->rule[f][i],
						     running->counters->own[f][i] };
	}
	if (known)
		qsort(known, n, sizeof(*known), by_handle);
	*ret_n = n;
	return known;
}

static void mark_running(struct numbering *n, const struct running *running, const struct known *known, size_t n_known)
{
	for (uint32_t i = 0; i < COUNTERS_RESERVED; i++)
		mark(n, i);
	for (size_t i = 0; i < n_known; i++) {
		mark(n, known[i].rule);
		mark(n, known[i].own);
	}
	for (size_t f = 0; running && f < running->policy->n_filters; f++)
		for (uint32_t i = 0; i < REASON_MAX; i++)
			mark(n, running->counters->filter[f] + i);
	for (size_t c = 0; running && c < running->policy->n_counters; c++)
		mark(n, running->counters->named[c]);
	for (size_t g = 0; running && g < running->policy->n_guards; g++)
		for (uint32_t i = 0; i < GUARD_COUNTERS; i++)
			mark(n, running->counters->guard[g] + i);
}

static uint32_t number_of_filter(struct numbering *n, const struct running *running, const struct filter *filter)
{
	for (size_t f = 0; running && f < running->policy->n_filters; f++)
		if (running->policy->filters[f].handle == filter->handle)
			return running->counters->filter[f];
	return give(n, REASON_MAX);
}

static uint32_t number_of_name(struct numbering *n, const struct running *running, const char *name)
{
	for (size_t c = 0; running && c < running->policy->n_counters; c++)
		if (!strcmp(running->policy->counters[c], name))
			return running->counters->named[c];
	return give(n, 1);
}

static uint32_t number_of_guard(struct numbering *n, const struct running *running, uint64_t handle)
{
	for (size_t g = 0; running && g < running->policy->n_guards; g++)
		if (running->policy->guards[g].handle == handle)
			return running->counters->guard[g];
	return give(n, GUARD_COUNTERS);
}

int counter_plan_keeping(struct counter_plan **ret, struct fresh *fresh, const struct policy *policy,
			 const struct running *running)
{
	struct counter_plan *plan = counter_plan_new(policy);
	struct numbering n = { .fresh = fresh };
	struct known *known;
	size_t n_known;

	known = known_rules(running, &n_known);
	if (!plan || !known) {
		counter_plan_free(plan);
		free(known);
		return -ENOMEM;
	}
	mark_running(&n, running, known, n_known);
	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		plan->filter[f] = number_of_filter(&n, running, filter);
		for (size_t i = 0; i < filter->n_rules; i++) {
			struct known key = { .handle = filter->rules[i].handle };
			const struct known *old = bsearch(&key, known, n_known, sizeof(key), by_handle);
			bool own, wants = counter_plan_wants(filter, &filter->rules[i], &own);

			if (wants)
				plan->rule[f][i] = old && old->rule != COUNTER_NONE ? old->rule : give(&n, 1);
			if (own)
				plan->own[f][i] = old && old->own != COUNTER_NONE ? old->own : give(&n, 1);
		}
	}
	for (size_t c = 0; c < policy->n_counters; c++)
		plan->named[c] = number_of_name(&n, running, policy->counters[c]);
	for (size_t g = 0; g < policy->n_guards; g++)
		plan->guard[g] = number_of_guard(&n, running, policy->guards[g].handle);
	plan->n = n.highest;
	free(known);
	free(n.used);
	if (n.error) {
		counter_plan_free(plan);
		return n.error;
	}
	*ret = plan;
	return 0;
}
