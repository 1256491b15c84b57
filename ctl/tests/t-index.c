// SPDX-License-Identifier: GPL-2.0
/*
 * The index over rules (ctl/compile/index.c), without a kernel: what it finds against what the rules say, the bounds
 * that bpf/search.h relies on, the same bytes for the same rules, and what rule sets made to hurt it cost.
 */
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../compile/program.h"
#include "../kernel/kernel.h"
#include "check.h"
#include "gen_structured.h"
#include "policy_text.h"

static void *need(void *memory)
{
	if (!memory) {
		printf("out of memory\n");
		exit(1);
	}
	return memory;
}

/* ---- a rule file, compiled ---- */

struct compiled {
	struct policy *policy;
	struct device_env *devices;
	struct counter_plan *counters;
	uint16_t *slots;
	struct image *image;
	double seconds; /* of CPU */
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static struct image *compile(struct compiled *c)
{
	struct compile_input input = { c->policy, c->devices, c->slots, c->counters, 0, 0 };
	double start = cpu_seconds();
	struct image *image = NULL;
	struct diag diag;

	diag_init(&diag);
	if (compile_policy(&image, &input, &diag)) {
		char *text = need(diag_text(&diag, ""));

		printf("%.2000s\n", text);
		free(text);
	}
	diag_clear(&diag);
	c->seconds = cpu_seconds() - start;
	return image;
}

static void compiled_close(struct compiled *c)
{
	image_free(c->image);
	counter_plan_free(c->counters);
	free(c->devices);
	free(c->slots);
	policy_free(c->policy);
}

static bool compiled_open(struct compiled *c, const char *text)
{
	struct diag diag;
	int r;

	*c = (struct compiled){ 0 };
	r = policy_of_text(&c->policy, text, strlen(text), &diag);
	if (r) {
		char *problems = need(diag_text(&diag, ""));

		printf("%.2000s\n", problems);
		free(problems);
	}
	diag_clear(&diag);
	if (r)
		return false;
	c->devices = need(device_env_plain(c->policy));
	c->slots = need(set_slots_plain(c->policy));
	if (counter_plan_plain(&c->counters, c->policy))
		need(NULL);
	c->image = compile(c);
	return c->image;
}

static const struct node_rule *rule_at(const struct image *image, uint32_t number)
{
	return (const struct node_rule *)&image->nodes[number];
}

static const struct node_fork *fork_at(const struct image *image, uint32_t number)
{
	return (const struct node_fork *)&image->nodes[number];
}

static const struct node_quad *quad_at(const struct image *image, uint32_t number)
{
	return (const struct node_quad *)&image->nodes[number + 1];
}

static uint32_t references_of(const struct node_fork *fork)
{
	return fork->op == NODE_LIST ? 1 : fork->op == NODE_CUT ? 1u << fork->bits : REF_BUCKET * fork->buckets;
}

/* ---- bounds: everything that a reference can lead to ---- */

/* What is known of a fork and of all that follows it. */
struct known {
	bool done, open; /* open: being looked at, so meeting it again is a circle */
	uint32_t low, forks, rules;
};

struct survey {
	const struct image *image;
	struct known *known; /* per node */
	unsigned int shown;
	bool good;
};

static void __attribute__((format(printf, 2, 3))) wrong(struct survey *s, const char *what, ...)
{
	va_list args;

	s->good = false;
	if (s->shown++ >= 5)
		return;
	va_start(args, what);
	vprintf(what, args);
	printf("\n");
	va_end(args);
}

static uint32_t lower_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t higher_of(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static bool good_rule(struct survey *s, uint32_t number)
{
	uint8_t op = number < s->image->n_nodes ? s->image->nodes[number].op : NODE_NONE;
	bool good = op == NODE_RULE4 || (op == NODE_RULE6 && number + 1 < s->image->n_nodes);

	if (!good)
		wrong(s, "node %u is not a rule", number);
	return good;
}

/* The rules of a reference that is no fork: how many, and the lowest. */
static struct known survey_rules(struct survey *s, uint32_t ref)
{
	uint32_t number = ref & REF_NUMBER, before = 0;
	struct known k = { .low = RULE_NONE };

	if (!ref)
		return k;
	if ((ref & REF_KIND) == REF_RULE) {
		good_rule(s, number);
		return (struct known){ .low = number, .rules = 1 };
	}
	for (uint32_t i = number;; i++) {
		if (i >= s->image->n_refs) {
			wrong(s, "the list at %u does not end", number);
			return k;
		}
		if (!s->image->refs[i])
			break;
		if (s->image->refs[i] & ~REF_NUMBER)
			wrong(s, "reference %u in a list is 0x%x", i, s->image->refs[i]);
		else if (s->image->refs[i] <= before)
			wrong(s, "the list at %u is not sorted", number);
		else
			good_rule(s, s->image->refs[i]);
		before = s->image->refs[i] & REF_NUMBER;
		k.low = lower_of(k.low, before);
		k.rules++;
	}
	if (!k.rules)
		wrong(s, "the list at %u is empty", number);
	return k;
}

static uint64_t rule_mask(unsigned int shift)
{
	return shift >= 64 ? 0 : UINT64_MAX << shift;
}

/* Does every packet that the rule holds for have one hash, and which? */
static bool rule_hash(const struct image *image, const struct node_fork *fork, uint32_t fork_number, uint32_t number,
		      uint64_t *ret)
{
	const struct node_quad *mask = quad_at(image, fork_number), *quad = quad_at(image, number);
	const struct node_rule *r = rule_at(image, number);
	uint64_t saddr, daddr;
	uint32_t ports = (uint32_t)r->sport_lo << 16 | r->dport_lo;

	if ((fork->ports_mask >> 16 && r->sport_lo != r->sport_hi) ||
	    ((uint16_t)fork->ports_mask && r->dport_lo != r->dport_hi) || (fork->proto & ~r->class_mask & 0xff) ||
	    (r->op == NODE_RULE6) != (fork->op == NODE_HASH6))
		return false;
	if (r->op == NODE_RULE6) {
		if (mask->saddr[0] & ~rule_mask(r->saddr_shift) || mask->saddr[1] & ~rule_mask(r->saddr & 0xff) ||
		    mask->daddr[0] & ~rule_mask(r->daddr_shift) || mask->daddr[1] & ~rule_mask(r->saddr >> 8 & 0xff))
			return false;
		saddr = node_fold(quad->saddr[0] & mask->saddr[0], quad->saddr[1] & mask->saddr[1]);
		daddr = node_fold(quad->daddr[0] & mask->daddr[0], quad->daddr[1] & mask->daddr[1]);
	} else {
		if (fork->saddr_mask & ~rule_mask(r->saddr_shift) || fork->daddr_mask & ~rule_mask(r->daddr_shift))
			return false;
		saddr = r->saddr & fork->saddr_mask;
		daddr = r->daddr & fork->daddr_mask;
	}
	*ret = node_hash(saddr, daddr, ports & fork->ports_mask, r->class & fork->proto, fork->seed);
	return true;
}

/* Every rule below a reference, up to where the search goes on, hashes to this bucket and tag of the fork. */
static void survey_tags(struct survey *s, uint32_t fork_number, uint32_t ref, uint32_t end, uint32_t bucket,
			uint32_t tag)
{
	const struct node_fork *fork = fork_at(s->image, fork_number);
	const uint32_t *refs = s->image->refs;

	while (ref != end && (ref & REF_KIND) == REF_FORK) {
		const struct node_fork *below = fork_at(s->image, ref & REF_NUMBER);
		uint32_t n = references_of(below);

		if (below->op == NODE_LIST)
			survey_tags(s, fork_number, REF_LIST | below->base, 0, bucket, tag);
		for (uint32_t i = 0; below->op != NODE_LIST && i < n; i++)
			if (!i ||
			    refs[below->base + i] != refs[below->base + i - 1]) /* pieces of a cut may share one */
				survey_tags(s, fork_number, refs[below->base + i] & REF_UNTAGGED, below->next, bucket,
					    tag);
		ref = below->next;
	}
	if (ref == end || !ref)
		return;
	for (uint32_t i = 0;; i++) {
		bool list = (ref & REF_KIND) == REF_LIST;
		uint32_t number = list ? refs[(ref & REF_NUMBER) + i] & REF_NUMBER : ref & REF_NUMBER;
		uint64_t hash;

		if (!number)
			return;
		if (!rule_hash(s->image, fork, fork_number, number, &hash))
			wrong(s, "rule %u is in fork %u, which asks what the rule does not say", number, fork_number);
		else if (node_bucket(hash, fork->buckets) != bucket || node_tag(hash) != tag)
			wrong(s, "rule %u is in bucket %u with tag %u of fork %u", number, bucket, tag, fork_number);
		if (!list)
			return;
	}
}

static struct known survey_ref(struct survey *s, uint32_t ref);

static bool good_fork(struct survey *s, uint32_t number)
{
	const struct image *image = s->image;
	const struct node_fork *fork;
	size_t n;

	if (number >= image->n_nodes) {
		wrong(s, "fork %u is not there", number);
		return false;
	}
	fork = fork_at(image, number);
	switch (fork->op) {
	case NODE_HASH6:
	case NODE_HASH4:
	case NODE_WORD:
		n = (size_t)REF_BUCKET * fork->buckets;
		if (fork->base % REF_BUCKET || !fork->buckets ||
		    (fork->op == NODE_HASH6 && number + 1 >= image->n_nodes) ||
		    (fork->op == NODE_WORD && fork->proto >= KEY_WORDS))
			n = SIZE_MAX;
		break;
	case NODE_CUT:
		n = fork->proto < KEY_WORDS && fork->seed + fork->bits <= 32 ? (size_t)1 << fork->bits : SIZE_MAX;
		break;
	case NODE_LIST:
		n = 1;
		break;
	default:
		wrong(s, "node %u of kind %u is not a fork", number, fork->op);
		return false;
	}
	if (!fork->base || fork->base >= image->n_refs || n > image->n_refs - fork->base) {
		wrong(s, "fork %u: base %u, %u bits, %u buckets", number, fork->base, fork->bits, fork->buckets);
		return false;
	}
	return true;
}

/* One fork and all behind it. */
static struct known survey_fork(struct survey *s, uint32_t number)
{
	const struct node_fork *fork;
	struct known *known, behind, most = { .low = RULE_NONE };
	uint32_t n, tags[REF_BUCKET] = { 0 };

	if (!good_fork(s, number))
		return (struct known){ .done = true, .low = RULE_NONE };
	fork = fork_at(s->image, number);
	known = &s->known[number];
	if (known->done)
		return *known;
	if (known->open) {
		wrong(s, "fork %u leads to itself", number);
		return (struct known){ .done = true, .low = RULE_NONE };
	}
	known->open = true;
	behind = survey_ref(s, fork->next);
	n = references_of(fork);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t ref = fork->op == NODE_LIST ? REF_LIST | fork->base : s->image->refs[fork->base + i],
			 tag = ref >> REF_TAG_SHIFT;
		struct known found;

		if (!ref) {
			tags[i % REF_BUCKET] = UINT32_MAX;
			continue;
		}
		if (fork->op == NODE_LIST || fork->op == NODE_CUT) {
			if (tag)
				wrong(s, "fork %u has a tag in reference %u", number, i);
		} else {
			tags[i % REF_BUCKET] = tag;
			if (i % REF_BUCKET && tags[0] == tags[1])
				wrong(s, "fork %u has tag %u twice in bucket %u", number, tag, i / REF_BUCKET);
		}
		found = survey_ref(s, ref & REF_UNTAGGED);
		if ((ref & REF_KIND) != REF_FORK) { /* the search goes on behind the fork */
			found.forks += behind.forks;
			found.rules += behind.rules;
		}
		most.low = lower_of(most.low, found.low);
		most.forks = higher_of(most.forks, found.forks);
		most.rules = higher_of(most.rules, found.rules);
		if (s->good && (fork->op == NODE_HASH4 || fork->op == NODE_HASH6))
			survey_tags(s, number, ref & REF_UNTAGGED, fork->next, i / REF_BUCKET, tag);
	}
	*known = (struct known){ .done = true,
				 .low = lower_of(most.low, behind.low),
				 .forks = 1 + higher_of(most.forks, behind.forks),
				 .rules = higher_of(most.rules, behind.rules) };
	if (fork->low != known->low)
		wrong(s, "fork %u says its lowest rule is %u, it is %u", number, fork->low, known->low);
	return *known;
}

static struct known survey_ref(struct survey *s, uint32_t ref)
{
	if ((ref & REF_KIND) == REF_FORK)
		return survey_fork(s, ref & REF_NUMBER);
	return survey_rules(s, ref);
}

/* All roots of the only filter. */
static bool check_bounds(const struct image *image, const char *what)
{
	struct survey s = { .image = image, .known = need(calloc(image->n_nodes, sizeof(*s.known))), .good = true };
	const struct filter_head *head = &image->head->filter[0];
	uint32_t forks = 0, rules = 0;

	for (unsigned int i = 0; i < 2 * FAMILY_MAX; i++) {
		uint32_t root = i < FAMILY_MAX ? head->root[i] : head->eager[i - FAMILY_MAX];
		struct known k = survey_ref(&s, root);

		forks = higher_of(forks, k.forks + (root && (root & REF_KIND) != REF_FORK));
		rules = higher_of(rules, k.rules);
	}
	check(image->refs[0] == 0 && image->n_nodes <= REF_NUMBER && image->n_refs <= REF_NUMBER,
	      "%s: %zu nodes, %zu references", what, image->n_nodes, image->n_refs);
	check(s.good, "%s: the index is not sound", what);
	check(forks <= SEARCH_FORKS, "%s: a packet asks %u forks", what, forks);
	check(forks + rules <= image->worst_steps[0], "%s: a packet may take %u steps, 'check' says %u", what,
	      forks + rules, image->worst_steps[0]);
	free(s.known);
	return s.good;
}

/* ---- what the search finds ---- */

static uint64_t upper64(const uint8_t *bytes)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < 8; i++)
		n = n << 8 | bytes[i];
	return n;
}

/* The set of a lookup: slots are numbers of sets. */
static bool lookup_finds(const struct structure *structure, const struct lookup *lookup, const struct shape_packet *p)
{
	return structure_in_set(structure, lookup->slot, p);
}

/* As bpf/packet.h and classify_prepare() fill it. */
static struct visit_key key_of(const struct image *image, const struct structure *structure,
			       const struct shape_packet *p)
{
	struct visit_key key = { .ports = (uint32_t)p->sport << 16 | p->dport };
	uint32_t sets = 0;

	if (p->family == 4) {
		key.saddr[1] = upper64(p->saddr) >> 32;
		key.daddr[1] = upper64(p->daddr) >> 32;
	} else {
		for (unsigned int i = 0; i < 2; i++) {
			key.saddr[i] = upper64(p->saddr + 8 * i);
			key.daddr[i] = upper64(p->daddr + 8 * i);
		}
	}
	if (p->proto == 1 || p->proto == 58)
		key.ports = p->type << 8;
	for (unsigned int i = 0; i < image->head->filter[0].n_lookups; i++)
		sets |= (uint32_t)lookup_finds(structure, &image->head->lookup[i], p) << i;
	key.class = p->proto << CLASS_PROTO | 1u << CLASS_L4 | (p->proto == 6 || p->proto == 17) << CLASS_PORTS |
		    1u << CLASS_DIRECT | p->flags << CLASS_TCPFLAGS | sets << CLASS_SETS;
	key.word[KEY_TTL] = p->ttl;
	key.word[KEY_TOS] = p->dscp << 2;
	key.word[KEY_FAMILY] = p->family;
	return key;
}

/* Each rule that was found for one packet. */
struct finding {
	const struct image *image;
	const struct structure *structure;
	uint8_t *found; /* per rule: how often */
	uint32_t *list;
	size_t n;
};

static bool on_rule(void *context, uint32_t node)
{
	struct finding *f = context;
	uint32_t rule = f->image->rule_of[node];

	f->found[rule]++;
	f->list[f->n++] = rule;
	return false;
}

static uint32_t hash_ref(const struct image *image, uint32_t number, const struct visit_key *key)
{
	const struct node_fork *fork = fork_at(image, number);
	const struct node_quad *mask = quad_at(image, number);
	uint64_t saddr = (uint32_t)key->saddr[1] & fork->saddr_mask, daddr = (uint32_t)key->daddr[1] & fork->daddr_mask,
		 hash;
	const uint32_t *ref;

	if (fork->op == NODE_LIST)
		return REF_LIST | fork->base;
	if (fork->op == NODE_CUT)
		return image->refs[fork->base + (key->ports >> fork->seed & ((1u << fork->bits) - 1))];
	if (fork->op == NODE_HASH6) {
		saddr = node_fold(key->saddr[0] & mask->saddr[0], key->saddr[1] & mask->saddr[1]);
		daddr = node_fold(key->daddr[0] & mask->daddr[0], key->daddr[1] & mask->daddr[1]);
	}
	hash = fork->op == NODE_WORD
		       ? node_hash(key->word[fork->proto] & fork->saddr_mask, 0, 0, 0, fork->seed)
		       : node_hash(saddr, daddr, key->ports & fork->ports_mask, key->class & fork->proto, fork->seed);
	ref = image->refs + fork->base + node_bucket(hash, fork->buckets) * REF_BUCKET;
	for (unsigned int i = 0; i < REF_BUCKET; i++)
		if (ref[i] && ref[i] >> REF_TAG_SHIFT == node_tag(hash))
			return ref[i] & REF_UNTAGGED;
	return 0;
}

static bool holds(const struct image *image, uint32_t number, const struct visit_key *key)
{
	const struct node_rule *r = rule_at(image, number);
	const struct node_quad *quad = quad_at(image, number);
	uint32_t sport = key->ports >> 16, dport = key->ports & 0xffff;

	if ((key->class & r->class_mask) != r->class || sport < r->sport_lo || sport > r->sport_hi ||
	    dport < r->dport_lo || dport > r->dport_hi)
		return false;
	if (r->op == NODE_RULE4)
		return !((key->saddr[1] ^ r->saddr) & rule_mask(r->saddr_shift)) &&
		       !((key->daddr[1] ^ r->daddr) & rule_mask(r->daddr_shift));
	return !((key->saddr[0] ^ quad->saddr[0]) & rule_mask(r->saddr_shift)) &&
	       !((key->saddr[1] ^ quad->saddr[1]) & rule_mask(r->saddr & 0xff)) &&
	       !((key->daddr[0] ^ quad->daddr[0]) & rule_mask(r->daddr_shift)) &&
	       !((key->daddr[1] ^ quad->daddr[1]) & rule_mask(r->saddr >> 8 & 0xff));
}

static void try_rule(const struct finding *f, uint32_t number, const struct visit_key *key, uint32_t *best)
{
	if (number < *best && !f->structure->shapes[f->image->rule_of[number]].rough && holds(f->image, number, key))
		*best = number;
}

/* The walk of search() in bpf/search.h: it stops where a fork says that nothing lower follows. The lowest rule that is not rough. */
static uint32_t walk(const struct finding *f, uint32_t ref, const struct visit_key *key, unsigned int *ret_rounds)
{
	const struct image *image = f->image;
	uint32_t best = RULE_NONE;

	*ret_rounds = 0;
	while (ref && *ret_rounds <= 4 * SEARCH_FORKS) {
		uint32_t found = ref;

		++*ret_rounds;
		if ((ref & REF_KIND) == REF_FORK) {
			const struct node_fork *fork = fork_at(image, ref & REF_NUMBER);

			if (best < fork->low)
				break;
			found = hash_ref(image, ref & REF_NUMBER, key);
			ref = (found & REF_KIND) == REF_FORK ? found : fork->next;
			if ((found & REF_KIND) == REF_FORK)
				continue;
		} else {
			ref = 0;
		}
		if (found && (found & REF_KIND) == REF_RULE)
			try_rule(f, found, key, &best);
		else if (found)
			for (uint32_t i = found & REF_NUMBER; image->refs[i]; i++)
				try_rule(f, image->refs[i], key, &best);
	}
	return best;
}

/* One packet: all rules found, against all rules that hold. Returns differences. */
static unsigned int try_packet(struct finding *f, const struct shape_packet *p, unsigned int *most_rounds,
			       unsigned long *matches)
{
	const struct filter_head *head = &f->image->head->filter[0];
	const struct structure *structure = f->structure;
	enum family family = p->family == 4 ? FAMILY_IPV4 : FAMILY_IPV6;
	struct visit_key key = key_of(f->image, structure, p);
	const struct program program = { .nodes = f->image->nodes, .refs = f->image->refs };
	uint32_t lowest = RULE_NONE, node;
	unsigned int rounds, differences = 0;
	size_t n_plain;

	f->n = 0;
	index_visit(&program, head->root[family], &key, on_rule, f);
	n_plain = f->n;
	index_visit(&program, head->eager[family], &key, on_rule, f);
	for (size_t i = 0; i < f->n; i++)
		differences += structure->shapes[f->list[i]].eager != (i >= n_plain);
	for (size_t i = 0; i < structure->n; i++) {
		const struct shape *shape = &structure->shapes[i];
		bool matches_it = shape_matches(structure, shape, p);

		*matches += matches_it;
		if (f->found[i] > 1 || (matches_it && !f->found[i]) || (!shape->rough && f->found[i] && !matches_it)) {
			differences++;
			printf("rule %zu%s, which %s, was found %u times\n", i, shape->rough ? " (rough)" : "",
			       matches_it ? "matches" : "does not match", f->found[i]);
		}
		if (matches_it && !shape->rough && !shape->eager && lowest == RULE_NONE)
			lowest = i;
	}
	node = walk(f, head->root[family], &key, &rounds);
	if (rounds > *most_rounds)
		*most_rounds = rounds;
	if (lowest != (node == RULE_NONE ? RULE_NONE : f->image->rule_of[node])) {
		differences++;
		printf("the walk ends at node %u, the lowest rule is %u\n", node, lowest);
	}
	for (size_t i = 0; i < f->n; i++)
		f->found[f->list[i]] = 0;
	return differences;
}

static bool same_bytes(const struct image *a, const struct image *b)
{
	return a->n_nodes == b->n_nodes && a->n_refs == b->n_refs && !memcmp(a->head, b->head, sizeof(*a->head)) &&
	       !memcmp(a->nodes, b->nodes, a->n_nodes * sizeof(*a->nodes)) &&
	       !memcmp(a->refs, b->refs, a->n_refs * sizeof(*a->refs));
}

/* The same policy again, in memory that holds something else. */
static void check_repeats(struct compiled *c, const char *what)
{
	struct image *again;

	mallopt(M_PERTURB, 0x5a);
	again = compile(c);
	mallopt(M_PERTURB, 0);
	check(again && same_bytes(c->image, again), "%s: compiled twice, it is not the same", what);
	image_free(again);
}

static void try_structure(size_t rules, unsigned int number, unsigned int packets)
{
	struct random random = { rules * 1000 + number };
	unsigned int differences = 0, most_rounds = 0;
	struct structure structure;
	unsigned long matches = 0;
	struct compiled c;
	char what[80];

	snprintf(what, sizeof(what), "%zu rules, number %u", rules, number);
	structure_make(&structure, &random, rules, false);
	if (check(compiled_open(&c, structure.text), "%s: does not compile", what)) {
		struct finding f = { .image = c.image,
				     .structure = &structure,
				     .found = need(calloc(rules, 1)),
				     .list = need(calloc(c.image->n_nodes, sizeof(*f.list))) };
		double seconds = c.seconds;

		if (number % 4 == 0)
			check_repeats(&c, what);
		if (check_bounds(c.image, what)) {
			for (unsigned int i = 0; i < packets && differences < 5; i++) {
				struct shape_packet p;

				structure_pick(&structure, &random, &p);
				differences += try_packet(&f, &p, &most_rounds, &matches);
			}
			check(!differences, "%s: %u differences", what, differences);
			check(most_rounds <= SEARCH_FORKS, "%s: %u rounds of a search", what, most_rounds);
			check(matches > packets / 4, "%s: packets hardly meet rules: %lu", what, matches);
		}
		if (number == 0)
			printf("%6zu rules: %.2f s, %zu nodes, %zu references, %u steps, %u rounds, %.1f matches a "
			       "packet\n",
			       rules, seconds, c.image->n_nodes, c.image->n_refs, c.image->worst_steps[0], most_rounds,
			       (double)matches / packets);
		free(f.found);
		free(f.list);
	}
	compiled_close(&c);
	structure_clear(&structure);
}

/* ---- rule sets made to hurt ---- */

#define RULES(n) for (unsigned int i = 0; i < (n); i++)

/* Each is in all that are shorter. */
static void all_lengths(FILE *out, struct random *r)
{
	const uint32_t saddr = 0x0aaa5501, daddr = 0xac155503;

	(void)r;
	for (unsigned int i = 0; i < 33 * 33; i++) {
		unsigned int s = 32 - i / 33, d = 32 - i % 33;
		uint32_t a = saddr & rule_mask(32 - s), b = daddr & rule_mask(32 - d);

		fprintf(out, "ip saddr %u.%u.%u.%u/%u ip daddr %u.%u.%u.%u/%u %s\n", a >> 24, a >> 16 & 0xff,
			a >> 8 & 0xff, a & 0xff, s, b >> 24, b >> 16 & 0xff, b >> 8 & 0xff, b & 0xff, d,
			i % 2 ? "drop" : "accept");
	}
}

static void product(FILE *out, struct random *r)
{
	(void)r;
	for (unsigned int s = 0; s < 60; s++)
		for (unsigned int d = 0; d < 60; d++)
			for (unsigned int p = 0; p < 5; p++)
				fprintf(out, "ip saddr 10.0.%u.0/24 ip daddr 10.1.%u.0/24 tcp dport %u accept\n", s, d,
					80 + p);
}

static void port_ranges(FILE *out, struct random *r)
{
	RULES(5000)
	{
		unsigned int a = random_below(r, 65536), b = random_below(r, 65536);

		fprintf(out, "tcp dport %u-%u %s\n", a < b ? a : b, (a < b ? b : a) + (a == b && a < 65535),
			i % 2 ? "drop" : "accept");
	}
}

static void identical(FILE *out, struct random *r)
{
	(void)r;
	RULES(5000) fprintf(out, "ip saddr 192.0.2.1 tcp dport 80 %s\n", i % 2 ? "drop" : "accept");
}

static void marks(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "meta mark %u drop\n", i * 7);
}

static void owners(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "meta skuid %u drop\n", i);
}

static void macs(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "ether saddr 02:00:00:00:%02x:%02x drop\n", i >> 8, i & 0xff);
}

static void devices(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "iif eth%u ttl %u drop\n", i % 50, i / 50 % 250 + 1);
}

static void vlans(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "vlan id %u vlan pcp %u drop\n", i % 4000, i / 4000);
}

static void long_lists(FILE *out, struct random *r)
{
	for (unsigned int k = 0; k < 100; k++) {
		fprintf(out, "ip saddr { ");
		RULES(200) fprintf(out, "%s10.%u.%u.%u", i ? ", " : "", k, i, random_below(r, 256));
		fprintf(out, " } drop\n");
	}
}

static void ranges6(FILE *out, struct random *r)
{
	RULES(2000)
	{
		unsigned int a = random_below(r, 60000);

		fprintf(out, "ip6 saddr 2001:db8::%x:1-2001:db8::%x:7 tcp dport %u drop\n", a,
			a + random_below(r, 5000), i % 20 + 1);
	}
}

/* Eager rules that no packet can all meet. */
static void counts(FILE *out, struct random *r)
{
	(void)r;
	RULES(10000) fprintf(out, "ip saddr 10.0.%u.%u counter\n", i >> 8, i & 0xff);
}

/* Sources within sources: every packet from 10.0.0.0 is in all. */
static void nested(FILE *out, struct random *r)
{
	(void)r;
	RULES(3000)
	fprintf(out, "ip saddr 10.0.0.0/%u tcp dport %u-%u %s\n", 32 - i % 25, 1 + i, 60000 - i,
		i % 2 ? "drop" : "accept");
}

static const struct adversary {
	const char *name;
	const char *hook;
	void (*write)(FILE *out, struct random *r);
	double seconds;                   /* at most */
	size_t bytes;                     /* of the image, at most */
	uint32_t steps_least, steps_most; /* what `check` says */
} adversaries[] = {
	{ "all pairs of prefix lengths", "ingress", all_lengths, 5, 1 << 20, 1089, 3000 },
	{ "60 sources x 60 destinations x 5 ports", "ingress", product, 5, 4 << 20, 2, 30 },
	{ "5,000 ranges of ports", "ingress", port_ranges, 5, 2 << 20, 1000, 10100 },
	{ "5,000 times the same match", "ingress", identical, 5, 1 << 20, 5000, 10100 },
	{ "10,000 marks", "ingress tc", marks, 5, 16 << 20, 3, 200 },
	{ "10,000 owners", "egress", owners, 5, 16 << 20, 3, 200 },
	{ "10,000 MACs", "ingress", macs, 5, 16 << 20, 3, 200 },
	{ "10,000 pairs of a device and a TTL", "ingress", devices, 5, 16 << 20, 3, 2500 },
	{ "10,000 tags", "ingress", vlans, 5, 16 << 20, 3, 200 },
	{ "100 lists of 200 addresses", "ingress", long_lists, 5, 4 << 20, 3, 200 },
	{ "2,000 ranges of IPv6 addresses", "ingress", ranges6, 5, 2 << 20, 3, 20000 },
	{ "10,000 rules that count and go on", "ingress", counts, 5, 4 << 20, 3, 200 },
	{ "3,000 sources within sources", "ingress", nested, 5, 4 << 20, 100, 10000 },
};

static void try_adversary(const struct adversary *a)
{
	struct random random = { 1 };
	struct compiled c;
	double slow = 1;
	size_t size;
	char *text;
	FILE *out = need(open_memstream(&text, &size));

#ifdef __SANITIZE_ADDRESS__
	slow = 10;
#endif
	fprintf(out, "filter f {\nhook %s\ndevice dev0\ndefault accept\n", a->hook);
	a->write(out, &random);
	fprintf(out, "}\n");
	fclose(out);
	if (check(compiled_open(&c, text), "%s: does not compile", a->name)) {
		uint32_t steps = c.image->worst_steps[0];
		size_t bytes = c.image->n_nodes * sizeof(struct node) + c.image->n_refs * sizeof(uint32_t);

		printf("%-42s %.2f s, %5zu KiB, %u steps\n", a->name, c.seconds, bytes >> 10, steps);
		check(c.seconds < a->seconds * slow, "%s: %.1f s", a->name, c.seconds);
		check(bytes <= a->bytes, "%s: %zu bytes, %zu allowed", a->name, bytes, a->bytes);
		check(steps >= a->steps_least && steps <= a->steps_most, "%s: %u steps, expected %u to %u", a->name,
		      steps, a->steps_least, a->steps_most);
		check_bounds(c.image, a->name);
		check_repeats(&c, a->name);
	}
	compiled_close(&c);
	free(text);
}

int main(void)
{
	static const struct {
		size_t rules;
		unsigned int packets;
	} sizes[] = { { 10, 3000 }, { 100, 3000 }, { 1000, 3000 }, { 10000, 500 } };

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (unsigned int n = 0; n < 12; n++)
			try_structure(sizes[i].rules, n, sizes[i].packets);
	for (unsigned int i = 0; i < sizeof(adversaries) / sizeof(adversaries[0]); i++)
		try_adversary(&adversaries[i]);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
