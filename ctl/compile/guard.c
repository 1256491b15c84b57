// SPDX-License-Identifier: GPL-2.0
/* Guards as the data path reads them: endpoints in the order in which they are tried, and who has which rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

_Static_assert((int)GUARD_TOKEN_AWS == (int)TOKEN_AWS && (int)GUARD_TOKEN_GCP == (int)TOKEN_GCP &&
		       (int)GUARD_TOKEN_AZURE == (int)TOKEN_AZURE && (int)GUARD_TOKEN_ALIBABA == (int)TOKEN_ALIBABA &&
		       (int)GUARD_TOKEN_ORACLE == (int)TOKEN_ORACLE,
	       "tokens have the same bits");
_Static_assert((int)GUARD_USER == (int)GUARD_ALLOW_USER && (int)GUARD_GROUP == (int)GUARD_ALLOW_GROUP &&
		       (int)GUARD_CGROUP == (int)GUARD_ALLOW_CGROUP && (int)GUARD_SERVICE == (int)GUARD_ALLOW_SERVICE,
	       "kinds of principals have the same numbers");
_Static_assert((int)GUARD_AUDIT_DENIED == (int)GUARD_WORD_DENIED && (int)GUARD_AUDIT_ALL == (int)GUARD_WORD_ALL &&
		       (int)GUARD_AUDIT_NONE == (int)GUARD_WORD_NONE,
	       "what is audited has the same numbers");
_Static_assert(GUARD_RULES_MAX == GUARD_MOST_ALLOWS && GUARD_DEVICES == GUARD_MOST_DEVICES &&
		       GUARD_PATH == GUARD_PATH_MOST + 1 && GUARD_NAME == GUARD_NAME_MOST + 1 &&
		       GUARD_CGROUP_DEPTH == GUARD_CGROUP_MOST,
	       "what the language takes has room");

/* ---- endpoints ---- */

static void mask_of(const struct range *addr, uint32_t mask[4])
{
	for (unsigned int w = 0; w < 4; w++)
		mask[w] = prefix_word(addr->prefix_len, w);
}

/* Providers share endpoints: such a one is there once, with the tokens of all. */
static struct guard_endpoint *find_endpoint(struct guard_tables *tables, const struct guard_endpoint *endpoint)
{
	for (uint32_t i = 0; i < tables->n_endpoints; i++) {
		struct guard_endpoint *other = &tables->endpoint[i];

		if (other->guard == endpoint->guard && other->family == endpoint->family &&
		    other->port == endpoint->port && !memcmp(other->addr, endpoint->addr, sizeof(other->addr)) &&
		    !memcmp(other->mask, endpoint->mask, sizeof(other->mask)))
			return other;
	}
	return NULL;
}

static int add_endpoint(struct guard_tables *tables, const struct guard_target *target, size_t guard, struct diag *diag)
{
	struct guard_endpoint endpoint = {
		.port = target->port, .family = target->addr.family, .guard = guard, .tokens = target->tokens
	};
	struct guard_endpoint *known;

	memcpy(endpoint.addr, target->addr.lo.w, sizeof(endpoint.addr));
	mask_of(&target->addr, endpoint.mask);
	known = find_endpoint(tables, &endpoint);
	if (known) {
		known->tokens |= endpoint.tokens;
		return 0;
	}
	if (tables->n_endpoints == GUARD_ENDPOINTS_MAX)
		return diag_error(diag, target->loc, "more than %d endpoints in all guards", GUARD_ENDPOINTS_MAX);
	tables->endpoint[tables->n_endpoints++] = endpoint;
	return 0;
}

static unsigned int prefix_bits(const struct guard_endpoint *endpoint)
{
	unsigned int bits = 0;

	for (unsigned int w = 0; w < 4; w++)
		bits += __builtin_popcount(endpoint->mask[w]);
	return bits;
}

/* The longest prefix first, then those of one port; else as in the file. */
static bool comes_before(const struct guard_endpoint *a, const struct guard_endpoint *b)
{
	unsigned int bits_a = prefix_bits(a), bits_b = prefix_bits(b);

	return bits_a != bits_b ? bits_a > bits_b : a->port && !b->port;
}

static void sort_endpoints(struct guard_tables *tables)
{
	for (uint32_t i = 1; i < tables->n_endpoints; i++) {
		struct guard_endpoint moved = tables->endpoint[i];
		uint32_t at = i;

		for (; at && comes_before(&moved, &tables->endpoint[at - 1]); at--)
			tables->endpoint[at] = tables->endpoint[at - 1];
		tables->endpoint[at] = moved;
	}
}

static void mark_near(struct guard_tables *tables)
{
	for (uint32_t i = 0; i < tables->n_endpoints; i++) {
		const struct guard_endpoint *endpoint = &tables->endpoint[i];
		__u64 *near = tables->near[endpoint->family == 6];
		uint32_t first = endpoint->addr[0] >> 16, last = (endpoint->addr[0] | ~endpoint->mask[0]) >> 16;

		for (uint32_t n = first; n <= last; n++)
			near[n / 64] |= 1ull << (n % 64);
	}
}

/* ---- who ---- */

static uint64_t hash_name(uint64_t hash, const char *name)
{
	for (; *name; name++)
		hash = guard_name_hash(hash, *name);
	return hash;
}

static uint64_t principal_id(const struct guard_allow *allow, uint64_t secret)
{
	if (allow->kind == GUARD_ALLOW_USER || allow->kind == GUARD_ALLOW_GROUP)
		return allow->id;
	/* The root has no names to hash. */
	return allow->kind == GUARD_ALLOW_CGROUP && !allow->name[1] ? secret : hash_name(secret, allow->name);
}

/* false: all places where it may be are taken. */
static bool place_principal(struct guard_tables *tables, const struct guard_principal *principal)
{
	uint32_t place = guard_principal_place(principal->id, principal->guard, principal->who, tables->seed);

	for (uint32_t i = 0; i < GUARD_PRINCIPAL_LOOKS; i++) {
		struct guard_principal *at = &tables->principal[(place + i) & (GUARD_PRINCIPALS - 1)];

		if (at->rules &&
		    (at->id != principal->id || at->guard != principal->guard || at->who != principal->who))
			continue;
		*at = (struct guard_principal){ .id = principal->id,
						.rules = at->rules | principal->rules,
						.guard = principal->guard,
						.who = principal->who };
		return true;
	}
	return false;
}

static bool place_all(struct guard_tables *tables, const struct policy *policy)
{
	memset(tables->principal, 0, sizeof(tables->principal));
	for (size_t g = 0; g < policy->n_guards; g++) {
		for (size_t i = 0; i < policy->guards[g].n_allows; i++) {
			const struct guard_allow *allow = &policy->guards[g].allows[i];
			struct guard_principal principal = { .id = principal_id(allow, tables->secret),
							     .rules = 1ull << i,
							     .guard = g,
							     .who = allow->kind };

			if (!place_principal(tables, &principal))
				return false;
		}
	}
	return true;
}

#define SEEDS 1000

static int place_principals(struct guard_tables *tables, const struct policy *policy, struct diag *diag)
{
	for (tables->seed = 1; tables->seed <= SEEDS; tables->seed++)
		if (place_all(tables, policy))
			return 0;
	return diag_error(diag, policy->guards[0].loc, "too many identities are allowed in all guards");
}

/* ---- one guard ---- */

static int add_rules(struct guard_tables *tables, struct guard *guard, const struct guard_statement *statement,
		     uint32_t *n_rules, struct diag *diag)
{
	guard->first_rule = *n_rules;
	guard->n_rules = statement->n_allows;
	for (size_t i = 0; i < statement->n_allows; i++) {
		const struct guard_allow *allow = &statement->allows[i];
		struct guard_rule *rule;

		if (*n_rules == GUARD_RULES_TOTAL)
			return diag_error(diag, allow->loc, "more than %d identities are allowed in all guards",
					  GUARD_RULES_TOTAL);
		rule = &tables->rule[(*n_rules)++];
		if (!allow->token && !allow->path)
			guard->plain |= 1ull << i;
		rule->flags = allow->token ? GUARD_RULE_TOKEN : 0;
		if (allow->path) {
			rule->n_path = strlen(allow->path);
			memcpy(rule->path, allow->path, rule->n_path);
		}
	}
	return 0;
}

static void set_forwarded(struct guard *guard, const struct guard_statement *statement,
			  const struct device_env *devices)
{
	guard->forwarded = !statement->forwarded  ? GUARD_FROM_NONE
			   : statement->n_devices ? GUARD_FROM_SOME
						  : GUARD_FROM_ALL;
	for (size_t i = 0; i < statement->n_devices; i++)
		if (devices[statement->devices[i]].ifindex)
			guard->device[guard->n_devices++] = devices[statement->devices[i]].ifindex;
}

static int fill_tables(struct guard_tables *tables, const struct compile_input *input, struct diag *diag)
{
	const struct policy *policy = input->policy;
	uint32_t n_rules = 0;
	int r = 0;

	if (policy->n_guards > GUARDS_MAX)
		return diag_error(diag, policy->guards[GUARDS_MAX].loc, "more than %d guards", GUARDS_MAX);
	tables->netns = input->netns;
	tables->secret = input->secret;
	tables->n_guards = policy->n_guards;
	for (size_t g = 0; g < policy->n_guards && r == 0; g++) {
		const struct guard_statement *statement = &policy->guards[g];
		struct guard *guard = &tables->guard[g];

		guard->counters = input->counters->guard[g];
		guard->deny_errno = statement->deny_errno;
		guard->audit = statement->audit;
		set_forwarded(guard, statement, input->devices);
		r = add_rules(tables, guard, statement, &n_rules, diag);
		for (size_t i = 0; i < statement->n_targets && r == 0; i++)
			r = add_endpoint(tables, &statement->targets[i], g, diag);
	}
	if (r)
		return r;
	sort_endpoints(tables);
	mark_near(tables);
	return place_principals(tables, policy, diag);
}

int compile_guards(struct guard_tables **ret, const struct compile_input *input, struct diag *diag)
{
	struct guard_tables *tables = NULL;
	int r = 0;

	if (input->policy->n_guards) {
		tables = calloc(1, sizeof(*tables));
		r = tables ? fill_tables(tables, input, diag) : diag_oom(diag);
	}
	if (r) {
		free(tables);
		return r;
	}
	*ret = tables;
	return 0;
}
