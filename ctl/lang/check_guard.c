// SPDX-License-Identifier: GPL-2.0
/* What is wrong between the statements of guards: endpoints twice, tokens that nobody knows, names that say nothing. */
#include <stdlib.h>
#include <string.h>

#include "lang.h"

/* ---- endpoints ---- */

bool guard_target_same(const struct guard_target *a, const struct guard_target *b)
{
	return a->port == b->port && a->addr.family == b->addr.family && !value_compare(&a->addr.lo, &b->addr.lo) &&
	       !value_compare(&a->addr.hi, &b->addr.hi);
}

/* Is there a packet with ports that is for both? */
static bool overlap(const struct guard_target *a, const struct guard_target *b)
{
	return a->addr.family == b->addr.family && value_compare(&a->addr.lo, &b->addr.hi) <= 0 &&
	       value_compare(&b->addr.lo, &a->addr.hi) <= 0 && (a->port == b->port || !a->port || !b->port);
}

/* format: with the text of the target, then a name */
static void __attribute__((format(printf, 4, 0)))
report(struct lang *l, struct location loc, const struct guard_target *target, const char *format, const char *name)
{
	char *text = guard_target_print(target);

	if (!text)
		arena_give_up(l->arena);
	diag_error(l->diag, loc, format, text, name);
	free(text);
}

/* Providers may share an endpoint: it is theirs, not a slip. */
static bool stated_twice(struct lang *l, const struct guard_statement *guard, const struct guard_target *target)
{
	for (const struct guard_target *other = guard->targets; other < target; other++) {
		if (!guard_target_same(other, target) || (other->provider && target->provider))
			continue;
		report(l, target->loc, target, "the endpoint %s stands twice in guard '%s'", guard->name);
		diag_other(l->diag, other->loc);
		return true;
	}
	return false;
}

/* One error for a guard is enough: a provider shares all it has, or nothing. */
static void check_overlap(struct lang *l, const struct guard_statement *guard, const struct guard_statement *before)
{
	for (size_t i = 0; i < guard->n_targets; i++) {
		for (size_t j = 0; j < before->n_targets; j++) {
			if (!overlap(&guard->targets[i], &before->targets[j]))
				continue;
			report(l, guard->targets[i].loc, &guard->targets[i],
			       "the endpoint %s is guarded by '%s' already", before->name);
			diag_other(l->diag, before->targets[j].loc);
			diag_hint(l->diag, "an endpoint has one guard: put what they allow into one block");
			return;
		}
	}
}

/* ---- tokens ---- */

/* Has anything of the provider's, or this endpoint, tokens that could be required? */
static bool has_tokens(const struct guard_statement *guard, const struct guard_target *target)
{
	for (size_t i = 0; i < guard->n_targets; i++) {
		const struct guard_target *other = &guard->targets[i];

		if (other->tokens && (other == target || (target->provider && target->provider == other->provider)))
			return true;
	}
	return false;
}

static void check_tokens(struct lang *l, const struct guard_statement *guard, const struct guard_allow *allow)
{
	for (size_t i = 0; i < guard->n_targets; i++) {
		const struct guard_target *target = &guard->targets[i];

		if (has_tokens(guard, target))
			continue;
		if (target->provider)
			diag_error(l->diag, allow->loc, "'token required', and provider '%s' has no tokens",
				   target->provider);
		else
			report(l, allow->loc, target,
			       "'token required', and the endpoint %s of guard '%s' has no tokens", guard->name);
		diag_other(l->diag, target->loc);
		diag_hint(l->diag,
			  target->provider
				  ? "put the provider into a guard of its own"
				  : "say whose tokens are right there, as in 'endpoint ADDRESS:PORT token aws', "
				    "or put it into a guard of its own");
		return;
	}
	for (size_t i = 0; i < guard->n_targets; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct guard_target *a = &guard->targets[j], *b = &guard->targets[i];

			if (!guard_target_same(a, b) || !a->tokens || !b->tokens || a->tokens == b->tokens)
				continue;
			diag_warning(l->diag, allow->loc,
				     "any one of several kinds of tokens will do: those of '%s' and of '%s'",
				     a->provider, b->provider);
			diag_other(l->diag, b->loc);
			diag_hint(l->diag, "name only the provider of this machine");
			return;
		}
	}
}

static void check_required(struct lang *l, const struct guard_statement *guard)
{
	for (size_t i = 0; i < guard->n_allows; i++) {
		if (guard->allows[i].token) {
			check_tokens(l, guard, &guard->allows[i]);
			return;
		}
	}
}

/* ---- who is allowed ---- */

static bool same_principal(const struct guard_allow *a, const struct guard_allow *b)
{
	bool by_number = a->kind == GUARD_ALLOW_USER || a->kind == GUARD_ALLOW_GROUP;

	return a->kind == b->kind && (by_number ? a->id == b->id : !strcmp(a->name, b->name));
}

static bool same_path(const struct guard_allow *a, const struct guard_allow *b)
{
	return a->path && b->path ? !strcmp(a->path, b->path) : a->path == b->path;
}

static bool is_plain(const struct guard_allow *allow)
{
	return !allow->token && !allow->path;
}

static void check_allow(struct lang *l, const struct guard_statement *guard, const struct guard_allow *allow)
{
	const char *word = guard_principal_word(allow->kind);

	for (const struct guard_allow *other = guard->allows; other < allow; other++) {
		if (!same_principal(allow, other))
			continue;
		if (allow->token == other->token && same_path(allow, other)) {
			diag_error(l->diag, allow->loc, "%s '%s' is allowed twice", word, allow->name);
			diag_other(l->diag, other->loc);
			return;
		}
		if (is_plain(allow) || is_plain(other)) {
			diag_warning(l->diag, allow->loc,
				     "%s '%s' is allowed everything and a part of it: the part says nothing", word,
				     allow->name);
			diag_other(l->diag, other->loc);
			return;
		}
	}
}

void lang_check_guards(struct lang *l)
{
	for (size_t g = 0; g < l->policy->n_guards; g++) {
		const struct guard_statement *guard = &l->policy->guards[g];

		for (size_t i = 0; i < guard->n_targets; i++)
			if (stated_twice(l, guard, &guard->targets[i]))
				break;
		for (size_t before = 0; before < g; before++)
			check_overlap(l, guard, &l->policy->guards[before]);
		check_required(l, guard);
		for (size_t i = 0; i < guard->n_allows; i++)
			check_allow(l, guard, &guard->allows[i]);
	}
}
