/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line of `watch`: keys and values in their order. Those who know an event fill it, the filter asks it, and it is said
 * in whatever form is wanted, all of it at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lang/policy.h"

struct out;

#define RECORD_FIELDS 64
#define RECORD_TEXT   16384 /* bytes of all its strings; what is beyond is cut */

enum field_kind { FIELD_NOTHING, FIELD_TEXT, FIELD_NUMBER, FIELD_TRUTH };

/* How it looks to people; scripts see every key. */
enum field_look {
	LOOK_PAIR, /* key value; nothing where it is not known */
	LOOK_BARE, /* the value alone; "?" where it is not known */
	LOOK_NOT
};

struct record_field {
	const char *key;
	enum field_kind kind;
	enum field_look look;
	const char *text; /* of a FIELD_TEXT */
	bool has_value;   /* compared as `value`: an address, a port, a user, ... */
	uint8_t family;
	struct value value;
	uint64_t number; /* of a FIELD_NUMBER or FIELD_TRUTH */
};

struct record {
	struct record_field field[RECORD_FIELDS];
	size_t n;
	enum field_look look; /* of the fields that come */
	char text[RECORD_TEXT];
	size_t used;
};

void record_clear(struct record *record);

/* Each adds a field; its key must last. */
void record_nothing(struct record *record, const char *key);
void record_text(struct record *record, const char *key, const char *text);               /* NULL: not known */
void record_bytes(struct record *record, const char *key, const char *text, size_t most); /* up to a zero, or so many */
void record_format(struct record *record, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void record_number(struct record *record, const char *key, uint64_t number);
void record_truth(struct record *record, const char *key, bool truth);
/* As rules write it. */
void record_value(struct record *record, const char *key, enum value_type type, unsigned int family,
		  struct value value);
/* RFC 3339, UTC. */
void record_time(struct record *record, const char *key, int64_t ns);

/* NULL: it has no such key, or its value is not known. */
const struct record_field *record_find(const struct record *record, const char *key);

/* All of it, up to the end of the line. */
void record_say(const struct record *record, struct out *out);
