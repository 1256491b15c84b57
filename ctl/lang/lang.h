/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the library share and nobody else sees: one run of it, and values before they have a type. */
#pragma once

#include "arena.h"
#include "diag.h"
#include "policy.h"
#include "symtab.h"

#define NAME_MOST   63
#define TEXT_MOST   127 /* comments and log prefixes, as in nft */
#define DEVICE_MOST 15  /* IFNAMSIZ - 1 */

/* Kept with the policy: what elements_parse() and policy_location_file() need later. */
struct lang_private {
	struct symtab devices;
	size_t devices_capacity;
	uint16_t first_file; /* location.file of policy.sources[0] */
};

/* How a part is tied to the one behind it. */
enum join { JOIN_END, JOIN_DOT, JOIN_RANGE, JOIN_OR };

/*
 * Values as written. A list is a row of parts, an element ends at JOIN_END. What they mean is known only where
 * they are used: a define has no type, and a set's type may be stated behind its elements.
 */
struct raw_part {
	const char *text;
	uint32_t length;
	uint8_t join;
	bool quoted;
	bool optional;                     /* a device that need not exist */
	const struct element_extra *extra; /* behind the last part of an element of a set, or NULL */
	struct location loc;               /* where it is written */
	struct location use;               /* where the $define stands that brought it here; file 0: nowhere */
};

struct raw_list {
	struct raw_part *parts;
	size_t n, capacity;
};

struct define {
	const char *name;
	struct location loc;
	struct raw_list list;
};

struct set_file {
	const char *path; /* as opened */
	unsigned int column;
	struct location loc;
};

/* A set while the files are read. */
struct set_entry {
	struct set set;
	bool defined;
	struct location type_loc, size_loc, timeout_loc; /* file 0: not stated */
	struct raw_list list;
	struct set_file *files;
	size_t n_files, files_capacity;
	struct source_gap *gaps;
	size_t n_gaps, gaps_capacity;
	bool has_v4, has_v6;
};

/* What a condition's `set` points at until every set is known. */
struct set_use {
	struct set_entry *entry;
	struct location loc;
};

/* A filter while it is read. */
struct filter_entry {
	struct location hook_loc, device_loc, default_loc, malformed_loc, fragments_loc, counters_loc;
	size_t devices_capacity, rules_capacity;
	bool unclosed; /* what is missing may stand behind the place where it should end */
};

struct test_entry {
	const char *filter; /* the name written, or NULL */
	struct location filter_loc;
	const char *by_filter;
	struct location by_loc, packet_loc, device_loc;
};

struct lang {
	struct policy *policy;
	struct lang_private *private;
	struct arena *arena;
	struct diag *diag;
	const struct lang_env *env;

	struct symtab sets, filters, guards, counters, prefixes, defines;
	struct set_entry **set_entries;
	size_t n_set_entries, set_entries_capacity;
	struct define *define_list;
	size_t n_defines, defines_capacity;
	size_t gaps_capacity;
	size_t filters_capacity, guards_capacity, counters_capacity, prefixes_capacity, tests_capacity,
		sources_capacity;
	struct source *sources; /* policy.sources, writable */
	struct filter_entry *filter_entries;
	size_t n_filter_entries, filter_entries_capacity;
	struct test_entry *test_entries;
	size_t n_test_entries, test_entries_capacity;

	const char *open_files[16]; /* the file being read and those that include it */
	size_t n_open_files;
	size_t n_includes;
	size_t errors_before; /* what the diag held already */
	bool stdin_used;
	char *borrowed; /* a malloc'ed text of env's that must not leak when memory ends */
};

/* What a value is wanted for. */
struct want {
	enum value_type type;
	unsigned int bits;
	uint8_t family;    /* 4 or 6 where only one will do */
	const char *words; /* the field, for messages; NULL: a set */
};

/* ---- value.c ---- */
struct want want_field(enum field field);
struct want want_set(enum value_type type);
struct location raw_place(const struct raw_part *part);
/* Reads parts up to the next JOIN_DOT or JOIN_END as one range. Returns how many, 0 after an error was reported. */
size_t value_read(struct lang *l, const struct want *want, const struct raw_part *parts, struct range *ret);
/* The same for a whole element of n ranges. Where `wide`, the last part may be a range or prefix, else only ports. */
bool element_read(struct lang *l, const struct want *wants, size_t n, bool wide, const struct raw_part *parts,
		  struct range *ret);
size_t raw_element_length(const struct raw_part *parts);
/* The type that a part without context has; false: cannot tell. */
bool value_infer(const struct raw_part *part, enum value_type *ret_type);
bool value_number(const char *text, size_t length, uint32_t *ret);
bool value_address(const char *text, size_t length, struct value *ret, uint8_t *ret_family);
bool value_mac(const char *text, size_t length, struct value *ret);
/* A time as in nft: 1d2h3m4s5ms; each unit once, in this order, milliseconds as the result. */
bool value_duration(const char *text, size_t length, uint64_t *ret_ms);
uint32_t value_bits_mask(unsigned int bits);
int value_compare(const struct value *a, const struct value *b);

/* ---- elements.c ---- */
/* Slots of element numbers by content, so that a duplicate is found without a search. */
struct element_index {
	uint32_t *slots;
	size_t capacity;
};
/* The number of an equal element among elements[0..n), or n when elements[n] is new (and is entered then). */
size_t element_index_add(struct arena *arena, struct element_index *index, const struct element *elements, size_t n,
			 size_t n_parts);
void sets_load(struct lang *l);

/* ---- names.c ---- */
/* The number of a device, entered when new; -1 after an error. */
int lang_device(struct lang *l, const char *name, size_t length, struct location loc);
unsigned int lang_counter(struct lang *l, const char *name, size_t length);
unsigned int lang_prefix(struct lang *l, const char *text, size_t length);
struct set_entry *lang_set(struct lang *l, const char *name, size_t length);
/* A name for a set, filter, counter or define: letters, digits, _ and -. Reports what is wrong with it. */
bool lang_name_ok(struct lang *l, const char *what, const char *name, size_t length, struct location loc);

/* ---- check.c, check_guard.c, contradict.c ---- */
void lang_check(struct lang *l);
void lang_track(struct lang *l); /* after lang_check() found no error: which filters track */
void lang_check_guards(struct lang *l);
void contradict_rule(struct lang *l, const struct rule *rule);

/* ---- imply.c ---- */
/* The condition that leaves a limit only packets with a field of its key, or a reject or synproxy those that it can answer. false: the
 * items in front of it see to that. */
bool imply_key_field(struct lang *l, const struct item *items, size_t n, const struct limit_rate *limit, size_t field,
		     struct condition *ret);
bool imply_verdict(struct lang *l, const struct item *items, size_t n, const struct rule *rule, struct location loc,
		   struct condition *ret);

/* ---- parse.c ---- */
void lang_read_file(struct lang *l, const char *path, struct location from);
