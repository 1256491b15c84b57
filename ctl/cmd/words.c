// SPDX-License-Identifier: GPL-2.0
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../lang/strbuf.h"
#include "../lang/suggest.h"
#include "env.h"

/* ---- reading ---- */

/* "did you mean", or all that there are: each once, though a list may say it again. */
static void hint(struct run *run, const char *wrong, const char *(*name)(const void *list, size_t i), const void *list)
{
	struct strbuf all = { 0 };
	struct suggestion near;
	const char *one;

	suggest_start(&near, wrong, strlen(wrong));
	for (size_t i = 0; (one = name(list, i)); i++) {
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again |= !strcmp(name(list, j), one);
		if (again)
			continue;
		suggest_offer(&near, one);
		strbuf_format(&all, "%s%s", all.length ? ", " : "", one);
	}
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else if (all.length)
		diag_hint(&run->diag, "one of: %s", all.text);
	strbuf_clear(&all);
}

static const char *name_of_word(const void *context, size_t i)
{
	const struct word_list *list = context;

	return i < list->n ? list->words[i].name : NULL;
}

static const char *name_of_choice(const void *context, size_t i)
{
	return ((const char *const *)context)[i];
}

static int read_choice(struct run *run, const struct word_list *list, const struct word_info *word, const char *text)
{
	for (const char *const *choice = word->choices; choice && *choice; choice++)
		if (!strcmp(*choice, text))
			return EXIT_DONE;
	if (!word->choices)
		return EXIT_DONE;
	diag_error(&run->diag, NOWHERE, "%s have no %s '%s'", list->of, word->name, text);
	hint(run, text, name_of_choice, word->choices);
	return EXIT_USAGE;
}

/* Elements, then addresses. */
static int keep_ranges(const struct element_list *list, struct word_value *ret)
{
	const struct addresses *addresses = &list->addresses;
	size_t n = 0;

	ret->ranges = malloc((list->n + addresses->n4 + addresses->n6 + 1) * sizeof(*ret->ranges));
	if (!ret->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		ret->ranges[n++] = list->elements[i].part[0];
	for (size_t i = 0; i < addresses->n4; i++)
		address_range4(&addresses->v4[i], &ret->ranges[n++]);
	for (size_t i = 0; i < addresses->n6; i++)
		address_range6(&addresses->v6[i], &ret->ranges[n++]);
	ret->n_ranges = n;
	return 0;
}

/* A user's name is the machine's business, which the language does not ask about in elements. */
static bool read_user(const char *text, struct word_value *ret)
{
	uint32_t uid;

	if (isdigit((unsigned char)*text) || user_number(text, &uid))
		return false;
	ret->ranges = calloc(1, sizeof(*ret->ranges));
	if (!ret->ranges)
		return false;
	ret->ranges[0].lo.w[0] = ret->ranges[0].hi.w[0] = uid;
	ret->n_ranges = 1;
	return true;
}

/* A value as rules and sets write it: a name, a number, a prefix, a range. */
static int read_value(struct run *run, const struct word_info *word, const char *text, struct word_value *ret)
{
	struct set set = { .name = word->name, .n_types = 1, .type = { word->type } };
	struct policy none = { 0 };
	struct element_list list = { 0 };
	int rc;

	if (word->type == TYPE_USER && read_user(text, ret))
		return EXIT_DONE;
	rc = elements_parse(&list, &none, &set, word->name, text, strlen(text), 0, &run->diag);
	if (!rc)
		rc = keep_ranges(&list, ret);
	if (!rc && !ret->n_ranges)
		rc = diag_error(&run->diag, NOWHERE, "'%s' needs a value behind it", word->name);
	element_list_clear(&list);
	policy_free(&none);
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	return !rc ? EXIT_DONE : rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

int words_read(struct run *run, const struct word_list *list, char **operands, size_t n, struct word_value *ret)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < n && code == EXIT_DONE; i += 2) {
		const struct word_info *word;
		size_t number = 0;

		while (number < list->n && strcmp(operands[i], list->words[number].name))
			number++;
		if (number == list->n) {
			diag_error(&run->diag, NOWHERE, "%s have no '%s'", list->of, operands[i]);
			hint(run, operands[i], name_of_word, list);
			return EXIT_USAGE;
		}
		word = &list->words[number];
		if (i + 1 == n || ret[number].given) {
			diag_error(&run->diag, NOWHERE,
				   ret[number].given ? "'%s' is given twice" : "'%s' needs a value behind it",
				   word->name);
			return EXIT_USAGE;
		}
		ret[number].given = true;
		ret[number].text = operands[i + 1];
		code = word->type == TYPE_MAX ? read_choice(run, list, word, operands[i + 1])
					      : read_value(run, word, operands[i + 1], &ret[number]);
	}
	return code;
}

void words_clear(const struct word_list *list, struct word_value *values)
{
	for (size_t i = 0; i < list->n; i++) {
		free(values[i].ranges);
		values[i] = (struct word_value){ 0 };
	}
}

/* ---- comparing ---- */

static int compare(const struct value *a, const struct value *b)
{
	for (int i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

bool word_holds(const struct word_info *word, const struct word_value *wanted, unsigned int family,
		const struct value *value)
{
	for (size_t i = 0; i < wanted->n_ranges; i++) {
		const struct range *range = &wanted->ranges[i];

		if (word->type == TYPE_ADDR && range->family != family)
			continue;
		if (compare(&range->lo, value) <= 0 && compare(value, &range->hi) <= 0)
			return true;
	}
	return false;
}
