// SPDX-License-Identifier: GPL-2.0
/*
 * The rule language: goldens (lang/x.rules with x.ok, its canonical text, or x.err, the exact messages), tables of
 * broken and good lines, mutations of good files, and the examples of the manual page.
 *
 * t-lang [DIR] takes the goldens from DIR (ctl/tests/lang). UPDATE=1 writes them anew: read the diff.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/fields.h"
#include "../lang/policy.h"
#include "../lang/providers.h"
#include "../lang/suggest.h"
#include "policy_text.h"

static size_t n_passed, n_failed;

static void check(bool ok, const char *what, const char *detail)
{
	if (ok) {
		n_passed++;
		return;
	}
	n_failed++;
	printf("FAIL %s: %s\n", what, detail);
}

static void check_same(const char *what, const char *is, const char *wanted)
{
	bool same = is && wanted && !strcmp(is, wanted);

	check(same, what, "texts differ");
	if (!same)
		printf("--- wanted\n%s\n--- is\n%s\n", wanted ? wanted : "(nothing)", is ? is : "(nothing)");
}

/* ---- the world as the library sees it ---- */

struct world {
	const char *directory;
	const char *text; /* of the file named "-" */
	size_t length;
};

static char *read_whole(const char *path, size_t *ret_length)
{
	FILE *f = fopen(path, "r");
	size_t length = 0, capacity = 4096, n;
	char *text;

	if (!f)
		return NULL;
	text = malloc(capacity);
	while (text && (n = fread(text + length, 1, capacity - length - 1, f)) > 0) {
		length += n;
		if (length + 1 == capacity) {
			char *grown = realloc(text, capacity *= 2);

			if (!grown)
				free(text);
			text = grown;
		}
	}
	fclose(f);
	if (text)
		text[length] = '\0';
	*ret_length = length;
	return text;
}

static int world_read(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	const struct world *world = context;
	char full[512];

	if (!strcmp(path, "-")) {
		*ret_text = malloc(world->length + 1);
		memcpy(*ret_text, world->text, world->length);
		*ret_length = world->length;
		return 0;
	}
	if (!world->directory)
		return -ENOENT;
	snprintf(full, sizeof(full), "%s/%s", world->directory, path);
	*ret_text = read_whole(full, ret_length);
	return *ret_text ? 0 : -ENOENT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a directory with this ending, sorted. */
static char **list(const char *directory, const char *prefix, const char *pattern, size_t *ret_n)
{
	DIR *d = opendir(directory);
	char **names = NULL, **grown;
	struct dirent *entry;

	*ret_n = 0;
	while (d && (entry = readdir(d)) != NULL) {
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD))
			continue;
		grown = realloc(names, (*ret_n + 1) * sizeof(*names));
		if (!grown)
			abort();
		names = grown;
		if (asprintf(&names[(*ret_n)++], "%s%s", prefix, entry->d_name) < 0)
			abort();
	}
	if (d)
		closedir(d);
	if (names)
		qsort(names, *ret_n, sizeof(*names), by_name);
	return names;
}

static void list_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int world_glob(void *context, const char *pattern, char ***ret_paths, size_t *ret_n)
{
	const struct world *world = context;
	const char *slash = strrchr(pattern, '/');
	char directory[512], prefix[256] = "";

	if (slash)
		snprintf(prefix, sizeof(prefix), "%.*s", (int)(slash - pattern + 1), pattern);
	snprintf(directory, sizeof(directory), "%s/%s", world->directory ? world->directory : ".", prefix);
	*ret_paths = list(directory, prefix, slash ? slash + 1 : pattern, ret_n);
	return 0;
}

static int parse(struct policy **ret, const char *name, struct world *world, struct diag *diag)
{
	struct lang_env env = { .context = world,
				.read_file = world_read,
				.glob = world_glob,
				.lookup_user = only_root,
				.lookup_group = only_wheel };

	diag_init(diag);
	*ret = NULL;
	return policy_parse_file(ret, name, &env, diag);
}

static const char *closing(int r)
{
	return r < 0 ? "nothing was loaded, the running rules are unchanged" : "the file is good";
}

/* ---- goldens ---- */

static void golden(const char *directory, const char *name, const char *ending, const char *is)
{
	char path[512], what[512];
	char *wanted;
	size_t length;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.*s%s", directory, (int)(strlen(name) - strlen(".rules")), name, ending);
	snprintf(what, sizeof(what), "%s%s", name, ending);
	if (getenv("UPDATE")) {
		if (!*is) {
			remove(path);
			return;
		}
		f = fopen(path, "w");
		fputs(is, f);
		fclose(f);
	}
	wanted = read_whole(path, &length);
	check_same(what, is, wanted ? wanted : "");
	free(wanted);
}

/* The canonical text parses again and prints as itself, with the same handles and digests. */
static void check_fixpoint(const char *what, const struct policy *policy, const char *printed)
{
	struct policy *again;
	struct diag diag;
	char *text;
	int r = policy_of_text(&again, printed, strlen(printed), &diag);

	text = r < 0 ? diag_text(&diag, NULL) : policy_print(again);
	check_same(what, text, printed);
	free(text);
	if (r == 0) {
		bool same = policy->n_filters == again->n_filters && policy->n_sets == again->n_sets &&
			    policy->n_tests == again->n_tests;

		for (size_t i = 0; same && i < policy->n_sets; i++)
			same = policy->sets[i].digest == again->sets[i].digest;
		for (size_t i = 0; same && i < policy->n_filters; i++) {
			same = policy->filters[i].n_rules == again->filters[i].n_rules;
			for (size_t rule = 0; same && rule < policy->filters[i].n_rules; rule++)
				same = policy->filters[i].rules[rule].handle == again->filters[i].rules[rule].handle;
		}
		check(same, what, "the reparsed policy has other handles or digests");
		policy_free(again);
	}
	diag_clear(&diag);
}

static void test_golden(const char *directory, const char *name)
{
	struct world world = { .directory = directory, .text = "80\n81x\n", .length = 7 };
	struct policy *policy;
	struct diag diag;
	char *problems, *printed = NULL;
	int r = parse(&policy, name, &world, &diag);

	problems = diag_text(&diag, closing(r));
	golden(directory, name, ".err", problems);
	if (r == 0)
		printed = policy_print(policy);
	golden(directory, name, ".ok", printed ? printed : "");
	if (r == 0)
		check_fixpoint(name, policy, printed);
	policy_free(policy);
	diag_clear(&diag);
	free(printed);
	free(problems);
}

static void test_goldens(const char *directory)
{
	size_t n;
	char **names = list(directory, "", "*.rules", &n);

	check(n >= 10, "goldens", "fewer files than there should be; is the directory right?");
	for (size_t i = 0; i < n; i++)
		test_golden(directory, names[i]);
	list_free(names, n);
}

/* ---- broken lines ---- */

#include "t-lang-broken.h"

static size_t n_rejected;

static void test_broken(void)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		struct policy *policy;
		struct diag diag;
		char *text, *end;
		int r = policy_of_text(&policy, broken[i].text, strlen(broken[i].text), &diag);

		text = diag_text(&diag, NULL);
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		if (getenv("UPDATE"))
			printf("%s\n", text);
		else
			check_same(broken[i].text, text, broken[i].error);
		check(r == -EINVAL, broken[i].text, "not rejected");
		n_rejected += r == -EINVAL;
		free(text);
		policy_free(policy);
		diag_clear(&diag);
	}
}

/* ---- mutations ---- */

/* xorshift: the same on every machine, so that a seed names a file. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct span {
	size_t start, length;
};

/* Words, signs and line ends, as a person would see them. */
static size_t split(const char *text, size_t length, struct span *spans, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < length && n < most;) {
		size_t start = i;

		if (text[i] == ' ' || text[i] == '\t') {
			i++;
			continue;
		}
		if (text[i] == '#') {
			while (i < length && text[i] != '\n')
				i++;
			continue;
		}
		while (i < length && !strchr(" \t\n;,{}()\"", text[i]))
			i++;
		if (i == start)
			i++;
		spans[n++] = (struct span){ start, i - start };
	}
	return n;
}

/* One to three slips: a token dropped, doubled, swapped with another, cut short, or replaced by a byte. */
static char *mutate(const char *text, size_t length, uint64_t seed, size_t *ret_length)
{
	static struct span spans[8192];
	uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
	char *now = strndup(text, length);
	size_t slips = 1 + next_random(&state) % 3;

	for (size_t slip = 0; slip < slips; slip++) {
		size_t n = split(now, length, spans, 8192), i, j;
		struct span a, b;
		char *next;
		int made;

		if (n < 2)
			break;
		i = next_random(&state) % (n - 1);
		j = i + 1 + next_random(&state) % (n - 1 - i < 6 ? n - 1 - i : 6);
		a = spans[i];
		b = spans[j];
		switch (next_random(&state) % 5) {
		case 0:
			made = asprintf(&next, "%.*s%s", (int)a.start, now, now + a.start + a.length);
			break;
		case 1:
			made = asprintf(&next, "%.*s %.*s%s", (int)(a.start + a.length), now, (int)a.length,
					now + a.start, now + a.start + a.length);
			break;
		case 2:
			made = asprintf(&next, "%.*s%.*s%.*s%.*s%s", (int)a.start, now, (int)b.length, now + b.start,
					(int)(b.start - a.start - a.length), now + a.start + a.length, (int)a.length,
					now + a.start, now + b.start + b.length);
			break;
		case 3:
			made = asprintf(&next, "%.*s%s", (int)(a.start + a.length / 2), now, now + a.start + a.length);
			break;
		default:
			made = asprintf(&next, "%.*s%c%s", (int)a.start, now, (char)(33 + next_random(&state) % 200),
					now + a.start + a.length);
		}
		if (made < 0)
			abort();
		free(now);
		now = next;
		length = (size_t)made;
	}
	*ret_length = length;
	return now;
}

static bool has_place(const struct diag *diag)
{
	for (size_t i = 0; i < diag->n; i++)
		if (diag->problems[i].severity == SEVERITY_ERROR && diag->problems[i].loc.file &&
		    diag->problems[i].loc.line && *diag->problems[i].message)
			return true;
	return false;
}

static void test_mutations(const char *directory, size_t wanted)
{
	static const char *const files[] = { "sets.rules",  "filters.rules", "matches.rules",
					     "tests.rules", "flows.rules",   "edge.rules" };
	size_t rejected = 0, parsed = 0;

	for (uint64_t seed = 1; rejected < wanted && seed < wanted * 20; seed++) {
		const char *file = files[seed % (sizeof(files) / sizeof(*files))];
		char path[512], what[600];
		struct world world = { .directory = directory };
		struct policy *policy;
		struct diag diag;
		size_t length;
		char *good, *bad, *text;
		int r;

		snprintf(path, sizeof(path), "%s/%s%s", directory, strcmp(file, "edge.rules") ? "" : "../../../rules/",
			 file);
		good = read_whole(path, &length);
		if (!good) {
			check(false, path, "cannot be read");
			return;
		}
		bad = mutate(good, length, seed, &length);
		world.text = bad;
		world.length = length;
		r = parse(&policy, "-", &world, &diag);
		text = diag_text(&diag, closing(r));
		snprintf(what, sizeof(what), "mutation of %s, seed %llu", file, (unsigned long long)seed);
		if (r < 0) {
			rejected++;
			check(has_place(&diag), what, "rejected without a place");
		} else {
			char *printed = policy_print(policy);

			parsed++;
			check_fixpoint(what, policy, printed);
			free(printed);
		}
		policy_free(policy);
		diag_clear(&diag);
		free(text);
		free(bad);
		free(good);
	}
	check(rejected == wanted, "mutations", "too few were rejected");
	n_rejected += rejected;
	printf("mutations: %zu rejected, %zu still good\n", rejected, parsed);
}

/* ---- the manual page ---- */

/* Examples stand between .Bd with the comment `.\" example` above it and .Ed; \e is a backslash there. */
static void test_manual(const char *directory)
{
	char path[512], what[64];
	char *page, *at;
	size_t length, n = 0;

	snprintf(path, sizeof(path), "%s/../../../docs/weir-rules.5", directory);
	page = read_whole(path, &length);
	if (!page) {
		check(false, path, "cannot be read");
		return;
	}
	for (at = page; (at = strstr(at, "\n.\\\" example\n")) != NULL;) {
		char *start = strstr(at, "\n.Bd "), *end = strstr(at, "\n.Ed\n"), *text, *to;
		struct policy *policy;
		struct diag diag;
		char *problems;

		if (!start || !end)
			break;
		start = strchr(start + 1, '\n') + 1;
		to = text = malloc((size_t)(end - start) + 2);
		for (const char *from = start; from <= end; from++) {
			if (!strncmp(from, "\\e", 2)) {
				*to++ = '\\';
				from++;
			} else if (!strncmp(from, "\\&", 2) || !strncmp(from, "\\(dq", 4)) {
				if (from[1] == '(')
					*to++ = '"';
				from += from[1] == '(' ? 3 : 1;
			} else {
				*to++ = *from;
			}
		}
		*to = '\0';
		snprintf(what, sizeof(what), "weir-rules.5, example %zu", ++n);
		{
			struct world world = { .directory = directory, .text = text, .length = strlen(text) };
			int r = parse(&policy, "-", &world, &diag);

			problems = diag_text(&diag, closing(r));
			check_same(what, problems, "");
		}
		free(problems);
		policy_free(policy);
		diag_clear(&diag);
		free(text);
		at = end;
	}
	check(n >= 8, "weir-rules.5", "fewer examples than there should be");
	free(page);
}

/* ---- the rules that users may copy ---- */

/* The manual page lists providers as the table has them. */
static void test_providers(const char *directory)
{
	char path[512];
	char *page;
	size_t length;

	snprintf(path, sizeof(path), "%s/../../../docs/weir-rules.5", directory);
	page = read_whole(path, &length);
	for (const struct provider *p = providers; page && p->name; p++) {
		char wanted[512], *to = wanted + sprintf(wanted, "\n.It Li %s\n", p->name);

		for (const struct provider_endpoint *e = p->endpoint; e->addr; e++) {
			to += sprintf(to, strchr(e->addr, ':') ? "%s[%s]:%u" : "%s%s:%u", e == p->endpoint ? "" : ", ",
				      e->addr, e->port);
			if (e->tokens)
				to += sprintf(to, " (token %s)", guard_token_word((enum guard_token)e->tokens));
		}
		sprintf(to, ".\n%s.\n", p->source);
		check(strstr(page, wanted) != NULL, "weir-rules.5 lacks a provider, or has another one", wanted);
	}
	free(page);
}

static void test_rules(const char *directory)
{
	char rules[512];
	struct world world = { .directory = rules };
	char **names;
	size_t n;

	snprintf(rules, sizeof(rules), "%s/../../../rules", directory);
	names = list(rules, "", "*.rules", &n);
	check(n >= 1, "rules/", "no rule files");
	for (size_t i = 0; i < n; i++) {
		struct policy *policy;
		struct diag diag;
		int r = parse(&policy, names[i], &world, &diag);
		char *text = diag_text(&diag, closing(r)), *printed;

		check_same(names[i], text, "");
		if (r == 0) {
			printed = policy_print(policy);
			check_fixpoint(names[i], policy, printed);
			free(printed);
		}
		policy_free(policy);
		diag_clear(&diag);
		free(text);
	}
	list_free(names, n);
}

/* ---- small parts ---- */

static void test_distance(void)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} rows[] = {
		{ "kitten", "sitting", 3 }, { "prot", "proto", 1 }, { "accpet", "accept", 1 }, { "", "drop", 4 },
		{ "drop", "drop", 0 },      { "ca", "abc", 3 },     { "saddr", "daddr", 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		check(suggest_distance(rows[i].a, strlen(rows[i].a), rows[i].b, strlen(rows[i].b)) == rows[i].distance,
		      rows[i].a, "wrong distance");
		check(suggest_distance(rows[i].b, strlen(rows[i].b), rows[i].a, strlen(rows[i].a)) == rows[i].distance,
		      rows[i].b, "wrong distance the other way");
	}
}

/* The words in policy.h are a spelling of the field, and the only canonical one. */
static void test_field_words(void)
{
	for (unsigned int i = 0; i < FIELD_MAX; i++) {
		struct field_word words[FIELD_WORDS];
		const char *text = field_info[i].words;
		enum field field = FIELD_MAX;
		size_t n = 0;

		while (*text) {
			size_t length = strcspn(text, " ");

			words[n++] = (struct field_word){ text, length };
			text += length + (text[length] == ' ');
		}
		check(field_find(words, n, &field) == n && field == i, field_info[i].words, "is not spelled so");
	}
}

/* One call of elements_parse() for the set of this number; text alone says how long it is. */
static int add(struct element_list *list, struct policy *policy, size_t set, const char *origin, const char *text,
	       unsigned int column, struct diag *diag)
{
	return elements_parse(list, policy, &policy->sets[set], origin, text, strlen(text), column, diag);
}

static void test_elements(void)
{
	static const char rules[] = "set s { type iface . port }\nset a { type addr }\n"
				    "filter f { hook ingress; device eth0; default drop }\n";
	struct element_list list = { 0 };
	struct policy *policy;
	struct diag diag;
	char *text;
	int r;

	check(policy_of_text(&policy, rules, strlen(rules), &diag) == 0, "elements", "the rules are good");
	r = add(&list, policy, 0, "args", "eth0 . 80, eth7 . 1-2\neth0 . 80", 0, &diag);
	check(r == 0, "elements", "good ones are refused");
	check(list.n == 2 && policy->n_devices == 2, "elements", "two elements and two devices");
	text = element_print(policy, &policy->sets[0], list.elements[1].part);
	check_same("elements", text, "\"eth7\" . 1-2");
	free(text);
	r = add(&list, policy, 1, "feed", "x 10.0.0.1\ny 10.0.0.2/31\n", 2, &diag);
	check(r == 0 && list.n == 4, "elements", "the second column");
	r = add(&list, policy, 1, "args", "10.0.0.1/8\n10.0.0.x", 0, &diag);
	check(r == -EINVAL && list.n == 4 && diag.n_errors == 2, "elements", "bad ones leave the list alone");
	text = diag_text(&diag, NULL);
	check(!strncmp(text, "args:1:1: error: '10.0.0.1/8' has bits", 38), "elements", text);
	free(text);
	element_list_clear(&list);
	policy_free(policy);
	diag_clear(&diag);
}

static uint64_t handle_of(const char *rules, size_t rule, uint64_t *ret_digest)
{
	struct policy *policy;
	struct diag diag;
	uint64_t handle = 0;
	char text[512];

	snprintf(text, sizeof(text), "set s { %s\nfilter f { hook ingress; device eth0; default drop\n%s\n}\n",
		 ret_digest ? rules : "1 }", ret_digest ? "" : rules);
	if (policy_of_text(&policy, text, strlen(text), &diag) == 0) {
		handle = ret_digest ? 0 : policy->filters[0].rules[rule].handle;
		if (ret_digest)
			*ret_digest = policy->sets[0].digest;
	} else {
		check(false, rules, "is good");
	}
	policy_free(policy);
	diag_clear(&diag);
	return handle;
}

static void test_handles(void)
{
	uint64_t a, b, c;

	check(handle_of("tcp dport 1 drop", 0, NULL) == handle_of("accept\ntcp  dport { 1 }  drop", 1, NULL), "handles",
	      "neither place nor spelling counts");
	check(handle_of("tcp dport 1 drop", 0, NULL) != handle_of("tcp dport 2 drop", 0, NULL), "handles",
	      "the value counts");
	check(handle_of("tcp dport 1 reject", 0, NULL) != handle_of("tcp dport 1 reject with tcp reset", 0, NULL),
	      "handles", "the answer counts");
	check(handle_of("limit rate 1/second accept", 0, NULL) != handle_of("limit rate over 1/second accept", 0, NULL),
	      "handles", "the limit counts");
	check(handle_of("drop\ndrop", 0, NULL) != handle_of("drop\ndrop", 1, NULL), "handles", "equal rules differ");
	handle_of("192.0.2.1, 192.0.2.2 }", 0, &a);
	handle_of("type addr; 192.0.2.2, 192.0.2.1 }", 0, &b);
	handle_of("192.0.2.1, 192.0.2.3 }", 0, &c);
	check(a == b && a != c, "digests", "the content counts, its order does not");
}

/* The rules "inline" have the list inside, the rules "file" in a file, which is large enough to be read without tokens. */
static int large_read(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	(void)context;
	if (!out)
		return -ENOMEM;
	if (strcmp(path, "list"))
		fprintf(out, "set s { type addr; %s", strcmp(path, "file") ? "" : "10.0.0.7\nfile \"list\"\n");
	if (strcmp(path, "file")) {
		for (unsigned int i = 8000; i-- > 0;)
			fprintf(out, "%s10.%u.%u.%u%s\n", i % 5 ? "" : "\t", i % 3 ? 0u : 1u, i >> 8, i & 255,
				i % 7 || strcmp(path, "list") ? "" : " # why not");
		fprintf(out, "198.51.100.0/24\n2001:db8::/"
			     "32\n192.0.2.1-192.0.2.9\n203.0.113.8-203.0.113.15\n2001:db8:1::7\n");
		if (!strcmp(path, "list"))
			fprintf(out, "\r\n10.0.0.3 \r\n10.0.0.7\n# the end\n\n2001:db8::1, 2001:db8::2\n2001:db8:1::7");
		else
			fprintf(out, "2001:db8::1\n2001:db8::2\n10.0.0.3\n");
	}
	fprintf(out, "%s", strcmp(path, "list") ? "}\n" : "");
	fclose(out);
	*ret_text = text;
	return 0;
}

static void test_large_lists(void)
{
	struct lang_env env = { .read_file = large_read };
	struct policy *one, *other = NULL;
	struct diag diag;
	size_t brief = 0;
	char *text;

	diag_init(&diag);
	/* 10.0.0.7 stands in the rules and in the file, which is no error. */
	check(policy_parse_file(&one, "file", &env, &diag) == 0, "large lists", "a file is good");
	check(diag.n_errors == 0, "large lists", "no error");
	check(set_size(&one->sets[0]) == 8000 + 8, "large lists", "each element once");
	check(one->sets[0].addresses.n4 > 7000 && one->sets[0].addresses.n6 == 1, "large lists", "read without tokens");
	text = policy_print(one);
	diag_clear(&diag);
	policy_free(one);
	check(text && strstr(text, "198.51.100.0/24,") && strstr(text, "203.0.113.8-203.0.113.15,"), "large lists",
	      "prefixes and ranges");
	diag_init(&diag);
	check(policy_parse_file(&other, "inline", &env, &diag) == 0 && set_size(&other->sets[0]) == 8000 + 8,
	      "large lists", diag.n ? diag.problems[0].message : "inline");
	policy_free(other);
	diag_clear(&diag);
	if (text && policy_of_text(&one, text, strlen(text), &diag) == 0) {
		uint64_t digest = one->sets[0].digest;

		free(policy_source_brief(one, 0, &brief));
		check(brief < strlen(text) / 4, "large lists", "are left out of the brief text");
		policy_free(one);
		diag_clear(&diag);
		diag_init(&diag);
		check(policy_parse_file(&one, "file", &env, &diag) == 0 && one->sets[0].digest == digest, "large lists",
		      "have the digest of the same elements inline");
		policy_free(one);
	}
	diag_clear(&diag);
	free(text);
}

/* Nothing here is meant to be good: it must end, and not crash. */
static void test_monsters(void)
{
	static const char *const parts[] = { "{",   "}",          "\"",         "1-", "a.",         "$",
					     "@a ", "\\\n",       "filter a {", "(",  "tcp flags ", "define a = { ",
					     "\r",  "\xff",       "set s { ",   ".",  " . ",        "-",
					     "|",   "test \"\" {" };
	size_t length = 1 << 20;
	char *text = malloc(length);

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		struct policy *policy;
		struct diag diag;
		char *problems;

		for (size_t at = 0; at < length; at++)
			text[at] = parts[i][at % strlen(parts[i])];
		if (policy_of_text(&policy, text, length, &diag) == 0)
			policy_free(policy);
		problems = diag_text(&diag, "done");
		check(problems != NULL, parts[i], "no text");
		free(problems);
		diag_clear(&diag);
	}
	memset(text, 0, length);
	{
		struct policy *policy;
		struct diag diag;

		check(policy_of_text(&policy, text, length, &diag) == -EINVAL, "NUL bytes", "not rejected");
		check(diag.n_errors < DIAG_MOST, "NUL bytes", "one problem is enough");
		diag_clear(&diag);
	}
	free(text);
}

int main(int argc, char **argv)
{
	const char *directory = argc > 1 ? argv[1] : "ctl/tests/lang";

	test_distance();
	test_field_words();
	test_goldens(directory);
	test_broken();
	test_elements();
	test_handles();
	test_large_lists();
	test_monsters();
	test_rules(directory);
	test_manual(directory);
	test_providers(directory);
	test_mutations(directory, 200);
	printf("%zu broken files rejected with a place and a reason\n", n_rejected);
	printf("%zu passed, %zu failed\n", n_passed, n_failed);
	return n_failed ? 1 : 0;
}
