// SPDX-License-Identifier: GPL-2.0
/* What needs the whole policy: names, types of sets, hooks, devices used twice, handles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lang.h"
#include "suggest.h"

static const char *hook_words(const struct filter *filter)
{
	switch (filter->hook) {
	case POLICY_XDP:
		return filter->generic ? "ingress generic" : "ingress";
	case POLICY_TC_INGRESS:
		return "ingress tc";
	default:
		return "egress";
	}
}

/* ---- sets in conditions ---- */

static void unknown_set(struct lang *l, const char *name, struct location loc)
{
	struct suggestion s;

	diag_error(l->diag, loc, "there is no set '%s'", name);
	suggest_start(&s, name, strlen(name));
	for (size_t i = 0; i < l->policy->n_sets && i < 10000; i++)
		suggest_offer(&s, l->policy->sets[i].name);
	if (suggest_best(&s))
		diag_hint(l->diag, "did you mean '@%s'?", suggest_best(&s));
	else
		diag_hint(l->diag, "expected a block: set %s { ... }", name);
}

static void type_text(const enum value_type *types, size_t n, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " . " : "", value_type_name(types[i]));
}

static void check_set_type(struct lang *l, const struct condition *c, const struct set_entry *entry,
			   struct location loc)
{
	enum value_type types[CONCAT_MAX];
	const struct set *set = &entry->set;
	bool same = c->n_fields == set->n_types;
	char wanted[96], is[96];

	for (size_t i = 0; i < c->n_fields; i++) {
		types[i] = field_info[c->field[i]].type;
		same &= i < set->n_types && types[i] == set->type[i];
	}
	if (!same) {
		type_text(types, c->n_fields, wanted, sizeof(wanted));
		type_text(set->type, set->n_types, is, sizeof(is));
		diag_error(l->diag, loc, "set '%s' holds '%s', and '%s' is wanted", set->name, is, wanted);
		if (set->auto_type)
			diag_hint(l->diag, "the type was taken from its first element; `type %s` in the set states it",
				  wanted);
		diag_other(l->diag, entry->type_loc.file ? entry->type_loc : set->loc);
		return;
	}
	if (!c->negated && set_size(set) && types[0] == TYPE_ADDR) {
		unsigned int family = want_field(c->field[0]).family;

		if ((family == 4 && !entry->has_v4) || (family == 6 && !entry->has_v6)) {
			diag_warning(l->diag, loc, "this can never match: set '%s' has no IPv%u element", set->name,
				     family);
			diag_other(l->diag, set->loc);
		}
	}
}

/* Fields that are not known where the filter stands. */
static void check_fields(struct lang *l, const struct filter *filter, const enum field *fields, size_t n,
			 struct location loc)
{
	for (size_t i = 0; i < n; i++) {
		const struct field_info *info = &field_info[fields[i]];
		char hooks = info->hooks;
		bool ok = hooks == 'A' || (hooks == 'E' && filter->hook == POLICY_TC_EGRESS) ||
			  (hooks == 'I' && filter->hook != POLICY_TC_EGRESS) ||
			  (hooks == 'T' && filter->hook != POLICY_XDP);

		if (ok)
			continue;
		diag_error(l->diag, loc, "'%s' cannot be known on 'hook %s'", info->words, hook_words(filter));
		diag_hint(l->diag, "it exists on %s",
			  hooks == 'E'   ? "'hook egress'"
			  : hooks == 'T' ? "'hook ingress tc' and 'hook egress'"
					 : "'hook ingress'");
		diag_other(l->diag, filter->loc);
	}
}

static void check_condition(struct lang *l, const struct filter *filter, struct condition *c)
{
	if (!c->implied) /* else the limit that it is for says it */
		check_fields(l, filter, c->field, c->n_fields, c->loc);
	if (c->set) {
		const struct set_use *use = (const void *)c->set;
		const struct set_entry *entry = use->entry;

		if (!entry->defined) {
			unknown_set(l, entry->set.name, use->loc);
			return;
		}
		if (entry->set.n_types)
			check_set_type(l, c, entry, use->loc);
		l->policy->sets[entry->set.number].used = true;
		c->set = &l->policy->sets[entry->set.number];
	}
}

static void check_synproxy(struct lang *l, const struct filter *filter, const struct synproxy *synproxy)
{
	if (filter->hook != POLICY_XDP) {
		diag_error(l->diag, synproxy->loc, "'synproxy' does not work on 'hook %s'", hook_words(filter));
		diag_hint(l->diag, "it exists on 'hook ingress' and 'hook ingress generic'");
		diag_other(l->diag, filter->loc);
	}
	if (!synproxy->timestamp && (synproxy->scale >= 0 || synproxy->sack)) {
		diag_warning(l->diag, synproxy->loc, "'%s' has no effect without 'timestamp'",
			     synproxy->sack ? "sack-perm" : "wscale");
		diag_hint(l->diag, "a SYN cookie keeps it in the timestamp");
	}
}

static void ban_refused(struct lang *l, const struct set_use *use, const char *why, const char *hint)
{
	diag_error(l->diag, use->loc, "cannot ban into set '%s': %s", use->entry->set.name, why);
	diag_hint(l->diag, "%s", hint);
	diag_other(l->diag, use->entry->set.loc);
}

static void check_ban(struct lang *l, struct ban_statement *ban)
{
	const struct set_use *use = (const void *)ban->set;
	const struct set_entry *entry = use->entry;
	const struct set *set = &entry->set;

	if (!entry->defined) {
		unknown_set(l, set->name, use->loc);
		return;
	}
	l->policy->sets[set->number].used = true;
	ban->set = &l->policy->sets[set->number];
	l->policy->sets[set->number].banned = true;
	if (!set->n_types || set_takes_bans(set))
		return;
	if (set->n_types > 1 || set->type[0] != TYPE_ADDR)
		ban_refused(l, use, "it does not hold addresses", "expected a set of `type addr`");
	else if (set->has_content)
		ban_refused(l, use, "the file says what is in it",
			    "leave it without elements; `weir set add` may add some");
	else if (!set->has_timeout)
		ban_refused(l, use, "its elements stay for ever", "state `timeout 10m` or `flags timeout` in it");
	else
		ban_refused(l, use, "it has no size", "state how many addresses it may hold, as in `size 100000`");
}

static void check_rule(struct lang *l, const struct filter *filter, struct rule *rule)
{
	for (size_t i = 0; i < rule->n_items; i++) {
		struct item *item = &rule->items[i];

		if (item->kind == ITEM_CONDITION)
			check_condition(l, filter, &item->condition);
		else if (item->kind == ITEM_LIMIT)
			check_fields(l, filter, item->limit.field, item->limit.n_fields, item->limit.loc);
		else if (item->kind == ITEM_BAN)
			check_ban(l, &item->ban);
	}
	if (rule->verdict == POLICY_SYNPROXY)
		check_synproxy(l, filter, &rule->synproxy);
	contradict_rule(l, rule);
}

/* ---- filters ---- */

static void check_stated(struct lang *l, const struct filter *filter, const struct filter_entry *entry)
{
	if (entry->unclosed)
		return;
	if (!entry->hook_loc.file) {
		diag_error(l->diag, filter->loc, "filter '%s' has no hook", filter->name);
		diag_hint(l->diag, "expected 'hook ingress', 'hook ingress tc' or 'hook egress' in the block");
	}
	if (!entry->device_loc.file) {
		diag_error(l->diag, filter->loc, "filter '%s' has no device", filter->name);
		diag_hint(l->diag, "expected 'device NAME' in the block");
	}
	if (!entry->default_loc.file) {
		diag_error(l->diag, filter->loc, "filter '%s' has no default verdict", filter->name);
		diag_hint(l->diag, "expected 'default accept' or 'default drop' in the block");
	}
}

struct bound {
	uint32_t device, hook;
};

static void check_devices(struct lang *l, struct symtab *bindings, const struct filter *filter, size_t *n_places,
			  struct location *places)
{
	for (size_t i = 0; i < filter->n_devices; i++) {
		const struct filter_device *device = &filter->devices[i];
		struct bound *bound = arena_alloc(l->arena, sizeof(*bound));
		size_t known;

		*bound = (struct bound){ device->device, filter->hook };
		known = symtab_add(bindings, bound, sizeof(*bound), *n_places);
		if (known == *n_places) {
			places[(*n_places)++] = device->loc;
			continue;
		}
		diag_error(l->diag, device->loc, "device '%s' has a filter on 'hook %s' already",
			   l->policy->devices[device->device],
			   filter->hook == POLICY_XDP ? "ingress" : hook_words(filter));
		diag_other(l->diag, places[known]);
	}
}

/* ---- handles ---- */

/*
 * A rule keeps its handle, and so its counters, when others come and go around it or its comment changes. Equal
 * rules of a filter are told apart by their order.
 */
static void make_handles(struct lang *l, struct filter *filter)
{
	struct symtab seen = { .arena = l->arena };
	size_t name_length = strlen(filter->name);

	filter->handle = hash_bytes(filter->name, name_length, HASH_SEED);
	for (size_t i = 0; i < filter->n_rules; i++) {
		struct rule *rule = &filter->rules[i], bare = *rule;
		uint64_t *handle = arena_alloc(l->arena, sizeof(*handle));
		size_t ordinal;
		char *text;

		bare.comment = NULL;
		text = rule_print(l->policy, &bare);
		if (!text)
			arena_give_up(l->arena);
		*handle = hash_bytes(text, strlen(text), filter->handle);
		free(text);
		ordinal = symtab_find(&seen, handle, sizeof(*handle));
		ordinal = ordinal == SYMTAB_NONE ? 0 : ordinal + 1;
		symtab_set(&seen, handle, sizeof(*handle), ordinal);
		rule->handle = ordinal ? hash_bytes(&ordinal, sizeof(ordinal), *handle) : *handle;
	}
}

/* ---- tests ---- */

static size_t find_filter(struct lang *l, const char *name, struct location loc)
{
	size_t number = symtab_find(&l->filters, name, strlen(name));
	struct suggestion s;

	if (number != SYMTAB_NONE)
		return number;
	diag_error(l->diag, loc, "there is no filter '%s'", name);
	suggest_start(&s, name, strlen(name));
	for (size_t i = 0; i < l->policy->n_filters && i < 10000; i++)
		suggest_offer(&s, l->policy->filters[i].name);
	if (suggest_best(&s))
		diag_hint(l->diag, "did you mean '%s'?", suggest_best(&s));
	return SYMTAB_NONE;
}

static size_t default_filter(const struct policy *policy)
{
	for (size_t i = 0; i < policy->n_filters; i++)
		if (policy->filters[i].hook != POLICY_TC_EGRESS)
			return i;
	return 0;
}

static void check_test(struct lang *l, struct test *test, const struct test_entry *entry)
{
	const struct filter *filter;
	size_t number, by;
	bool found = test->device < 0;

	if (!l->policy->n_filters) {
		if (l->diag->n_errors == l->errors_before)
			diag_error(l->diag, test->loc, "a test needs a filter, and there is none");
		return;
	}
	number = entry->filter ? find_filter(l, entry->filter, entry->filter_loc) : default_filter(l->policy);
	if (number == SYMTAB_NONE)
		return;
	test->filter = (unsigned int)number;
	filter = &l->policy->filters[number];
	for (size_t i = 0; i < filter->n_devices; i++)
		found |= (int)filter->devices[i].device == test->device;
	if (!found) {
		diag_error(l->diag, entry->device_loc, "filter '%s' does not stand on device '%s'", filter->name,
			   l->policy->devices[test->device]);
		diag_other(l->diag, filter->loc);
	}
	if (!entry->by_filter)
		return;
	by = find_filter(l, entry->by_filter, entry->by_loc);
	if (by != SYMTAB_NONE && by != number) {
		diag_error(l->diag, entry->by_loc, "this test runs filter '%s', not '%s'", filter->name,
			   entry->by_filter);
		diag_hint(l->diag, "name it: 'filter %s' in the block", entry->by_filter);
	}
}

void lang_check(struct lang *l)
{
	struct policy *policy = l->policy;
	struct symtab bindings = { .arena = l->arena };
	struct location *places;
	size_t n = 0, n_places = 0;

	sets_load(l);
	for (size_t i = 0; i < policy->n_filters; i++)
		n += policy->filters[i].n_devices;
	places = arena_alloc(l->arena, n * sizeof(*places));
	for (size_t i = 0; i < policy->n_filters; i++) {
		struct filter *filter = &policy->filters[i];

		check_stated(l, filter, &l->filter_entries[i]);
		check_devices(l, &bindings, filter, &n_places, places);
		for (size_t r = 0; r < filter->n_rules; r++)
			check_rule(l, filter, &filter->rules[r]);
	}
	lang_check_guards(l);
	for (size_t i = 0; i < policy->n_tests; i++)
		check_test(l, &policy->tests[i], &l->test_entries[i]);
	if (l->diag->n_errors > l->errors_before)
		return;
	lang_track(l);
	for (size_t i = 0; i < policy->n_filters; i++)
		make_handles(l, &policy->filters[i]);
}
