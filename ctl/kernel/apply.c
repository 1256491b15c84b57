// SPDX-License-Identifier: GPL-2.0
/*
 * Apply: stage, verify, swap, forget.
 *
 * Everything before swap() can fail or be killed without any packet noticing: packets read the other half
 * of the tables, sets that no rule names, programs on devices that no rule names. swap() is one store.
 * What forget() does not get to, the next command does (recover.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "guard.h"
#include "inner.h"
#include "numbers.h"
#include "pool.h"
#include "synproxy.h"
#include "tests.h"

struct stage {
	struct weir_root *root;
	const struct policy *policy;
	const struct apply_options *options;
	struct diag *diag;
	struct device_env *devices;
	struct counter_plan *counters;
	struct fresh fresh;
	uint16_t *slots;
	bool *new_set;              /* per set: its slot is filled by this apply */
	struct set_image *elements; /* per set: of new ones, until they are in place */
	uint32_t pool_end;          /* lines that all tables together need */
	struct image *image;
	char *manifest;
	struct cgroup cgroup; /* of the guards */
	uint64_t seed;        /* of the instance, or of the first one */
	bool new_flows;       /* nothing was tracked before: the flow table does not know the host's connections */
	struct apply_result *result;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* ---- stage ---- */

/* Who needs a device: 0 nobody must have it, 1 a filter, 2 a rule redirects there. */
static int needed(const struct policy *policy, size_t device, struct location *ret)
{
	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		for (size_t i = 0; i < filter->n_devices; i++) {
			if (filter->devices[i].device == device && !filter->devices[i].optional) {
				*ret = filter->devices[i].loc;
				return 1;
			}
		}
		for (size_t i = 0; i < filter->n_rules; i++) {
			if (filter->rules[i].verdict == POLICY_REDIRECT && filter->rules[i].redirect == device) {
				*ret = filter->rules[i].loc;
				return 2;
			}
		}
	}
	return 0;
}

/* A redirect to a device that left goes on losing its packets; a filter waits for the device. */
static void follow_missing(struct stage *s, size_t device)
{
	struct location loc;

	if (needed(s->policy, device, &loc) == 2)
		s->devices[device] = root_running(s->root)->devices[device];
}

static int resolve_devices(struct stage *s)
{
	const struct policy *policy = s->policy;
	int failed = 0;

	s->devices = calloc(policy->n_devices + 1, sizeof(*s->devices));
	if (!s->devices)
		return diag_oom(s->diag);
	for (size_t i = 0; i < policy->n_devices; i++) {
		struct link_info info;
		struct location loc = { 0 };
		int r = link_get(policy->devices[i], &info, s->diag);

		if (r == 0) {
			s->devices[i] = (struct device_env){ .ifindex = info.ifindex, .raw_ip = !info.ethernet };
			continue;
		}
		if (r != -ENODEV)
			return r;
		if (s->options->follow) {
			follow_missing(s, i);
			continue;
		}
		switch (needed(policy, i, &loc)) {
		case 1:
			failed = diag_error(s->diag, loc, "device '%s' does not exist in this network namespace",
					    policy->devices[i]);
			diag_hint(s->diag, "create it first, or write '%s optional'", policy->devices[i]);
			break;
		case 2:
			failed = diag_error(s->diag, loc, "cannot redirect to '%s': there is no such device",
					    policy->devices[i]);
			break;
		}
	}
	return failed;
}

static const struct set *running_set(const struct running *running, const char *name, size_t *ret)
{
	for (size_t i = 0; running && i < running->policy->n_sets; i++) {
		if (!strcmp(running->policy->sets[i].name, name)) {
			*ret = i;
			return &running->policy->sets[i];
		}
	}
	return NULL;
}

/* Kept alike: of the same types, and with the same to remember of an element. */
static bool same_kind(const struct set *a, const struct set *b)
{
	return a->n_types == b->n_types && !memcmp(a->type, b->type, a->n_types * sizeof(a->type[0])) &&
	       a->has_timeout == b->has_timeout && a->has_counter == b->has_counter;
}

static uint32_t running_ifindex(const struct running *running, const char *name)
{
	for (size_t i = 0; i < running->policy->n_devices; i++)
		if (!strcmp(running->policy->devices[i], name))
			return running->devices[i].ifindex;
	return 0;
}

/* Interfaces stand in a set by number: one that was made anew has another. */
static bool same_interfaces(const struct stage *s, const struct set *set)
{
	for (size_t i = 0; i < set->n_elements; i++) {
		for (unsigned int part = 0; part < set->n_types; part++) {
			uint32_t device = set->elements[i].part[part].lo.w[0];

			if (set->type[part] == TYPE_IFACE &&
			    s->devices[device].ifindex !=
				    running_ifindex(root_running(s->root), s->policy->devices[device]))
				return false;
		}
	}
	return true;
}

/*
 * A set keeps its elements, what `weir set` did to them included, as long as the file says the same of it;
 * a set without content in the file belongs to `weir set` alone.
 */
static int choose_slots(struct stage *s)
{
	const struct running *running = root_running(s->root);
	uint64_t used[SET_SLOTS / 64] = { 0 };
	unsigned int slot = 0;

	s->slots = calloc(s->policy->n_sets + 1, sizeof(*s->slots));
	s->new_set = calloc(s->policy->n_sets + 1, sizeof(*s->new_set));
	if (!s->slots || !s->new_set)
		return diag_oom(s->diag);
	for (size_t i = 0; running && i < running->policy->n_sets; i++)
		used[running->set_slot[i] / 64] |= 1ul << (running->set_slot[i] % 64);
	for (size_t i = 0; i < s->policy->n_sets; i++) {
		const struct set *set = &s->policy->sets[i];
		size_t old = 0;
		const struct set *before = running_set(running, set->name, &old);

		if (before && same_kind(set, before) && set->size == before->size &&
		    (!set->has_content ||
		     (before->has_content && set->digest == before->digest && same_interfaces(s, set)))) {
			s->slots[i] = running->set_slot[old];
			s->result->sets_kept++;
			continue;
		}
		while (slot < SET_SLOTS && used[slot / 64] & 1ul << (slot % 64))
			slot++;
		if (slot == SET_SLOTS)
			return diag_error(s->diag, set->loc, "more than %d sets, those of the running rules included",
					  SET_SLOTS);
		s->slots[i] = slot++;
		s->new_set[i] = true;
		s->result->sets_loaded++;
	}
	return 0;
}

static int compile(struct stage *s)
{
	struct compile_input input = {
		.policy = s->policy,
		.devices = s->devices,
		.set_slot = s->slots,
		.netns = netns_cookie(),
		.secret = s->seed,
	};

	if (counter_plan_keeping(&s->counters, &s->fresh, s->policy, root_running(s->root)))
		return diag_oom(s->diag);
	input.counters = s->counters;
	return compile_policy(&s->image, &input, s->diag);
}

/* The elements of new sets as keys, and where the tables of all sets in the pool stand. */
static int place_sets(struct stage *s)
{
	const struct instance *instance = s->root->instance;
	const struct tables_head *running =
		instance ? memory_head(&instance->memory, instance->memory.control->generation) : NULL;
	struct regions regions;
	int r = regions_of(&regions, running);

	s->elements = calloc(s->policy->n_sets + 1, sizeof(*s->elements));
	if (r || !s->elements) {
		regions_clear(&regions);
		return diag_oom(s->diag);
	}
	for (size_t i = 0; i < s->policy->n_sets && r == 0; i++) {
		const struct set *set = &s->policy->sets[i];
		struct set_head *head = &s->image->head->set[s->slots[i]];

		if (!s->new_set[i]) {
			if (set_in_pool(set))
				*head = running->set[s->slots[i]];
			continue;
		}
		r = set_image_of(&s->elements[i], set, s->devices, s->diag);
		if (r == 0)
			r = set_fits(set, &s->elements[i], s->diag);
		if (r == 0 && set_in_pool(set) && pool_place(&regions, head, &s->elements[i]))
			r = diag_oom(s->diag);
	}
	s->pool_end = regions_end(&regions);
	regions_clear(&regions);
	return r;
}

/* Do the running rules? */
static bool tracks_flows(const struct weir_root *root)
{
	const struct running *running = root_running(root);

	for (size_t f = 0; running && f < running->policy->n_filters; f++)
		if (running->policy->filters[f].tracks)
			return true;
	return false;
}

/* Room for the new generation: a first instance, the one that is there, or one that is larger or of newer programs. */
static int make_room(struct stage *s)
{
	struct capacity need = {
		s->image->n_nodes,  s->image->n_refs,  s->counters->n,      strlen(s->manifest) + 1, s->pool_end,
		s->image->features, s->image->n_flows, s->image->n_buckets, s->image->n_datagrams,   0
	};
	struct capacity roomy = capacity_for(need.n_nodes, need.n_refs, need.n_counters, need.n_manifest);
	struct weir_root *root = s->root;
	char from[600], to[600];
	int r;

	s->new_flows = s->image->features & FEATURE_FLOWS && !tracks_flows(root);
	roomy.n_lines = pool_roomy(s->image->head, s->pool_end);
	roomy.features = need.features;
	roomy.seed = s->seed;
	roomy.n_flows = need.n_flows > roomy.n_flows ? need.n_flows : roomy.n_flows;
	roomy.n_buckets = need.n_buckets > roomy.n_buckets ? need.n_buckets : roomy.n_buckets;
	roomy.n_datagrams = need.n_datagrams > roomy.n_datagrams ? need.n_datagrams : roomy.n_datagrams;
	if (root->instance && capacity_holds(&root->instance->memory.capacity, &need) &&
	    root->instance->memory.control->programs == load_programs_hash())
		return 0;
	if (root->instance) {
		const struct capacity *have = &root->instance->memory.capacity;

		/* never smaller in any part: the running rules must fit too */
		roomy.n_nodes = roomy.n_nodes > have->n_nodes ? roomy.n_nodes : have->n_nodes;
		roomy.n_refs = roomy.n_refs > have->n_refs ? roomy.n_refs : have->n_refs;
		roomy.n_counters = roomy.n_counters > have->n_counters ? roomy.n_counters : have->n_counters;
		roomy.n_manifest = roomy.n_manifest > have->n_manifest ? roomy.n_manifest : have->n_manifest;
		if (roomy.n_lines < have->n_lines || s->pool_end <= have->n_lines)
			roomy.n_lines = have->n_lines;
		roomy.features |= have->features;
		roomy.n_flows = roomy.n_flows > have->n_flows ? roomy.n_flows : have->n_flows;
		roomy.n_buckets = roomy.n_buckets > have->n_buckets ? roomy.n_buckets : have->n_buckets;
		roomy.n_datagrams = roomy.n_datagrams > have->n_datagrams ? roomy.n_datagrams : have->n_datagrams;
		return grow(root, &roomy, s->diag);
	}
	r = instance_create(&root->instance, root->path, 1, &roomy, NULL, s->diag);
	if (r)
		return r;
	snprintf(from, sizeof(from), "%s/1-new", root->path);
	snprintf(to, sizeof(to), "%s/1", root->path);
	return rename(from, to) ? diag_errno(s->diag, errno, "cannot rename '%s'", from) : 0;
}

/* Of a set that stays: packets will write to it, and did not so far. */
static bool newly_banned(const struct stage *s, const struct set *set)
{
	size_t number;
	const struct set *before = running_set(root_running(s->root), set->name, &number);

	return set->banned && !(before && before->banned);
}

/* Puts new sets that are in kernel maps into their slots, and rings where old ones need one now. */
static int load_kernel_sets(struct stage *s)
{
	const struct policy *policy = s->policy;
	struct inner *inner = calloc(policy->n_sets + 1, sizeof(*inner));
	uint16_t *slots = calloc(policy->n_sets + 1, sizeof(*slots));
	size_t n = 0;
	int r = inner && slots ? 0 : diag_oom(s->diag);

	for (size_t i = 0; i < policy->n_sets && r == 0; i++) {
		if (!s->new_set[i] || set_in_pool(&policy->sets[i]))
			continue;
		r = inner_create(&inner[n], &policy->sets[i], &s->elements[i], s->diag);
		if (r == 0)
			slots[n++] = s->slots[i];
	}
	for (size_t i = 0; i < policy->n_sets && r == 0; i++) {
		if (s->new_set[i] || !newly_banned(s, &policy->sets[i]))
			continue;
		r = inner_create_ring(&inner[n], &policy->sets[i], s->diag);
		if (r == 0)
			slots[n++] = s->slots[i];
	}
	if (r == 0 && n)
		r = inner_publish(s->root->instance->set, slots, inner, n, s->diag);
	for (size_t i = 0; i < n; i++)
		inner_close(&inner[i]);
	free(inner);
	free(slots);
	return r;
}

/* Writes the tables of new sets to where place_sets() said, which nobody reads yet. */
static int build_tables(struct stage *s)
{
	struct memory *memory = &s->root->instance->memory;
	struct pool pool = { memory->lines, memory->capacity.n_lines };
	int r = 0;

	for (size_t i = 0; i < s->policy->n_sets && r == 0; i++)
		if (s->new_set[i] && set_in_pool(&s->policy->sets[i]))
			r = pool_build(&pool, &s->image->head->set[s->slots[i]], &s->elements[i]);
	return r ? diag_errno(s->diag, -r, "cannot lay out the tables of the sets") : 0;
}

/* Numbers that were in use before and are given out again. A first instance has only zeros. */
static int clear_fresh_counters(struct stage *s)
{
	const struct instance *instance = s->root->instance;
	int r = 0;

	if (root_running(s->root))
		r = counters_clear(instance->counters, s->fresh.at, s->fresh.n);
	if (r == 0 && root_running(s->root))
		r = counters_clear(instance->counter_base, s->fresh.at, s->fresh.n);
	return r ? diag_errno(s->diag, -r, "cannot clear counters") : 0;
}

static void write_half(struct stage *s)
{
	struct memory *memory = &s->root->instance->memory;
	unsigned int half = (memory->control->generation + 1) & 1;

	memory_write_half(memory, half, s->image);
	memcpy(memory->manifest + half * memory->capacity.n_manifest, s->manifest, strlen(s->manifest) + 1);
}

/* ---- verify ---- */

struct verify {
	struct stage *stage;
	size_t failed;
};

static void on_test(void *context, const struct test_outcome *outcome)
{
	struct verify *v = context;

	if (outcome->passed)
		return;
	v->failed++;
	diag_error(v->stage->diag, outcome->test->expect_loc, "test '%s' failed: got %s", outcome->test->name,
		   outcome->got);
	diag_hint(v->stage->diag, "expected %s", outcome->want);
}

/* The file's own tests, on a private copy of the same programs with the same rules. */
static int verify(struct stage *s)
{
	struct verify v = { s, 0 };
	struct compile_input input = { .policy = s->policy, .devices = s->devices, .counters = s->counters };
	struct runner *runner = NULL;
	struct image *image = NULL;
	struct diag quiet;
	uint16_t *slots;
	int r;

	if (!s->policy->n_tests)
		return 0;
	slots = set_slots_plain(s->policy);
	input.set_slot = slots;
	diag_init(&quiet); /* its warnings were said by the first compilation */
	r = slots ? compile_policy(&image, &input, &quiet) : -ENOMEM;
	diag_clear(&quiet);
	if (r == 0)
		r = runner_open(&runner, image->n_nodes > s->counters->n ? image->n_nodes : s->counters->n,
				image->n_refs, s->diag);
	if (r == 0)
		r = runner_load(runner, s->policy, s->devices, image, s->diag);
	if (r == 0)
		r = tests_run(runner, s->policy, s->devices, on_test, &v, s->diag);
	runner_close(runner);
	image_free(image);
	free(slots);
	return r > 0 || v.failed ? -EINVAL : r;
}

/* ---- attach, swap, forget ---- */

static const struct pin *pin_of(const struct pin *pins, size_t n, enum hook hook, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (pins[i].entry == (enum entry)hook && pins[i].ifindex == ifindex)
			return &pins[i];
	return NULL;
}

static bool pin_is_generic(const struct pin *pin)
{
	return !strcmp(pin->kind, "gen") || !strcmp(pin->kind, "dispg");
}

/* New devices get the programs now; under the running generation they have no filter, so nothing changes yet. */
static int attach_all(struct stage *s)
{
	const struct policy *policy = s->policy;
	struct pin *pins;
	size_t n;
	int r = pins_list(&pins, &n, s->root->path), failed = 0;

	if (r)
		return diag_errno(s->diag, -r, "cannot list attachments");
	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		for (size_t i = 0; i < filter->n_devices; i++) {
			const char *name = policy->devices[filter->devices[i].device];
			uint32_t ifindex = s->devices[filter->devices[i].device].ifindex;
			const struct pin *pin = pin_of(pins, n, (enum hook)filter->hook, ifindex);

			if (!ifindex)
				continue;
			if (pin && attach_alive(s->root, pin) &&
			    (filter->hook != POLICY_XDP || pin_is_generic(pin) == filter->generic))
				continue;
			if (pin)
				attach_remove(s->root, pin, s->diag);
			r = attach_add(s->root, (enum hook)filter->hook, ifindex, name, filter->generic,
				       s->options->force, s->diag);
			if (r)
				failed = r;
			else
				s->result->attached++;
		}
	}
	free(pins);
	return failed;
}

/* What they enforce is what the running half says: for devices and calls that had none, nothing yet. */
static int attach_guards(struct stage *s)
{
	size_t attached = 0;
	int r = s->policy->n_guards ? guards_attach(s->root, &s->cgroup, &attached, s->diag) : 0;

	s->result->attached += attached;
	return r;
}

/* To devices that came since; the rules run already. */
static void attach_guards_late(struct stage *s)
{
	struct diag why;
	size_t attached = 0;

	if (!s->policy->n_guards)
		return;
	diag_init(&why);
	if (guards_attach(s->root, &s->cgroup, &attached, &why))
		diag_warning(s->diag, (struct location){ 0 }, "a device that came just now has no guard: %s",
			     why.n ? why.problems[0].message : "out of memory");
	s->result->attached += attached;
	diag_clear(&why);
}

static void swap(struct stage *s)
{
	struct control *control = s->root->instance->memory.control;

	__atomic_store_n(&control->generation, control->generation + 1, __ATOMIC_RELEASE);
}

static size_t count_pins(const struct weir_root *root)
{
	struct pin *pins;
	size_t n = 0, devices = 0;

	if (pins_list(&pins, &n, root->path))
		return 0;
	for (size_t i = 0; i < n; i++)
		devices += !entry_is_call(pins[i].entry);
	free(pins);
	return devices;
}

static int forget(struct stage *s)
{
	size_t before = count_pins(s->root), after;
	int r = root_reload(s->root, s->diag);

	if (r == 0)
		r = tidy(s->root, s->diag);
	after = count_pins(s->root);
	s->result->detached = before > after ? before - after : 0;
	return r;
}

/* ---- the whole ---- */

/* b is a policy that was read back: without long lists of elements. */
static bool same_source(const struct policy *a, const struct policy *b, size_t number)
{
	const struct source *theirs = &b->sources[number];
	size_t length = 0;
	char *text = policy_source_brief(a, number, &length);
	bool same = text && !strcmp(a->sources[number].name, theirs->name) && length == theirs->length &&
		    !memcmp(text, theirs->text, length);

	free(text);
	return same;
}

static bool same_sources(const struct policy *a, const struct policy *b)
{
	if (a->n_sources != b->n_sources)
		return false;
	for (size_t i = 0; i < a->n_sources; i++)
		if (!same_source(a, b, i))
			return false;
	return true;
}

bool filters_attached(const struct weir_root *root, const struct policy *policy, const struct device_env *devices)
{
	bool all = true;
	struct pin *pins;
	size_t n;

	if (pins_list(&pins, &n, root->path))
		return false;
	for (size_t f = 0; f < policy->n_filters && all; f++) {
		const struct filter *filter = &policy->filters[f];

		for (size_t i = 0; i < filter->n_devices && all; i++) {
			uint32_t ifindex = devices[filter->devices[i].device].ifindex;
			const struct pin *pin = pin_of(pins, n, (enum hook)filter->hook, ifindex);

			all = !ifindex || (pin && attach_alive(root, pin));
		}
	}
	free(pins);
	return all;
}

/* The same files, sets, interfaces and programs, and every attachment in place. */
static bool nothing_to_do(struct stage *s)
{
	const struct running *running = root_running(s->root);

	if (!running || !same_sources(s->policy, running->policy) || s->result->sets_loaded ||
	    s->root->instance->memory.control->programs != load_programs_hash() ||
	    s->policy->n_devices != running->policy->n_devices ||
	    memcmp(s->devices, running->devices, s->policy->n_devices * sizeof(*s->devices)))
		return false;
	if (s->policy->n_guards &&
	    (s->cgroup.id != s->root->contents->cgroup.id || !guards_same(s->root, s->policy, s->devices) ||
	     !guards_attached(s->root, &s->cgroup)))
		return false;
	return filters_attached(s->root, s->policy, s->devices);
}

/* Back to what ran before: nothing of ours may stay behind. */
static void undo(struct stage *s)
{
	struct diag quiet;

	if (!s->root->instance)
		return;
	diag_init(&quiet);
	if (root_running(s->root)) {
		tidy(s->root, &quiet);
	} else {
		instance_close(s->root->instance);
		s->root->instance = NULL;
		recover(s->root, &quiet); /* removes an instance that never enforced anything */
	}
	diag_clear(&quiet);
}

/*
 * Connections that are older than the rules go on. Again after the swap, one may have begun in between; and the last try
 * counts. Rules that are right are not held up by it.
 */
static void seed_flows(struct stage *s, bool last)
{
	struct diag why;

	if (!s->new_flows)
		return;
	diag_init(&why);
	if (flows_seed(s->root->instance, &s->image->head->flows, &why) && last) {
		diag_warning(s->diag, (struct location){ 0 },
			     "connections older than the rules are invalid until this host sends");
		diag_hint(s->diag, "%s", why.n ? why.problems[0].message : "out of memory");
	}
	diag_clear(&why);
}

static int stage(struct stage *s)
{
	int r = s->root->instance ? root_settle(s->root, s->diag) : 0;

	if (r == 0)
		r = place_sets(s);
	if (r == 0)
		r = make_room(s);
	if (r == 0)
		r = build_tables(s);
	if (r)
		return r;
	/* From here on a kill leaves something to tidy up. */
	s->root->instance->memory.control->settled = 0;
	r = clear_fresh_counters(s);
	if (r)
		return r;
	write_half(s); /* first: its manifest is the note of the set slots to tidy up */
	r = load_kernel_sets(s);
	if (r == 0)
		r = attach_all(s);
	if (r == 0)
		r = attach_guards(s);
	if (r == 0)
		seed_flows(s, false);
	return r;
}

static void stage_clear(struct stage *s)
{
	free(s->devices);
	counter_plan_free(s->counters);
	free(s->fresh.at);
	free(s->slots);
	free(s->new_set);
	for (size_t i = 0; s->elements && i < s->policy->n_sets; i++)
		set_image_clear(&s->elements[i]);
	free(s->elements);
	image_free(s->image);
	free(s->manifest);
}

int root_apply(struct weir_root *root, const struct policy *policy, const struct apply_options *options,
	       struct apply_result *ret, struct diag *diag)
{
	struct stage s = { .root = root, .policy = policy, .options = options, .diag = diag, .result = ret };
	double start = now_ms(), swapped;
	int r = root_check_netns(root, diag);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = resolve_devices(&s);
	if (r == 0 && !options->follow)
		r = synproxy_check(policy, diag);
	if (r == 0)
		r = guards_place(&s.cgroup, root, policy, options->cgroup, diag);
	if (r == 0 && root->instance)
		s.seed = root->instance->memory.control->seed;
	else if (r == 0)
		r = seed_draw(&s.seed, diag);
	if (r == 0)
		r = choose_slots(&s);
	if (r == 0 && nothing_to_do(&s)) {
		ret->generation = root->running.generation;
		ret->unchanged = true;
		stage_clear(&s);
		return 0;
	}
	if (r == 0)
		r = compile(&s);
	/* Rules that are followed were tested when they came, with the sets that they came with. */
	if (r == 0 && !options->follow)
		r = verify(&s);
	if (r == 0 && manifest_write(&s.manifest, policy, s.devices, s.counters, s.slots, options->file, netns_number(),
				     &s.cgroup))
		r = diag_oom(diag);
	if (r == 0)
		r = stage(&s);
	if (r) {
		undo(&s);
		stage_clear(&s);
		return r;
	}
	ret->stage_ms = now_ms() - start;
	swapped = now_ms();
	swap(&s);
	ret->generation = root->instance->memory.control->generation;
	ret->closed = guards_close_sockets(root);
	seed_flows(&s, true);
	r = forget(&s);
	attach_guards_late(&s);
	ret->swap_ms = now_ms() - swapped;
	stage_clear(&s);
	return r;
}
