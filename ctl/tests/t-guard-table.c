// SPDX-License-Identifier: GPL-2.0
/*
 * Guards as tables: random rule files are compiled, and what the tables say of every principal, of random addresses and
 * ports is held against the list that the file was written from.
 *
 * t-guard-table [POLICIES [SEED]]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../compile/compile.h"
#include "../lang/policy.h"
#include "../lang/providers.h"
#include "check.h"
#include "policy_text.h"
#include "random.h"

#define GUARDS    6
#define TARGETS   8
#define ALLOWS    12
#define DEVICES   12
#define ADDRESSES 400
#define NETNS     0x123456789abcdefu
#define SECRET    0xfedcba987654321u

struct target {
	uint8_t family;
	uint32_t addr[4];
	unsigned int length;
	uint16_t port; /* 0: none */
	unsigned int token;
};

struct allow {
	unsigned int who; /* as in names_of_who */
	uint32_t number;
	char name[64];
	bool token;
	const char *path; /* or NULL */
};

struct said {
	struct target target[TARGETS];
	struct allow allow[ALLOWS];
	unsigned int n_targets, n_allows, n_devices, device[GUARD_DEVICES];
	bool forwarded;
	unsigned int error, audit;
};

static const char *const names_of_who[] = { "user", "group", "cgroup", "service" };
static const char *const names_of_token[] = { "aws", "gcp", "azure", "alibaba", "oracle" };
static const char *const paths[] = { "/", "/latest/", "/latest/meta-data", "/opc/v2/instance/" };
static const char *const audits[] = { "denied", "all", "none" };
static const struct {
	const char *name;
	int error;
} errors[] = { { "EPERM", EPERM }, { "EACCES", EACCES }, { "ECONNREFUSED", ECONNREFUSED } };

/* ---- a random file ---- */

/* Few, so that endpoints meet; each guard has a net of its own, so that they do not meet those of another one. */
static void random_address(struct random *r, unsigned int guard, struct target *target)
{
	unsigned int bits;

	memset(target->addr, 0, sizeof(target->addr));
	target->family = random_chance(r, 50) ? 4 : 6;
	bits = target->family == 4 ? 32 : 128;
	target->addr[0] = target->family == 4 ? (10 + guard) << 24 : 0xfd000000 | guard << 20;
	target->addr[target->family == 4 ? 0 : 3] |= random_below(r, 6);
	target->addr[0] |= random_below(r, 3) << 15;
	target->length = random_chance(r, 60) ? bits : random_between(r, target->family == 4 ? 8 : 12, bits);
	for (unsigned int i = 0; i < 128; i++)
		if (i >= target->length)
			target->addr[i / 32] &= ~(1u << (31 - i % 32));
	if (target->family == 4)
		target->addr[1] = target->addr[2] = target->addr[3] = 0;
}

static bool said_before(const struct said *said, const struct target *target)
{
	for (unsigned int i = 0; i < said->n_targets; i++)
		if (said->target[i].family == target->family && said->target[i].length == target->length &&
		    said->target[i].port == target->port &&
		    !memcmp(said->target[i].addr, target->addr, sizeof(target->addr)))
			return true;
	return false;
}

static bool allowed_before(const struct said *said, const struct allow *allow)
{
	for (unsigned int i = 0; i < said->n_allows; i++) {
		const struct allow *other = &said->allow[i];

		if (other->who == allow->who && other->number == allow->number && !strcmp(other->name, allow->name) &&
		    other->token == allow->token && other->path == allow->path)
			return true;
	}
	return false;
}

static void random_allow(struct random *r, struct allow *allow)
{
	*allow = (struct allow){ .who = random_below(r, 4), .token = random_chance(r, 40) };
	if (random_chance(r, 40))
		allow->path = random_pick(r, paths);
	if (allow->who < 2)
		allow->number = random_chance(r, 50) ? random_below(r, 5) : random_next(r) >> 33;
	else if (allow->who == 2)
		snprintf(allow->name, sizeof(allow->name), random_chance(r, 50) ? "/a.slice/n%u.service" : "/n%u",
			 random_below(r, 20));
	else
		snprintf(allow->name, sizeof(allow->name), "n%u.%s", random_below(r, 20),
			 random_chance(r, 50) ? "service" : "scope");
}

static void random_guard(struct random *r, unsigned int guard, struct said *said)
{
	unsigned int n_targets = random_between(r, 1, TARGETS), n_allows = random_below(r, ALLOWS + 1);

	*said = (struct said){ .forwarded = random_chance(r, 50),
			       .error = random_below(r, sizeof(errors) / sizeof(*errors)),
			       .audit = random_below(r, 3) };
	for (unsigned int i = 0; i < n_targets; i++) {
		struct target target = { .token = random_below(r, 5) };

		random_address(r, guard, &target);
		target.port = random_chance(r, 30) ? 0 : random_between(r, 80, 82);
		if (!said_before(said, &target))
			said->target[said->n_targets++] = target;
	}
	for (unsigned int i = 0; i < n_allows; i++) {
		struct allow allow;

		random_allow(r, &allow);
		if (!allowed_before(said, &allow))
			said->allow[said->n_allows++] = allow;
	}
	if (said->forwarded && random_chance(r, 60))
		for (unsigned int i = 0; i < DEVICES && said->n_devices < GUARD_DEVICES; i++)
			if (random_chance(r, 40))
				said->device[said->n_devices++] = i;
}

static void write_target(FILE *f, const struct target *target)
{
	fprintf(f, "\tendpoint ");
	if (target->family == 4)
		fprintf(f, "%u.%u.%u.%u/%u", target->addr[0] >> 24, target->addr[0] >> 16 & 255,
			target->addr[0] >> 8 & 255, target->addr[0] & 255, target->length);
	else
		fprintf(f, "[%x:%x:%x:%x:%x:%x:%x:%x]/%u", target->addr[0] >> 16, target->addr[0] & 0xffff,
			target->addr[1] >> 16, target->addr[1] & 0xffff, target->addr[2] >> 16,
			target->addr[2] & 0xffff, target->addr[3] >> 16, target->addr[3] & 0xffff, target->length);
	if (target->port)
		fprintf(f, ":%u", target->port);
	fprintf(f, " token %s\n", names_of_token[target->token]);
}

static void write_guard(FILE *f, unsigned int number, const struct said *said)
{
	fprintf(f, "guard g%u {\n", number);
	for (unsigned int i = 0; i < said->n_targets; i++)
		write_target(f, &said->target[i]);
	for (unsigned int i = 0; i < said->n_allows; i++) {
		const struct allow *allow = &said->allow[i];

		fprintf(f, "\tallow %s ", names_of_who[allow->who]);
		if (allow->who < 2)
			fprintf(f, "%u", allow->number);
		else
			fprintf(f, "\"%s\"", allow->name);
		if (allow->path)
			fprintf(f, " path \"%s\"", allow->path);
		fprintf(f, "%s\n", allow->token ? " token required" : "");
	}
	fprintf(f, "\tforwarded %s", said->forwarded ? "allow" : "deny");
	for (unsigned int i = 0; i < said->n_devices; i++)
		fprintf(f, "%s d%u", i ? "," : " from", said->device[i]);
	fprintf(f, "\n\tdeny errno %s\n\taudit %s\n}\n", errors[said->error].name, audits[said->audit]);
}

/* ---- what the tables say, read in the plainest way ---- */

static uint64_t table_rules(const struct guard_tables *t, unsigned int guard, unsigned int who, uint64_t id)
{
	uint64_t rules = 0;
	unsigned int n = 0;

	for (unsigned int i = 0; i < GUARD_PRINCIPALS; i++) {
		const struct guard_principal *p = &t->principal[i];
		unsigned int place = guard_principal_place(id, guard, who, t->seed);

		if (!p->rules || p->guard != guard || p->who != who || p->id != id)
			continue;
		check((i - place) % GUARD_PRINCIPALS < GUARD_PRINCIPAL_LOOKS, "a principal at %u, %u is its place", i,
		      place);
		rules = p->rules;
		n++;
	}
	check(n <= 1, "a principal is there %u times", n);
	return rules;
}

static bool covers(const uint32_t net[4], const uint32_t mask[4], const uint32_t addr[4])
{
	for (int w = 0; w < 4; w++)
		if ((addr[w] & mask[w]) != net[w])
			return false;
	return true;
}

/* port 0: a packet without ports */
static const struct guard_endpoint *table_endpoint(const struct guard_tables *t, uint8_t family, const uint32_t addr[4],
						   uint16_t port)
{
	for (unsigned int i = 0; i < t->n_endpoints; i++) {
		const struct guard_endpoint *e = &t->endpoint[i];

		if (e->family == family && covers(e->addr, e->mask, addr) && (!port || !e->port || e->port == port))
			return e;
	}
	return NULL;
}

/* ---- what the file says ---- */

static uint64_t hash_bytes(uint64_t hash, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = guard_name_hash(hash, (uint8_t)text[i]);
	return hash;
}

static uint64_t id_of(const struct allow *allow)
{
	uint64_t hash = SECRET;

	if (allow->who < 2)
		return allow->number;
	if (allow->who == 3)
		return hash_bytes(hash, allow->name, strlen(allow->name));
	for (const char *name = allow->name; *name;) { /* as one walks down, name by name */
		size_t length = strcspn(++name, "/");

		hash = hash_bytes(hash_bytes(hash, "/", 1), name, length);
		name += length;
	}
	return hash;
}

static bool in_net(const struct target *target, uint8_t family, const uint32_t addr[4])
{
	if (target->family != family)
		return false;
	for (unsigned int i = 0; i < target->length; i++)
		if ((target->addr[i / 32] ^ addr[i / 32]) >> (31 - i % 32) & 1)
			return false;
	return true;
}

static const struct target *said_endpoint(const struct said *said, unsigned int n, uint8_t family,
					  const uint32_t addr[4], uint16_t port, unsigned int *ret_guard)
{
	const struct target *best = NULL;

	for (unsigned int g = 0; g < n; g++) {
		for (unsigned int i = 0; i < said[g].n_targets; i++) {
			const struct target *t = &said[g].target[i];

			if (!in_net(t, family, addr) || (port && t->port && t->port != port))
				continue;
			if (best &&
			    (best->length > t->length || (best->length == t->length && (best->port || !t->port))))
				continue;
			best = t;
			*ret_guard = g;
		}
	}
	return best;
}

/* ---- checks ---- */

static void check_principals(struct random *r, const struct guard_tables *t, const struct said *said, unsigned int n)
{
	unsigned int there = 0, distinct = 0;

	for (unsigned int i = 0; i < GUARD_PRINCIPALS; i++)
		there += t->principal[i].rules != 0;
	for (unsigned int g = 0; g < n; g++) {
		for (unsigned int i = 0; i < said[g].n_allows; i++) {
			const struct allow *allow = &said[g].allow[i];
			uint64_t rules = 0, is;
			bool again = false;

			for (unsigned int j = 0; j < said[g].n_allows; j++) {
				if (said[g].allow[j].who != allow->who || id_of(&said[g].allow[j]) != id_of(allow))
					continue;
				rules |= 1ull << j;
				again |= j < i;
			}
			distinct += !again;
			is = table_rules(t, g, allow->who, id_of(allow));
			check(is == rules, "guard %u, %s %s%u: rules %llx, expected %llx", g, names_of_who[allow->who],
			      allow->name, allow->number, (unsigned long long)is, (unsigned long long)rules);
		}
		for (unsigned int who = 0; who < 4; who++)
			check(!table_rules(t, g, who, random_next(r)), "guard %u: a stranger", g);
	}
	check(there == distinct, "%u principals in the table, %u in the file", there, distinct);
}

static void check_near(const struct guard_tables *t, const struct said *said, unsigned int n)
{
	unsigned int wrong = 0;

	for (unsigned int family = 4; family <= 6; family += 2) {
		for (uint32_t first = 0; first < 65536; first++) {
			bool near = false;

			for (unsigned int g = 0; g < n; g++) {
				for (unsigned int i = 0; i < said[g].n_targets; i++) {
					const struct target *e = &said[g].target[i];
					unsigned int bits = e->length < 16 ? e->length : 16;

					near |= e->family == family &&
						!((e->addr[0] >> 16 ^ first) & (0xffffu << (16 - bits) & 0xffff));
				}
			}
			wrong += near != (t->near[family == 6][first / 64] >> (first % 64) & 1);
		}
	}
	check(!wrong, "near is wrong in %u places", wrong);
}

static void check_endpoints(struct random *r, const struct guard_tables *t, const struct said *said, unsigned int n)
{
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		uint16_t port = random_chance(r, 20) ? 0 : random_between(r, 79, 83);
		unsigned int guard = random_below(r, GUARDS), expected_guard = 0;
		const struct guard_endpoint *is;
		const struct target *expected;
		struct target at;

		random_address(r, guard, &at);
		expected = said_endpoint(said, n, at.family, at.addr, port, &expected_guard);
		is = table_endpoint(t, at.family, at.addr, port);
		if (!check(!is == !expected, "%x:%x port %u: %s", at.addr[0], at.addr[3], port,
			   is ? "no endpoint there" : "an endpoint is missed") ||
		    !is)
			continue;
		check(is->guard == expected_guard && is->port == expected->port && is->tokens == 1u << expected->token,
		      "%x:%x port %u: guard %u port %u tokens %x, expected %u %u %x", at.addr[0], at.addr[3], port,
		      is->guard, is->port, is->tokens, expected_guard, expected->port, 1u << expected->token);
	}
}

static void check_rules(const struct guard_tables *t, const struct guard *guard, const struct said *said)
{
	uint64_t plain = 0;

	check(guard->n_rules == said->n_allows, "%u rules, %u in the file", guard->n_rules, said->n_allows);
	for (unsigned int i = 0; i < said->n_allows; i++) {
		const struct guard_rule *rule = &t->rule[guard->first_rule + i];
		const char *path = said->allow[i].path ? said->allow[i].path : "";

		plain |= (uint64_t)(!said->allow[i].token && !*path) << i;
		check(!!(rule->flags & GUARD_RULE_TOKEN) == said->allow[i].token, "rule %u: token", i);
		check(rule->n_path == strlen(path) && !memcmp(rule->path, path, rule->n_path), "rule %u: path '%s'", i,
		      path);
	}
	check(guard->plain == plain, "plain %llx, expected %llx", (unsigned long long)guard->plain,
	      (unsigned long long)plain);
}

static void check_guard(const struct guard_tables *t, unsigned int g, const struct said *said,
			const struct compile_input *input)
{
	const struct guard *guard = &t->guard[g];
	unsigned int n = 0;

	check(guard->deny_errno == (unsigned int)errors[said->error].error, "guard %u: errno %u", g, guard->deny_errno);
	check(guard->audit == said->audit, "guard %u: audit %u", g, guard->audit);
	check(guard->forwarded == (!said->forwarded  ? 0
				   : said->n_devices ? 1
						     : 2),
	      "guard %u: forwarded %u", g, guard->forwarded);
	for (unsigned int i = 0; i < said->n_devices; i++) {
		if (said->device[i] % 4 == 0) /* those that are not there */
			continue;
		check(n < guard->n_devices && guard->device[n] == 100 + said->device[i], "guard %u: device %u", g,
		      said->device[i]);
		n++;
	}
	check(guard->n_devices == n, "guard %u: %u devices, expected %u", g, guard->n_devices, n);
	check(guard->counters >= COUNTERS_RESERVED && guard->counters + GUARD_COUNTERS <= input->counters->n,
	      "guard %u: counters", g);
	check(!g || guard->counters >= guard[-1].counters + GUARD_COUNTERS, "guard %u: counters of its own", g);
	check_rules(t, guard, said);
}

/* ---- compiling ---- */

static int compile_text(struct guard_tables **ret, const char *text, struct compile_input *input,
			struct policy **policy, struct diag *diag)
{
	struct device_env *devices;
	struct counter_plan *plan = NULL;
	int r = policy_of_text(policy, text, strlen(text), diag);

	if (r)
		return r;
	devices = calloc((*policy)->n_devices + 1, sizeof(*devices));
	for (size_t i = 0; i < (*policy)->n_devices; i++) {
		unsigned int number = strtoul((*policy)->devices[i] + 1, NULL, 10);

		devices[i].ifindex = number % 4 ? 100 + number : 0;
	}
	counter_plan_plain(&plan, *policy);
	*input = (struct compile_input){
		.policy = *policy, .devices = devices, .counters = plan, .netns = NETNS, .secret = SECRET
	};
	return compile_guards(ret, input, diag);
}

static const char *first_problem(const struct diag *diag)
{
	return diag->n ? diag->problems[0].message : "no problem";
}

static void input_clear(struct compile_input *input, struct policy *policy, struct diag *diag)
{
	counter_plan_free((struct counter_plan *)input->counters);
	free((void *)input->devices);
	policy_free(policy);
	diag_clear(diag);
}

static void try_random(struct random *r)
{
	struct said said[GUARDS] = { 0 };
	unsigned int n = random_between(r, 1, GUARDS);
	struct compile_input input = { 0 };
	struct guard_tables *t = NULL;
	struct policy *policy = NULL;
	struct diag diag;
	char *text = NULL;
	size_t length;
	FILE *f = open_memstream(&text, &length);
	int rc;

	for (unsigned int g = 0; g < n; g++) {
		random_guard(r, g, &said[g]);
		write_guard(f, g, &said[g]);
	}
	fclose(f);
	rc = compile_text(&t, text, &input, &policy, &diag);
	if (check(!rc && t, "%s: %s", text, first_problem(&diag))) {
		unsigned int before = failed;

		check(t->netns == NETNS && t->secret == SECRET && t->n_guards == n,
		      "netns %llx, secret %llx, %u guards", t->netns, t->secret, t->n_guards);
		check(policy_features(policy) == FEATURE_GUARDS, "features %x", policy_features(policy));
		check_principals(r, t, said, n);
		check_near(t, said, n);
		check_endpoints(r, t, said, n);
		for (unsigned int g = 0; g < n; g++)
			check_guard(t, g, &said[g], &input);
		if (failed > before)
			printf("---- of\n%s", text);
	}
	free(t);
	free(text);
	input_clear(&input, policy, &diag);
}

/* ---- how many fit ---- */

/* The same numbers in all guards, and of users and groups: only that tells them apart. */
static void write_many(FILE *f, unsigned int guards, unsigned int endpoints, unsigned int allows)
{
	for (unsigned int g = 0; g < guards; g++) {
		fprintf(f, "guard g%u {\n", g);
		for (unsigned int i = 0; i < endpoints; i++)
			fprintf(f, "endpoint 10.%u.%u.%u:80\n", g, i / 256, i % 256);
		for (unsigned int i = 0; i < allows; i++)
			fprintf(f, "allow %s %u\n", names_of_who[i % 2], 1000 + i / 2);
		fprintf(f, "}\n");
	}
}

static void test_most(void)
{
	static const struct {
		unsigned int guards, endpoints, allows;
		const char *error; /* NULL: they fit */
	} rows[] = {
		{ 32, 8, 16, NULL },
		{ 8, 1, 64, NULL },
		{ 1, 256, 0, NULL },
		{ 33, 1, 0, "more than 32 guards" },
		{ 1, 257, 0, "more than 256 endpoints in all guards" },
		{ 1, 1, 65, "more than 64 identities are allowed" },
		{ 9, 1, 57, "more than 512 identities are allowed in all guards" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct compile_input input = { 0 };
		struct guard_tables *t = NULL;
		struct policy *policy = NULL;
		struct diag diag;
		char *text = NULL;
		size_t length;
		FILE *f = open_memstream(&text, &length);
		int r;

		write_many(f, rows[i].guards, rows[i].endpoints, rows[i].allows);
		fclose(f);
		r = compile_text(&t, text, &input, &policy, &diag);
		if (rows[i].error)
			check(r == -EINVAL && !t && !strcmp(first_problem(&diag), rows[i].error) && diag.n &&
				      diag.problems[0].loc.file,
			      "row %zu: %d, '%s', expected '%s'", i, r, first_problem(&diag), rows[i].error);
		else
			check(!r && t, "row %zu: %d, '%s'", i, r, first_problem(&diag));
		for (unsigned int g = 0; t && g < rows[i].guards; g++)
			for (unsigned int u = 0; u < rows[i].allows; u++)
				check(table_rules(t, g, u % 2, 1000 + u / 2) == 1ull << u, "row %zu: guard %u, %s %u",
				      i, g, names_of_who[u % 2], 1000 + u / 2);
		free(t);
		free(text);
		input_clear(&input, policy, &diag);
	}
}

/* A user and a group with one number and one place. */
static void test_same_place(void)
{
	struct compile_input input = { 0 };
	struct guard_tables *t = NULL;
	struct policy *policy = NULL;
	struct diag diag;
	char text[200];
	uint32_t id = 1;
	int rc;

	while (guard_principal_place(id, 0, GUARD_USER, 1) != guard_principal_place(id, 0, GUARD_GROUP, 1))
		id++;
	snprintf(text, sizeof(text), "guard g { provider aws; allow user %u; allow group %u path \"/\" }\n", id, id);
	rc = compile_text(&t, text, &input, &policy, &diag);
	check(!rc && t && t->seed == 1, "%s: %s", text, first_problem(&diag));
	check(t && table_rules(t, 0, GUARD_USER, id) == 1, "user %u", id);
	check(t && table_rules(t, 0, GUARD_GROUP, id) == 2, "group %u", id);
	free(t);
	input_clear(&input, policy, &diag);
}

/* The path of the root has no names. */
static void test_root_cgroup(void)
{
	static const char text[] = "guard g { provider aws; allow cgroup \"/\" }\n";
	struct compile_input input = { 0 };
	struct guard_tables *t = NULL;
	struct policy *policy = NULL;
	struct diag diag;
	int rc = compile_text(&t, text, &input, &policy, &diag);

	check(!rc && t && table_rules(t, 0, GUARD_CGROUP, SECRET) == 1, "the root of the cgroups: %s",
	      first_problem(&diag));
	free(t);
	input_clear(&input, policy, &diag);
}

/* ---- providers ---- */

/* Each alone is a good guard; what it prints is what the table has. */
static void test_providers(void)
{
	for (const struct provider *p = providers; p->name; p++) {
		struct compile_input input = { 0 };
		struct guard_tables *t = NULL;
		struct policy *policy = NULL;
		struct diag diag;
		char text[200];
		size_t n = 0;
		int r;

		snprintf(text, sizeof(text), "guard g { provider %s; allow user root }\n", p->name);
		r = compile_text(&t, text, &input, &policy, &diag);
		check(!r && t && !diag.n, "provider %s: %s", p->name, first_problem(&diag));
		for (const struct provider_endpoint *e = p->endpoint; e->addr; e++, n++) {
			char *is = policy && n < policy->guards[0].n_targets
					   ? guard_target_print(&policy->guards[0].targets[n])
					   : NULL;
			char wanted[80];

			snprintf(wanted, sizeof(wanted), strchr(e->addr, ':') ? "[%s]:%u" : "%s:%u", e->addr, e->port);
			check(is && !strcmp(is, wanted), "provider %s: %s, expected %s", p->name, is ? is : "nothing",
			      wanted);
			free(is);
		}
		check(n && n <= PROVIDER_ENDPOINTS && t && t->n_endpoints == n, "provider %s: %zu endpoints", p->name,
		      n);
		for (const struct provider *other = providers; other < p; other++)
			check(strcmp(other->name, p->name), "provider %s is there twice", p->name);
		free(t);
		input_clear(&input, policy, &diag);
	}
}

/* Two providers with one address: it is one endpoint, where either's token will do. */
static void test_shared(void)
{
	static const uint32_t addr[4] = { 0xa9fea9fe };
	static const char text[] = "guard g { provider aws, oracle, hetzner; allow user 1 }\n";
	const struct guard_endpoint *endpoint = NULL;
	struct compile_input input = { 0 };
	struct guard_tables *t = NULL;
	struct policy *policy = NULL;
	struct diag diag;

	check(!compile_text(&t, text, &input, &policy, &diag) && t, "shared endpoints compile");
	if (t)
		endpoint = table_endpoint(t, 4, addr, 80);
	check(endpoint && endpoint->tokens == (GUARD_TOKEN_AWS | GUARD_TOKEN_ORACLE), "tokens of both providers");
	check(t && t->n_endpoints == 3, "%u endpoints, expected 3", t ? t->n_endpoints : 0);
	check(t && !table_endpoint(t, 4, addr, 53), "a name server at the same address is not guarded");
	check(t && table_endpoint(t, 4, addr, 0) == endpoint, "what has no ports is");
	free(t);
	input_clear(&input, policy, &diag);
}

static void test_none(void)
{
	static const char text[] = "filter f { hook ingress; device d1; default drop }\n";
	struct guard_tables *t = (void *)1;
	struct compile_input input = { 0 };
	struct policy *policy = NULL;
	struct diag diag;

	check(!compile_text(&t, text, &input, &policy, &diag) && !t, "no guard, no tables");
	check(!(policy_features(policy) & FEATURE_GUARDS), "no guard, no programs");
	input_clear(&input, policy, &diag);
}

int main(int argc, char **argv)
{
	unsigned int policies = argc > 1 ? strtoul(argv[1], NULL, 10) : 60;
	struct random r = { argc > 2 ? strtoull(argv[2], NULL, 10) : 1 };

	test_none();
	test_most();
	test_same_place();
	test_root_cgroup();
	test_providers();
	test_shared();
	for (unsigned int i = 0; i < policies; i++)
		try_random(&r);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
