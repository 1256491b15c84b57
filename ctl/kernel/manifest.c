// SPDX-License-Identifier: GPL-2.0
/*
 * What the running generation was made from: the rule file's sources, and the numbers it was given
 * (interfaces, counters, set slots). JSON, in the half of the manifest map that goes with the tables.
 * The sources are parsed again when they are needed; a library that is deterministic makes the same policy. Long
 * lists of elements are left out: what they say is in the sets' tables, and their digests tell them apart.
 */
#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

#include "../../bpf/abi.h"
#include "inner.h"
#include "root.h"

uint64_t netns_number(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

static json_t *numbers(const uint32_t *values, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_integer(values[i]));
	return array;
}

static json_t *hexadecimal(uint64_t value)
{
	char text[20];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)value);
	return json_string(text);
}

/* Only rules that count are listed: [number, rule, own] */
static json_t *filter_counters(const struct filter *filter, const struct counter_plan *counters, size_t f)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < filter->n_rules; i++) {
		uint32_t rule = counters->rule[f][i], own = counters->own[f][i];

		if (rule != COUNTER_NONE || own != COUNTER_NONE)
			json_array_append_new(rules,
					      json_pack("[I,I,I]", (json_int_t)i, (json_int_t)rule, (json_int_t)own));
	}
	return json_pack("{s:I,s:o}", "first", (json_int_t)counters->filter[f], "rules", rules);
}

int manifest_write(char **ret, const struct policy *policy, const struct device_env *devices,
		   const struct counter_plan *counters, const uint16_t *slots, const char *file, uint64_t netns,
		   const struct cgroup *cgroup)
{
	json_t *root = json_object(), *sources = json_array(), *devs = json_array(), *filters = json_array();
	json_t *sets = json_array();
	bool out_of_memory = false;

	for (size_t i = 0; i < policy->n_sources; i++) {
		size_t length = 0;
		char *text = policy_source_brief(policy, i, &length);

		json_array_append_new(
			sources,
			text ? json_pack("{s:s,s:s%}", "name", policy->sources[i].name, "text", text, length) : NULL);
		out_of_memory |= !text;
		free(text);
	}
	for (size_t i = 0; i < policy->n_devices; i++)
		json_array_append_new(devs, json_pack("{s:s,s:I,s:b}", "name", policy->devices[i], "ifindex",
						      (json_int_t)devices[i].ifindex, "raw_ip", devices[i].raw_ip));
	for (size_t f = 0; f < policy->n_filters; f++)
		json_array_append_new(filters, filter_counters(&policy->filters[f], counters, f));
	for (size_t i = 0; i < policy->n_sets; i++) {
		json_t *types = json_array();

		for (size_t t = 0; t < policy->sets[i].n_types; t++)
			json_array_append_new(types, json_integer(policy->sets[i].type[t]));
		json_array_append_new(sets, json_pack("{s:s,s:i,s:i,s:o,s:o}", "name", policy->sets[i].name, "slot",
						      slots[i], "maps", set_maps_used(&policy->sets[i]), "digest",
						      hexadecimal(policy->sets[i].digest), "types", types));
	}
	json_object_set_new(root, "file", json_string(file));
	json_object_set_new(root, "applied_at", json_integer(time(NULL)));
	json_object_set_new(root, "netns", hexadecimal(netns));
	json_object_set_new(root, "sources", sources);
	json_object_set_new(root, "devices", devs);
	json_object_set_new(root, "filters", filters);
	json_object_set_new(root, "named", numbers(counters->named, policy->n_counters));
	json_object_set_new(root, "guards", numbers(counters->guard, policy->n_guards));
	if (cgroup->id)
		json_object_set_new(root, "cgroup",
				    json_pack("{s:s,s:o}", "path", cgroup->path, "id", hexadecimal(cgroup->id)));
	json_object_set_new(root, "counters", json_integer(counters->n));
	json_object_set_new(root, "sets", sets);
	*ret = out_of_memory ? NULL : json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return *ret ? 0 : -ENOMEM;
}

void manifest_free(struct manifest *m)
{
	if (!m)
		return;
	policy_free(m->policy);
	counter_plan_free(m->counters);
	free(m->devices);
	free(m->slots);
	free(m->file);
	free(m);
}

/* ---- reading: the sources are served from the manifest ---- */

struct reading {
	json_t *root;
	struct manifest *manifest;
};

static int read_source(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	const struct reading *reading = context;
	json_t *sources = json_object_get(reading->root, "sources"), *source;
	size_t i;

	json_array_foreach(sources, i, source)
	{
		json_t *text = json_object_get(source, "text");

		if (strcmp(json_string_value(json_object_get(source, "name")) ?: "", path))
			continue;
		*ret_text = malloc(json_string_length(text) + 1);
		if (!*ret_text)
			return -ENOMEM;
		memcpy(*ret_text, json_string_value(text), json_string_length(text) + 1);
		*ret_length = json_string_length(text);
		return 0;
	}
	/* An element file of a set: its content is in the kernel's tables. */
	*ret_text = calloc(1, 1);
	*ret_length = 0;
	return *ret_text ? 0 : -ENOMEM;
}

/* Includes by pattern: the sources that were found then. */
static int glob_sources(void *context, const char *pattern, char ***ret_paths, size_t *ret_n)
{
	const struct reading *reading = context;
	json_t *sources = json_object_get(reading->root, "sources"), *source;
	char **paths = calloc(json_array_size(sources) + 1, sizeof(*paths));
	size_t i;

	if (!paths)
		return -ENOMEM;
	*ret_n = 0;
	json_array_foreach(sources, i, source)
	{
		const char *name = json_string_value(json_object_get(source, "name"));

		if (name && !fnmatch(pattern, name, FNM_PATHNAME | FNM_PERIOD))
			paths[(*ret_n)++] = strdup(name);
	}
	*ret_paths = paths;
	return 0;
}

/*
 * Names are asked for again. One that is no longer there stands for a number that nobody can have: rules that are
 * read back must not fail, nor let in who gets the number next.
 */
#define NOBODY_AT_ALL 0xffffffffu

static bool is_gone(int error)
{
	return !error || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

static int lookup_user(void *context, const char *name, uint32_t *ret_uid)
{
	const struct reading *reading = context;
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	*ret_uid = user ? user->pw_uid : NOBODY_AT_ALL;
	reading->manifest->names_unknown |= !user && !is_gone(errno);
	return 0;
}

static int lookup_group(void *context, const char *name, uint32_t *ret_gid)
{
	const struct reading *reading = context;
	const struct group *group;

	errno = 0;
	group = getgrnam(name);
	*ret_gid = group ? group->gr_gid : NOBODY_AT_ALL;
	reading->manifest->names_unknown |= !group && !is_gone(errno);
	return 0;
}

/* Types of sets whose elements stood in files. */
static unsigned int set_type(void *context, const char *name, enum value_type types[CONCAT_MAX])
{
	const struct reading *reading = context;
	json_t *sets = json_object_get(reading->root, "sets"), *set, *type;
	size_t i, n = 0;

	json_array_foreach(sets, i, set)
	{
		if (strcmp(json_string_value(json_object_get(set, "name")) ?: "", name))
			continue;
		json_array_foreach(json_object_get(set, "types"), n, type) if (n < CONCAT_MAX) types[n] =
			json_integer_value(type);
		return n < CONCAT_MAX ? n : CONCAT_MAX;
	}
	return 0;
}

/* What hexadecimal() wrote. */
static uint64_t number_at(const json_t *object, const char *key)
{
	return strtoull(json_string_value(json_object_get(object, key)) ?: "0", NULL, 16);
}

static void cgroup_read(struct cgroup *ret, const json_t *cgroup)
{
	snprintf(ret->path, sizeof(ret->path), "%s", json_string_value(json_object_get(cgroup, "path")) ?: "");
	ret->id = number_at(cgroup, "id");
}

static int plan_read(struct counter_plan *plan, const struct policy *policy, json_t *root)
{
	json_t *filters = json_object_get(root, "filters"), *named = json_object_get(root, "named"), *filter, *rule;
	json_t *guards = json_object_get(root, "guards");
	size_t f, i;

	json_array_foreach(filters, f, filter)
	{
		if (f >= policy->n_filters)
			return -EPROTO;
		plan->filter[f] = json_integer_value(json_object_get(filter, "first"));
		json_array_foreach(json_object_get(filter, "rules"), i, rule)
		{
			size_t number = json_integer_value(json_array_get(rule, 0));

			if (number >= policy->filters[f].n_rules)
				return -EPROTO;
			plan->rule[f][number] = json_integer_value(json_array_get(rule, 1));
			plan->own[f][number] = json_integer_value(json_array_get(rule, 2));
		}
	}
	json_array_foreach(guards, i, rule)
	{
		if (i >= policy->n_guards)
			return -EPROTO;
		plan->guard[i] = json_integer_value(rule);
	}
	json_array_foreach(named, i, rule)
	{
		if (i >= policy->n_counters)
			return -EPROTO;
		plan->named[i] = json_integer_value(rule);
	}
	plan->n = json_integer_value(json_object_get(root, "counters"));
	return 0;
}

static int arrays_read(struct manifest *m, json_t *root)
{
	json_t *devices = json_object_get(root, "devices"), *sets = json_object_get(root, "sets"), *item;
	size_t i;

	if (json_array_size(devices) != m->policy->n_devices || json_array_size(sets) != m->policy->n_sets)
		return -EPROTO;
	json_array_foreach(devices, i, item) m->devices[i] = (struct device_env){
		.ifindex = json_integer_value(json_object_get(item, "ifindex")),
		.raw_ip = json_is_true(json_object_get(item, "raw_ip")),
	};
	json_array_foreach(sets, i, item)
	{
		m->slots[i] = json_integer_value(json_object_get(item, "slot"));
		/* Not of what was read back: its element files were empty. */
		m->policy->sets[i].digest = number_at(item, "digest");
	}
	return 0;
}

size_t manifest_slots(const char *text, struct slot *slots, size_t most)
{
	json_t *root = *text ? json_loads(text, 0, NULL) : NULL, *set;
	size_t i, n = 0;

	json_array_foreach(json_object_get(root, "sets"), i, set) if (n < most) slots[n++] =
		(struct slot){ .number = json_integer_value(json_object_get(set, "slot")),
			       .maps = json_integer_value(json_object_get(set, "maps")) };
	json_decref(root);
	return n;
}

int manifest_read(struct manifest **ret, const char *text, struct diag *diag)
{
	json_error_t error;
	json_t *root = json_loads(text, 0, &error), *sources;
	struct manifest *m = calloc(1, sizeof(*m));
	struct diag inner;
	int r = -EPROTO;

	diag_init(&inner);
	if (m && root) {
		struct reading reading = { root, m };
		struct lang_env env = { .context = &reading,
					.read_file = read_source,
					.glob = glob_sources,
					.lookup_user = lookup_user,
					.lookup_group = lookup_group,
					.set_type = set_type };

		sources = json_object_get(root, "sources");
		m->file = strdup(json_string_value(json_object_get(root, "file")) ?: "?");
		m->applied_at = json_integer_value(json_object_get(root, "applied_at"));
		m->netns = number_at(root, "netns");
		cgroup_read(&m->cgroup, json_object_get(root, "cgroup"));
		r = policy_parse_file(&m->policy,
				      json_string_value(json_object_get(json_array_get(sources, 0), "name")) ?: "?",
				      &env, &inner);
	}
	if (r == 0) {
		m->counters = counter_plan_new(m->policy);
		m->devices = calloc(m->policy->n_devices + 1, sizeof(*m->devices));
		m->slots = calloc(m->policy->n_sets + 1, sizeof(*m->slots));
		r = m->counters && m->devices && m->slots ? plan_read(m->counters, m->policy, root) : -ENOMEM;
		if (r == 0)
			r = arrays_read(m, root);
	}
	json_decref(root);
	if (r) {
		manifest_free(m);
		r = diag_errno(diag, EPROTO, "cannot read back the running rules%s%s", inner.n ? ": " : "",
			       inner.n ? inner.problems[0].message : "");
	} else {
		*ret = m;
	}
	diag_clear(&inner);
	return r;
}
