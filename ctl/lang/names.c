// SPDX-License-Identifier: GPL-2.0
/* The tables of names in a policy: each name once, numbered in order of appearance. */
#include "lang.h"

#include <string.h>

static size_t text_add(struct arena *arena, struct symtab *table, const char ***names, size_t *n, size_t *capacity,
		       const char *text, size_t length)
{
	size_t number;
	char *copy;

	table->arena = arena;
	number = symtab_find(table, text, length);
	if (number != SYMTAB_NONE)
		return number;
	copy = arena_text(arena, text, length);
	arena_push(arena, *names, *n, *capacity) = copy;
	return symtab_add(table, copy, length, *n - 1);
}

/* As the kernel's dev_valid_name(). */
int lang_device(struct lang *l, const char *name, size_t length, struct location loc)
{
	struct lang_private *private = l->private;
	bool bad = length == 0 || (length == 1 && name[0] == '.') || (length == 2 && !memcmp(name, "..", 2));

	for (size_t i = 0; i < length; i++)
		bad |= name[i] == '/' || name[i] == ':' || name[i] == ' ' || name[i] == '\t';
	if (bad || length > DEVICE_MOST) {
		diag_error(l->diag, loc, "'%.*s' is not a device name", (int)(length < 64 ? length : 64), name);
		diag_hint(l->diag,
			  length > DEVICE_MOST ? "device names have at most %d characters"
					       : "device names have 1 to %d characters without '/', ':' and blanks",
			  DEVICE_MOST);
		return -1;
	}
	/* The policy's arena, not l->arena: on the command line elements have one of their own. */
	return (int)text_add(l->policy->arena, &private->devices, &l->policy->devices, &l->policy->n_devices,
			     &private->devices_capacity, name, length);
}

unsigned int lang_counter(struct lang *l, const char *name, size_t length)
{
	return (unsigned int)text_add(l->arena, &l->counters, &l->policy->counters, &l->policy->n_counters,
				      &l->counters_capacity, name, length);
}

unsigned int lang_prefix(struct lang *l, const char *text, size_t length)
{
	return (unsigned int)text_add(l->arena, &l->prefixes, &l->policy->log_prefixes, &l->policy->n_log_prefixes,
				      &l->prefixes_capacity, text, length);
}

struct set_entry *lang_set(struct lang *l, const char *name, size_t length)
{
	struct set_entry *entry;
	size_t number;

	l->sets.arena = l->arena;
	number = symtab_find(&l->sets, name, length);
	if (number != SYMTAB_NONE)
		return l->set_entries[number];
	entry = arena_alloc(l->arena, sizeof(*entry));
	entry->set.name = arena_text(l->arena, name, length);
	arena_push(l->arena, l->set_entries, l->n_set_entries, l->set_entries_capacity) = entry;
	symtab_add(&l->sets, entry->set.name, length, l->n_set_entries - 1);
	return entry;
}

bool lang_name_ok(struct lang *l, const char *what, const char *name, size_t length, struct location loc)
{
	bool bad = length == 0 || (name[0] >= '0' && name[0] <= '9') || name[0] == '-';

	for (size_t i = 0; i < length; i++)
		bad |= !((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') ||
			 (name[i] >= '0' && name[i] <= '9') || name[i] == '_' || name[i] == '-');
	if (bad) {
		diag_error(l->diag, loc, "'%.*s' cannot be the name of a %s", (int)(length < 64 ? length : 64), name,
			   what);
		diag_hint(l->diag, "names are made of letters, digits, '_' and '-' and start with a letter or '_'");
		return false;
	}
	if (length > NAME_MOST) {
		diag_error(l->diag, loc, "the name of this %s is longer than %d characters", what, NAME_MOST);
		return false;
	}
	return true;
}
