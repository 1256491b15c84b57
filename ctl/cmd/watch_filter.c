// SPDX-License-Identifier: GPL-2.0
/* Which records are wanted: `guard metadata verdict deny user app dst 169.254.0.0/16`. All words must hold. */
#include "watch.h"

#include <string.h>

static const char *const events[] = { "guard.allow",        "guard.deny",  "filter.log",
				      "baseline.departure", "events.lost", NULL };
static const char *const verdicts[] = { "allow", "deny", NULL };
static const char *const layers[] = { "call", "packet", NULL };

/* X("word", type of its values, choices of a text, key, or other key): one of the two must hold. */
#define WORDS(X)                                                                                                       \
	X("event", TYPE_MAX, events, "event", "lost")                                                                                                              \
	X("guard", TYPE_MAX, NULL, "guard", NULL)                                                                                                              \
	X("filter", TYPE_MAX, NULL, "filter", NULL)                                                                                                              \
	X("verdict", TYPE_MAX, verdicts, "verdict", NULL)                                                                                                              \
	X("outcome", TYPE_MAX, guard_outcome_names, "outcome", NULL)                                                                                                              \
	X("layer", TYPE_MAX, layers, "layer", NULL)                                                                                                              \
	X("user", TYPE_USER, NULL, "uid", "euid")                                                                                                              \
	X("uid", TYPE_INT, NULL, "uid", NULL)                                                                                                              \
	X("euid", TYPE_INT, NULL, "euid", NULL)                                                                                                              \
	X("login", TYPE_USER, NULL, "login_uid", NULL)                                                                                                              \
	X("pid", TYPE_INT, NULL, "pid", NULL)                                                                                                              \
	X("program", TYPE_MAX, NULL, "program", NULL)                                                                                                              \
	X("path", TYPE_MAX, NULL, "path", NULL)                                                                                                              \
	X("service", TYPE_MAX, NULL, "service", NULL)                                                                                                              \
	X("container", TYPE_MAX, NULL, "container_id", NULL)                                                                                                              \
	X("proto", TYPE_PROTO, NULL, "proto", NULL)                                                                                                              \
	X("src", TYPE_ADDR, NULL, "src_addr", NULL)                                                                                                              \
	X("dst", TYPE_ADDR, NULL, "dst_addr", NULL)                                                                                                              \
	X("sport", TYPE_PORT, NULL, "src_port", NULL)                                                                                                              \
	X("dport", TYPE_PORT, NULL, "dst_port", NULL)                                                                                                              \
	X("device", TYPE_MAX, NULL, "device", NULL)

static const struct word_info words[] = {
#define X(name, type, choices, key, or_key) { name, type, choices },
	WORDS(X)
#undef X
};
#define N_WORDS (sizeof(words) / sizeof(words[0]))

static const struct {
	const char *key, *or_key;
} keys[N_WORDS] = {
#define X(name, type, choices, key, or_key) { key, or_key },
	WORDS(X)
#undef X
};

_Static_assert(N_WORDS <= WATCH_WORDS_MOST, "room for the values");

const struct word_list watch_words = { "events", words, N_WORDS };

/* How engines show a container's number: its beginning. */
static bool text_holds(const char *key, const char *wanted, const char *is)
{
	return !strcmp(key, "container_id") ? !strncmp(is, wanted, strlen(wanted)) : !strcmp(is, wanted);
}

/* *ret_known: the record has such a value. */
static bool key_holds(const struct record *record, const char *key, size_t word, const struct word_value *wanted,
		      bool *ret_known)
{
	const struct record_field *field = key ? record_find(record, key) : NULL;

	if (!field)
		return false;
	*ret_known = true;
	if (words[word].type == TYPE_MAX)
		return field->kind == FIELD_TEXT && text_holds(key, wanted->text, field->text);
	return field->has_value && word_holds(&words[word], wanted, field->family, &field->value);
}

bool watch_filter_holds(const struct word_value *values, const struct record *record)
{
	const struct record_field *event = record_find(record, "event");
	/* What was lost may have been what is asked for. */
	bool lost = event && !strcmp(event->text, "events.lost");

	for (size_t i = 0; i < N_WORDS; i++) {
		bool known = false, or_known = false;

		if (!values[i].given || key_holds(record, keys[i].key, i, &values[i], &known) ||
		    key_holds(record, keys[i].or_key, i, &values[i], &or_known))
			continue;
		/* Of losses, `lost` says of which events, and `event` only that. */
		known = or_known || (known && strcmp(keys[i].key, "event"));
		if (!lost || known)
			return false;
	}
	return true;
}
