// SPDX-License-Identifier: GPL-2.0
/* Elements of sets: inline, from files, and from the command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addresses.h"
#include "parse.h"
#include "words.h"

/* ---- duplicates ---- */

static bool element_equal(const struct element *a, const struct element *b, size_t n_parts)
{
	for (size_t i = 0; i < n_parts; i++) {
		const struct range *x = &a->part[i], *y = &b->part[i];

		if (x->family != y->family || value_compare(&x->lo, &y->lo) || value_compare(&x->hi, &y->hi))
			return false;
	}
	return true;
}

static uint64_t element_hash(const struct element *element, size_t n_parts)
{
	uint64_t h = HASH_SEED;

	for (size_t i = 0; i < n_parts; i++) {
		const struct range *r = &element->part[i];

		h = hash_bytes(&r->lo, sizeof(r->lo), h + r->family);
		h = hash_bytes(&r->hi, sizeof(r->hi), h);
	}
	return h;
}

#define SEARCH_MOST 8 /* so few are compared one by one */

static void index_insert(struct element_index *index, const struct element *elements, size_t number, size_t n_parts)
{
	size_t at = element_hash(&elements[number], n_parts) & (index->capacity - 1);

	while (index->slots[at])
		at = (at + 1) & (index->capacity - 1);
	index->slots[at] = (uint32_t)number + 1;
}

size_t element_index_add(struct arena *arena, struct element_index *index, const struct element *elements, size_t n,
			 size_t n_parts)
{
	size_t at;

	if (n < SEARCH_MOST) {
		for (size_t i = 0; i < n; i++)
			if (element_equal(&elements[i], &elements[n], n_parts))
				return i;
		return n;
	}
	if (n * 2 >= index->capacity) {
		index->capacity = index->capacity ? index->capacity * 4 : 64;
		while (index->capacity <= n * 2)
			index->capacity *= 2;
		index->slots = arena_alloc(arena, index->capacity * sizeof(*index->slots));
		for (size_t i = 0; i < n; i++)
			index_insert(index, elements, i, n_parts);
	}
	at = element_hash(&elements[n], n_parts) & (index->capacity - 1);
	for (; index->slots[at]; at = (at + 1) & (index->capacity - 1)) {
		size_t known = index->slots[at] - 1;

		if (element_equal(&elements[known], &elements[n], n_parts))
			return known;
	}
	index->slots[at] = (uint32_t)n + 1;
	return n;
}

/* ---- one set while it fills ---- */

struct filling {
	struct lang *l;
	struct set *set;
	struct location *type_loc; /* where its type comes from; NULL on the command line */
	size_t capacity;
	struct element_index index;
	struct gathering gathering; /* addresses of large texts */
	bool quiet_duplicates;
	bool has_v4, has_v6;
	bool type_failed; /* one error says it for all elements */
};

/* Without a stated type the first element says what the set holds. */
static bool infer_type(struct filling *f, const struct raw_part *parts)
{
	struct set *set = f->set;

	for (const struct raw_part *part = parts;; part++) {
		enum value_type type;

		if (set->n_types == CONCAT_MAX) {
			diag_error(f->l->diag, raw_place(part), "a concatenation has at most %d parts", CONCAT_MAX);
			return false;
		}
		if (!value_infer(part, &type)) {
			diag_error(f->l->diag, raw_place(part), "cannot tell the type of '%.*s'",
				   (int)(part->length < 64 ? part->length : 64), part->text);
			diag_hint(f->l->diag, "state it, as in `type iface`, or quote a device name");
			return false;
		}
		set->type[set->n_types++] = type;
		while (part->join == JOIN_RANGE || part->join == JOIN_OR)
			part++;
		if (part->join == JOIN_END)
			break;
	}
	set->auto_type = true;
	if (f->type_loc)
		*f->type_loc = raw_place(parts);
	return true;
}

static void fill(struct filling *f, const struct raw_part *parts)
{
	struct want wants[CONCAT_MAX];
	struct set *set = f->set;
	const struct element_extra *extra;
	struct element *element;
	size_t first;

	if (f->type_failed)
		return;
	if (!set->n_types && !infer_type(f, parts)) {
		f->type_failed = true;
		set->n_types = 0;
		return;
	}
	for (size_t i = 0; i < set->n_types; i++)
		wants[i] = want_set(set->type[i]);
	if (parts[raw_element_length(parts) - 1].optional) {
		diag_error(f->l->diag, raw_place(parts), "'optional' stands behind the devices of a filter only");
		return;
	}
	if (set->n_elements == f->capacity)
		set->elements =
			arena_grow(f->l->arena, set->elements, set->n_elements, &f->capacity, sizeof(*set->elements));
	extra = parts[raw_element_length(parts) - 1].extra;
	if (extra && (extra->timeout_ms || extra->expires_ms) && !set->has_timeout) {
		diag_error(f->l->diag, raw_place(parts), "the elements of set '%s' have no timeouts", set->name);
		diag_hint(f->l->diag, "state `flags timeout`, or a timeout for all of them, in the set");
		return;
	}
	if (extra && extra->counter && !set->has_counter) {
		diag_error(f->l->diag, raw_place(parts), "the elements of set '%s' have no counters", set->name);
		diag_hint(f->l->diag, "state `counter` in the set");
		return;
	}
	element = &set->elements[set->n_elements];
	element->extra = extra;
	element->loc = raw_place(parts);
	if (!element->part)
		element->part = arena_alloc(f->l->arena, set->n_types * sizeof(*element->part));
	if (!element_read(f->l, wants, set->n_types, false, parts, element->part))
		return;
	first = element_index_add(f->l->arena, &f->index, set->elements, set->n_elements, set->n_types);
	if (first < set->n_elements) {
		if (f->quiet_duplicates) {
			set->n_duplicates++;
			return;
		}
		diag_error(f->l->diag, element->loc, "this element stands twice in set '%s'", set->name);
		diag_other(f->l->diag, set->elements[first].loc);
		return;
	}
	f->has_v4 |= element->part[0].family == 4;
	f->has_v6 |= element->part[0].family == 6;
	set->n_elements++;
}

/* From so many bytes on a text is read without tokens where it can be. */
#define LARGE ((size_t)64 << 10)

static size_t count_lines(const char *text, size_t length)
{
	const char *end = text + length;
	size_t n = 1;

	while ((text = memchr(text, '\n', (size_t)(end - text)))) {
		text++;
		n++;
	}
	return n;
}

static bool takes_addresses(const struct filling *f)
{
	return f->gathering.expected && f->set->n_types == 1 && f->set->type[0] == TYPE_ADDR;
}

static void gathering_expect(struct filling *f, const char *text, size_t length)
{
	f->gathering.arena = f->l->arena;
	f->gathering.expected = length < LARGE ? 0 : count_lines(text, length);
}

/* All texts are read: what they gave, in order. */
static struct addresses gathering_end(struct filling *f)
{
	if (f->gathering.at.n4 + f->gathering.at.n6)
		f->set->n_duplicates += addresses_settle(&f->gathering, f->set->elements, f->set->n_elements);
	f->has_v4 |= f->gathering.at.n4 > 0;
	f->has_v6 |= f->gathering.at.n6 > 0;
	return f->gathering.at;
}

/* One element a line, or several with commas between them. */
static void fill_lines(struct filling *f, struct parser *p)
{
	p->plain = true;
	p->extras = true;
	while (p->tok.kind != T_END) {
		if (p->tok.kind == T_NEWLINE || p->tok.kind == T_COMMA) {
			if (p->tok.kind == T_NEWLINE && takes_addresses(f))
				addresses_lines(&f->gathering, &p->lex);
			parser_next(p);
			continue;
		}
		p->scratch.n = 0;
		if (!parse_raw_element(p, &p->scratch)) {
			parser_skip_line(p);
			continue;
		}
		fill(f, p->scratch.parts);
		if (p->tok.kind != T_NEWLINE && p->tok.kind != T_COMMA && p->tok.kind != T_END) {
			parser_expected(p, "the end of the line behind the element");
			parser_skip_line(p);
		}
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The given word of each line, whatever the others are. */
static void fill_column(struct filling *f, uint16_t file, const char *text, size_t length, unsigned int column)
{
	const char *end = text + length;
	uint32_t line = 1;

	for (const char *next = text; next < end; line++) {
		const char *start = next, *word = NULL, *stop = memchr(start, '\n', (size_t)(end - start)), *pos;
		struct location loc = { .file = file, .line = line, .column = 1, .length = 1 };
		struct raw_part part = { 0 };
		unsigned int n = 0;

		next = stop ? stop + 1 : end;
		if (!stop)
			stop = end;
		pos = memchr(start, '#', (size_t)(stop - start));
		if (pos)
			stop = pos;
		for (pos = start; n < column;) {
			while (pos < stop && is_blank(*pos))
				pos++;
			if (pos == stop)
				break;
			word = pos;
			while (pos < stop && !is_blank(*pos))
				pos++;
			n++;
		}
		if (!n)
			continue;
		if (n < column) {
			diag_error(f->l->diag, loc, "this line has no column %u", column);
			continue;
		}
		part.text = word;
		part.length = (uint32_t)(pos - word);
		if (takes_addresses(f) && addresses_word(&f->gathering, word, part.length))
			continue;
		loc.column = (uint16_t)(word - start + 1 < UINT16_MAX ? word - start + 1 : UINT16_MAX);
		loc.length = (uint16_t)(part.length < UINT16_MAX ? part.length : UINT16_MAX);
		part.loc = loc;
		fill(f, &part);
	}
}

/* ---- the sets of a policy ---- */

static void load_file(struct filling *f, const struct set_file *set_file)
{
	struct lang *l = f->l;
	bool is_stdin = !strcmp(set_file->path, "-");
	size_t length = 0;
	struct parser p;
	uint16_t file;
	char *text;
	int r = -ENOSYS;

	if (is_stdin && l->stdin_used) {
		diag_error(l->diag, set_file->loc, "standard input is read already");
		return;
	}
	l->stdin_used |= is_stdin;
	if (l->env && l->env->read_file)
		r = l->env->read_file(l->env->context, set_file->path, &l->borrowed, &length);
	if (r < 0) {
		l->borrowed = NULL;
		diag_error(l->diag, set_file->loc, "cannot read '%s': %s", set_file->path, strerror(-r));
		return;
	}
	text = l->borrowed;
	l->borrowed = NULL;
	file = diag_take_source(l->diag, is_stdin ? "stdin" : set_file->path, text, length);
	if (!file) {
		diag_error(l->diag, set_file->loc, "cannot read '%s': too many files, or no memory", set_file->path);
		return;
	}
	text = l->diag->sources[file - 1].text;
	gathering_expect(f, text, length);
	if (set_file->column) {
		fill_column(f, file, text, length, set_file->column);
		return;
	}
	parser_start(&p, l, file, set_file->path, text, length);
	fill_lines(f, &p);
}

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9fb21c651e98df25u;
	return h ^ h >> 32;
}

static uint64_t range_digest(const struct policy *policy, const struct range *r, enum value_type type)
{
	uint64_t h;

	if (type == TYPE_IFACE) /* its number says nothing in another policy */
		return hash_bytes(policy->devices[r->lo.w[0]], strlen(policy->devices[r->lo.w[0]]), HASH_SEED);
	h = mix(HASH_SEED + r->family, (uint64_t)r->lo.w[0] << 32 | r->hi.w[0]);
	if (r->family == 4) /* so that a million of them do not take long */
		return h;
	for (int i = 1; i < 4; i++)
		h = mix(h, (uint64_t)r->lo.w[i] << 32 | r->hi.w[i]);
	return h;
}

/* Elements add up, so that their order does not count. */
static uint64_t set_digest(const struct policy *policy, const struct set *set)
{
	uint64_t sum = 0, h = HASH_SEED;

	for (size_t i = 0; i < set->n_types; i++)
		h = hash_bytes(value_type_name(set->type[i]), strlen(value_type_name(set->type[i])) + 1, h);
	h = hash_bytes(&set->size, sizeof(set->size), h);
	if (set->has_timeout || set->has_counter)
		h = mix(mix(h, set->timeout_ms), (uint64_t)set->has_timeout << 1 | set->has_counter);
	for (size_t i = 0; i < set->n_elements; i++) {
		const struct element_extra *extra = set->elements[i].extra;
		uint64_t one = h;

		for (size_t part = 0; part < set->n_types; part++) {
			uint64_t digest = range_digest(policy, &set->elements[i].part[part], set->type[part]);

			one = mix(one, digest);
		}
		if (extra) {
			one = mix(one, extra->timeout_ms);
			one = mix(one, extra->expires_ms);
		}
		sum += one;
	}
	for (size_t i = 0; i < set->addresses.n4; i++) {
		struct range range = { .family = 4 };

		range.lo.w[0] = set->addresses.v4[i].lo;
		range.hi.w[0] = set->addresses.v4[i].hi;
		sum += mix(h, range_digest(policy, &range, TYPE_ADDR));
	}
	for (size_t i = 0; i < set->addresses.n6; i++) {
		struct range range;

		address_range6(&set->addresses.v6[i], &range);
		sum += mix(h, range_digest(policy, &range, TYPE_ADDR));
	}
	return hash_bytes(&sum, sizeof(sum), h);
}

/* Devices are numbered as they are named: a list of them stays. */
static void keep_gaps(struct lang *l, const struct set_entry *entry)
{
	for (size_t i = 0; i < entry->set.n_types; i++)
		if (entry->set.type[i] == TYPE_IFACE)
			return;
	for (size_t i = 0; i < entry->n_gaps; i++)
		arena_push(l->arena, l->policy->gaps, l->policy->n_gaps, l->gaps_capacity) = entry->gaps[i];
}

static void set_load(struct lang *l, struct set_entry *entry)
{
	struct set *set = &entry->set;
	struct filling f = { .l = l, .set = set, .type_loc = &entry->type_loc };
	size_t errors = l->diag->n_errors;

	for (size_t i = 0; i < entry->list.n; i += raw_element_length(&entry->list.parts[i]))
		fill(&f, &entry->list.parts[i]);
	f.quiet_duplicates = true;
	for (size_t i = 0; i < entry->n_files; i++)
		load_file(&f, &entry->files[i]);
	set->addresses = gathering_end(&f);
	entry->has_v4 = f.has_v4;
	entry->has_v6 = f.has_v6;
	if (!set->n_types && l->env && l->env->set_type)
		set->n_types = l->env->set_type(l->env->context, set->name, set->type);
	if (!set->n_types && l->diag->n_errors == errors && !entry->type_loc.file) {
		diag_error(l->diag, set->loc, "set '%s' has neither a type nor elements", set->name);
		diag_hint(l->diag, "expected elements, or a type, as in `type addr`");
	}
	if (set->size && set_size(set) > set->size) {
		diag_error(l->diag, entry->size_loc, "set '%s' has %zu elements, more than its size", set->name,
			   set_size(set));
		diag_other(l->diag, set->loc);
	}
	set->digest = set_digest(l->policy, set);
	keep_gaps(l, entry);
}

void sets_load(struct lang *l)
{
	struct policy *policy = l->policy;

	policy->sets = arena_alloc(l->arena, l->n_set_entries * sizeof(*policy->sets));
	for (size_t i = 0; i < l->n_set_entries; i++) {
		struct set_entry *entry = l->set_entries[i];

		if (!entry->defined)
			continue;
		set_load(l, entry);
		entry->set.number = (unsigned int)policy->n_sets;
		policy->sets[policy->n_sets++] = entry->set;
	}
}

/* ---- the command line ---- */

/* A policy made by hand has no tables yet. */
static void private_make(struct lang *l, struct policy *policy)
{
	struct lang_private *private = arena_alloc(policy->arena, sizeof(*private));

	private->devices.arena = policy->arena;
	private->devices_capacity = policy->n_devices;
	policy->private = private;
	for (size_t i = 0; i < policy->n_devices; i++)
		symtab_add(&private->devices, policy->devices[i], strlen(policy->devices[i]), i);
	l->private = private;
}

static void elements_read(struct lang *l, struct element_list *list, const struct set *set, uint16_t file,
			  size_t length, unsigned int column)
{
	struct set into = { .name = set->name,
			    .n_types = set->n_types,
			    .has_timeout = set->has_timeout,
			    .has_counter = set->has_counter };
	struct filling f = { .l = l, .set = &into, .quiet_duplicates = true };
	const char *text = l->diag->sources[file - 1].text;
	struct parser p;

	memcpy(into.type, set->type, sizeof(into.type));
	f.gathering.at = list->addresses;
	f.gathering.capacity4 = list->addresses.n4;
	f.gathering.capacity6 = list->addresses.n6;
	gathering_expect(&f, text, length);
	if (column) {
		fill_column(&f, file, text, length, column);
	} else {
		parser_start(&p, l, file, "", text, length);
		fill_lines(&f, &p);
	}
	if (list->n + into.n_elements > list->capacity) {
		size_t capacity = list->n + into.n_elements;
		struct element *grown = realloc(list->elements, capacity * sizeof(*grown));

		if (!grown)
			arena_give_up(l->arena);
		list->elements = grown;
		list->capacity = capacity;
	}
	if (into.n_elements)
		memcpy(list->elements + list->n, into.elements, into.n_elements * sizeof(*into.elements));
	list->n += into.n_elements;
	list->addresses = gathering_end(&f);
}

int elements_parse(struct element_list *list, struct policy *policy, const struct set *set, const char *origin,
		   const char *text, size_t length, unsigned int column, struct diag *diag)
{
	size_t errors = diag->n_errors, before = list->n;
	struct lang l = { .policy = policy, .diag = diag, .private = policy->private };
	jmp_buf oom;
	uint16_t file;

	if (!list->arena)
		list->arena = arena_new();
	if (!policy->arena)
		policy->arena = arena_new();
	if (!list->arena || !policy->arena)
		return diag_oom(diag);
	file = diag_add_source(diag, origin, text, length);
	if (!file)
		return diag_oom(diag);
	l.arena = list->arena;
	if (setjmp(oom)) {
		arena_on_oom(list->arena, NULL);
		arena_on_oom(policy->arena, NULL);
		return diag_oom(diag);
	}
	arena_on_oom(list->arena, &oom);
	arena_on_oom(policy->arena, &oom);
	if (!l.private)
		private_make(&l, policy);
	elements_read(&l, list, set, file, length, column);
	arena_on_oom(list->arena, NULL);
	arena_on_oom(policy->arena, NULL);
	if (diag->n_errors == errors)
		return 0;
	list->n = before;
	return -EINVAL;
}

void element_list_clear(struct element_list *list)
{
	free(list->elements);
	arena_free(list->arena);
	*list = (struct element_list){ 0 };
}
