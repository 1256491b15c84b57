// SPDX-License-Identifier: GPL-2.0
#include "record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../out/out.h"
#include "rules.h"

void record_clear(struct record *record)
{
	record->n = record->used = 0;
	record->look = LOOK_PAIR;
}

static struct record_field *add(struct record *record, const char *key, enum field_kind kind)
{
	struct record_field *field = &record->field[record->n];

	if (record->n + 1 < RECORD_FIELDS)
		record->n++;
	*field = (struct record_field){ .key = key, .kind = kind, .look = record->look };
	return field;
}

void record_nothing(struct record *record, const char *key)
{
	add(record, key, FIELD_NOTHING);
}

void record_bytes(struct record *record, const char *key, const char *text, size_t most)
{
	struct record_field *field = add(record, key, FIELD_TEXT);
	size_t length = strnlen(text, most), room = RECORD_TEXT - record->used - 1;

	if (length > room)
		length = room;
	field->text = record->text + record->used;
	memcpy(record->text + record->used, text, length);
	record->text[record->used + length] = '\0';
	/* The last byte stays: it ends what finds no room. */
	record->used += length + (length < room);
}

void record_text(struct record *record, const char *key, const char *text)
{
	if (text)
		record_bytes(record, key, text, strlen(text));
	else
		record_nothing(record, key);
}

void record_format(struct record *record, const char *key, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	record_text(record, key, text);
	free(text);
}

void record_number(struct record *record, const char *key, uint64_t number)
{
	struct record_field *field = add(record, key, FIELD_NUMBER);

	field->number = number;
	field->has_value = number <= UINT32_MAX;
	field->value.w[0] = (uint32_t)number;
}

void record_truth(struct record *record, const char *key, bool truth)
{
	add(record, key, FIELD_TRUTH)->number = truth;
}

void record_value(struct record *record, const char *key, enum value_type type, unsigned int family, struct value value)
{
	char *text = value_text(type, family, value);
	size_t at = record->n;

	record_text(record, key, text);
	record->field[at].has_value = true;
	record->field[at].family = (uint8_t)family;
	record->field[at].value = value;
	free(text);
}

void record_time(struct record *record, const char *key, int64_t ns)
{
	time_t seconds = ns / 1000000000;
	char text[64];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	record_format(record, key, "%s.%06dZ", text, (int)(ns % 1000000000 / 1000));
}

const struct record_field *record_find(const struct record *record, const char *key)
{
	for (size_t i = 0; i < record->n; i++)
		if (record->field[i].kind != FIELD_NOTHING && !strcmp(record->field[i].key, key))
			return &record->field[i];
	return NULL;
}

/* ---- saying it ---- */

static void say_member(const struct record_field *field, struct out *out)
{
	switch (field->kind) {
	case FIELD_NOTHING:
		out_null(out, field->key);
		break;
	case FIELD_TEXT:
		out_string(out, field->key, field->text);
		break;
	case FIELD_NUMBER:
		out_integer(out, field->key, field->number);
		break;
	case FIELD_TRUTH:
		out_bool(out, field->key, field->number);
		break;
	}
}

static void say_words(const struct record_field *field, struct out *out, const char *gap)
{
	bool bare = field->look == LOOK_BARE;
	char *quoted;

	switch (field->kind) {
	case FIELD_NOTHING:
		if (bare)
			out_text(out, "%s?", gap);
		break;
	case FIELD_TEXT:
		quoted = out_quote(field->text);
		out_text(out, "%s%s%s%s", gap, bare ? "" : field->key, bare ? "" : " ", quoted ? quoted : "?");
		free(quoted);
		break;
	case FIELD_NUMBER:
		out_text(out, "%s%s%s%llu", gap, bare ? "" : field->key, bare ? "" : " ",
			 (unsigned long long)field->number);
		break;
	case FIELD_TRUTH:
		if (field->number)
			out_text(out, "%s%s", gap, field->key);
		break;
	}
}

void record_say(const struct record *record, struct out *out)
{
	for (size_t i = 0; i < record->n; i++) {
		say_member(&record->field[i], out);
		if (record->field[i].look != LOOK_NOT)
			say_words(&record->field[i], out, i ? " " : "");
	}
	out_text(out, "\n");
	out_record_end(out);
}
