// SPDX-License-Identifier: GPL-2.0
/*
 * A private copy of the programs, run by BPF_PROG_TEST_RUN on frames from memory. The same object as the
 * one on the interfaces, loaded with cfg.trace: device, length, mark and owner come from struct trace,
 * and the outcome goes there, so that one frame costs one system call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "inner.h"
#include "load.h"
#include "pool.h"
#include "root.h"
#include "weir.skel.h"

#define FRAME_MIN 54   /* a test run of TC refuses IP frames that end in the IP header */
#define TC_BYTES  3072 /* a test run takes no more than a page for TC; the length is told by struct trace */
#define XDP_BYTES 65536
#define SOME_TIME 1000000000000ull /* of frames that come without one: ns */

struct runner {
	struct weir_bpf *bpf;
	struct memory memory;
	struct capacity capacity;
	int outer[SET_OUTER_MAX];
	bool own_sets;                    /* false: those of a running instance */
	struct set_head heads[SET_SLOTS]; /* where the tables of own sets are */
	uint64_t boot_ns;                 /* CLOCK_BOOTTIME when the sets were filled */
	uint32_t counted;                 /* counters that any policy so far may have used */
	int program[HOOK_MAX];
	uint32_t *rule_of; /* per node: the rule that it compares */
	size_t n_nodes;
};

uint16_t *set_slots_plain(const struct policy *policy)
{
	uint16_t *slots = calloc(policy->n_sets + 1, sizeof(*slots));

	for (size_t i = 0; slots && i < policy->n_sets; i++)
		slots[i] = i;
	return slots;
}

struct device_env *device_env_plain(const struct policy *policy)
{
	struct device_env *devices = calloc(policy->n_devices + 1, sizeof(*devices));

	for (size_t i = 0; devices && i < policy->n_devices; i++)
		devices[i].ifindex = i + 1000;
	return devices;
}

/* Loads the programs, again where they are loaded with less room. */
static int runner_make(struct runner *runner, const struct capacity *capacity, const struct shared_maps *shared,
		       struct diag *diag)
{
	struct memory_files files;
	struct weir_bpf *bpf;
	int r;

	memory_unmap(&runner->memory);
	load_close(runner->bpf);
	r = load_open(&runner->bpf, capacity, LOAD_TRACE, shared, diag);
	if (r) {
		runner->bpf = NULL;
		return r;
	}
	bpf = runner->bpf;
	runner->capacity = *capacity;
	runner->counted = 0;
	runner->own_sets = shared->set[0] < 0;
	runner->outer[SET_WORD] = bpf_map__fd(bpf->maps.set_word);
	runner->outer[SET_WORD_LPM] = bpf_map__fd(bpf->maps.set_word_lpm);
	runner->outer[SET_QUAD] = bpf_map__fd(bpf->maps.set_quad);
	runner->outer[SET_QUAD_LPM] = bpf_map__fd(bpf->maps.set_quad_lpm);
	runner->outer[SET_TUPLE] = bpf_map__fd(bpf->maps.set_tuple);
	runner->outer[SET_RING] = bpf_map__fd(bpf->maps.set_ring);
	for (enum hook i = 0; i < HOOK_MAX; i++)
		runner->program[i] = bpf_program__fd(load_entry(bpf, (enum entry)i, capacity->features));
	files = (struct memory_files){ bpf_map__fd(bpf->maps.control), bpf_map__fd(bpf->maps.tables),
				       bpf_map__fd(bpf->maps.manifest), bpf_map__fd(bpf->maps.lines), -1 };
	return memory_map(&runner->memory, &files, capacity, diag);
}

static int runner_new(struct runner **ret, const struct capacity *capacity, const struct shared_maps *shared,
		      struct diag *diag)
{
	struct runner *runner = calloc(1, sizeof(*runner));
	int r = runner ? runner_make(runner, capacity, shared, diag) : diag_oom(diag);

	if (r)
		runner_close(runner);
	else
		*ret = runner;
	return r;
}

int runner_open(struct runner **ret, size_t n_nodes, size_t n_refs, struct diag *diag)
{
	struct capacity capacity = capacity_for(n_nodes, n_refs, n_nodes + 1024, 0);

	return runner_new(ret, &capacity, &shared_none, diag);
}

uint64_t runner_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* The tables of the running generation are copied; its sets are looked up where they are. */
int runner_open_running(struct runner **ret, struct weir_root *root, struct diag *diag)
{
	const struct instance *instance = root_instance(root);
	struct shared_maps shared = shared_none;
	struct runner *runner;
	size_t size;
	int r;

	if (!root_running(root))
		return diag_errno(diag, ENOENT,
				  "cannot explain by the running rules: nothing is loaded; use --rules FILE");
	memcpy(shared.set, instance->set, sizeof(shared.set));
	shared.lines = instance->lines;
	r = runner_new(&runner, &instance->memory.capacity, &shared, diag);
	if (r)
		return r;
	size = half_layout(&instance->memory.capacity).size;
	memcpy(runner->memory.tables + (root_running(root)->generation & 1) * size,
	       instance->memory.tables + (root_running(root)->generation & 1) * size, size);
	runner->memory.control->generation = root_running(root)->generation;
	r = flows_copy(instance, bpf_map__fd(runner->bpf->maps.flows), diag);
	if (r)
		runner_close(runner);
	else
		*ret = runner;
	return r;
}

void runner_close(struct runner *runner)
{
	if (!runner)
		return;
	memory_unmap(&runner->memory);
	load_close(runner->bpf);
	free(runner->rule_of);
	free(runner);
}

/* The tables of all sets in the pool from its start, and programs with room for them. */
static int load_tables(struct runner *runner, const struct policy *policy, const struct set_image *elements,
		       struct diag *diag)
{
	struct set_head *heads = runner->heads;
	struct regions regions = { 0 };
	struct pool pool;
	int r = 0;

	for (size_t i = 0; i < policy->n_sets && r == 0; i++)
		if (set_in_pool(&policy->sets[i]))
			r = pool_place(&regions, &heads[i], &elements[i]);
	if (r == 0 && regions_end(&regions) > runner->capacity.n_lines) {
		struct capacity larger = runner->capacity;

		larger.n_lines = regions_end(&regions) + regions_end(&regions) / 4;
		r = runner_make(runner, &larger, &shared_none, diag);
	}
	regions_clear(&regions);
	pool = (struct pool){ runner->memory.lines, runner->capacity.n_lines };
	for (size_t i = 0; i < policy->n_sets && r == 0; i++)
		if (set_in_pool(&policy->sets[i]))
			r = pool_build(&pool, &heads[i], &elements[i]);
	return r;
}

static int load_kernel_sets(struct runner *runner, const struct policy *policy, const struct set_image *elements,
			    struct diag *diag)
{
	struct inner *inner = calloc(policy->n_sets + 1, sizeof(*inner));
	uint16_t *slots = calloc(policy->n_sets + 1, sizeof(*slots));
	size_t n = 0;
	int r = inner && slots ? 0 : diag_oom(diag);

	for (size_t i = 0; i < policy->n_sets && r == 0; i++) {
		if (set_in_pool(&policy->sets[i]))
			continue;
		r = inner_create(&inner[n], &policy->sets[i], &elements[i], diag);
		if (r == 0)
			slots[n++] = i;
	}
	/* A slot keeps the maps of an earlier policy that its new set does not use: they are never looked at. */
	if (r == 0 && n)
		r = inner_publish(runner->outer, slots, inner, n, diag);
	for (size_t i = 0; i < n; i++)
		inner_close(&inner[i]);
	free(inner);
	free(slots);
	return r;
}

static uint64_t clock_boottime(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

static int runner_load_sets(struct runner *runner, const struct policy *policy, const struct device_env *devices,
			    struct diag *diag)
{
	struct set_image *elements = calloc(policy->n_sets + 1, sizeof(*elements));
	int r = elements ? 0 : diag_oom(diag);

	if (r == 0 && policy->n_sets > SET_SLOTS)
		r = diag_errno(diag, E2BIG, "cannot load %zu sets: at most %d", policy->n_sets, SET_SLOTS);
	for (size_t i = 0; i < policy->n_sets && r == 0; i++) {
		const struct set *set = &policy->sets[i];

		r = set_image_of(&elements[i], set, devices, diag);
		if (r == 0)
			r = set_fits(set, &elements[i], diag);
	}
	if (r == 0)
		r = load_tables(runner, policy, elements, diag);
	runner->boot_ns = clock_boottime();
	if (r == 0)
		r = load_kernel_sets(runner, policy, elements, diag);
	for (size_t i = 0; elements && i < policy->n_sets; i++)
		set_image_clear(&elements[i]);
	free(elements);
	return r;
}

#define RUNNER_FLOWS (1u << 17) /* lines: what a table of the usual size has */

static uint32_t enough(uint32_t have, uint32_t need, uint32_t most)
{
	need = need < most ? need : most;
	return have > need ? have : need;
}

/* The same programs with what this image needs, unless they have it; what they learned is forgotten. */
static int runner_extend(struct runner *runner, const struct image *image, struct diag *diag)
{
	struct capacity larger = runner->capacity;

	larger.features |= image->features;
	larger.n_flows = enough(larger.n_flows, image->n_flows, RUNNER_FLOWS);
	larger.n_buckets = enough(larger.n_buckets, image->n_buckets, RUNNER_FLOWS);
	larger.n_datagrams = enough(larger.n_datagrams, image->n_datagrams, UINT32_MAX);
	return capacity_holds(&runner->capacity, &larger) ? 0 : runner_make(runner, &larger, &shared_none, diag);
}

int runner_load(struct runner *runner, const struct policy *policy, const struct device_env *devices,
		const struct image *image, struct diag *diag)
{
	uint32_t counters = image->n_counters, half, *rule_of;
	int r = runner_extend(runner, image, diag);

	if (r)
		return r;
	if (image->n_nodes > runner->memory.capacity.n_nodes || image->n_refs > runner->memory.capacity.n_refs ||
	    counters > runner->memory.capacity.n_counters)
		return -E2BIG;
	if (runner->own_sets)
		r = runner_load_sets(runner, policy, devices, diag);
	if (r)
		return r;
	rule_of = malloc((image->n_nodes + 1) * sizeof(*rule_of));
	if (!rule_of)
		return diag_oom(diag);
	memcpy(rule_of, image->rule_of, image->rule_of ? image->n_nodes * sizeof(*rule_of) : 0);
	free(runner->rule_of);
	runner->rule_of = rule_of;
	runner->n_nodes = image->n_nodes;
	if (counters > runner->counted)
		runner->counted = counters;
	r = counters_clear(bpf_map__fd(runner->bpf->maps.counters), NULL, runner->counted);
	if (r)
		return diag_errno(diag, -r, "cannot clear counters");
	half = (runner->memory.control->generation + 1) & 1;
	memory_write_half(&runner->memory, half, image);
	memcpy(memory_head(&runner->memory, half)->set,
	       runner->own_sets ? runner->heads : memory_head(&runner->memory, half + 1)->set, sizeof(runner->heads));
	__atomic_store_n(&runner->memory.control->generation, runner->memory.control->generation + 1, __ATOMIC_RELEASE);
	return 0;
}

/* Nobody can map what has a lock. */
static int forget_datagrams(struct runner *runner)
{
	int fd = bpf_map__fd(runner->bpf->maps.datagrams), r = 0;
	void *nothing = calloc(1, bpf_map__value_size(runner->bpf->maps.datagrams));

	if (!nothing)
		return -ENOMEM;
	for (uint32_t i = 0; i < runner->capacity.n_datagrams && r == 0; i++)
		r = bpf_map_update_elem(fd, &i, nothing, BPF_ANY);
	free(nothing);
	return r;
}

int runner_forget(struct runner *runner)
{
	int r = memory_clear(bpf_map__fd(runner->bpf->maps.flows), sizeof(struct flow), runner->capacity.n_flows);

	r = r
		    ?: memory_clear(bpf_map__fd(runner->bpf->maps.buckets), sizeof(struct bucket_line),
				    runner->capacity.n_buckets);
	return r ?: forget_datagrams(runner);
}

/* By which elements expire: those of own sets with the frames' time, which begins when they are filled. */
static uint64_t boot_time(const struct runner *runner, uint64_t now_ns)
{
	if (!runner->own_sets)
		return clock_boottime();
	return runner->boot_ns + (now_ns > SOME_TIME ? now_ns - SOME_TIME : 0);
}

int runner_run(struct runner *runner, const struct runner_frame *frame, struct runner_result *ret)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = 1);
	struct trace *trace = &runner->bpf->bss->trace;
	size_t most = frame->hook == HOOK_XDP ? XDP_BYTES : TC_BYTES, length = frame->length;
	size_t wire = frame->wire_length > length ? frame->wire_length : length;
	uint8_t padded[FRAME_MIN] = { 0 };
	int r;

	if (length > most)
		length = most;
	opts.data_in = frame->bytes;
	opts.data_size_in = length;
	if (length < FRAME_MIN) {
		/* Never let the padding pass for bytes of the frame that the capture left out. */
		wire = length;
		if (length)
			memcpy(padded, frame->bytes, length);
		opts.data_in = padded;
		opts.data_size_in = sizeof(padded);
	}
	*trace = (struct trace){ .ifindex = frame->ifindex,
				 .iif = frame->iif,
				 .length = wire,
				 .mark = frame->mark,
				 .skuid = frame->skuid >= 0 ? frame->skuid : 0,
				 .has_skuid = frame->skuid >= 0,
				 .ct = frame->has_ct ? frame->ct : CT_MAX,
				 .now_ns = frame->now_ns ? frame->now_ns : SOME_TIME,
				 .boot_ns = boot_time(runner, frame->now_ns),
				 .bans = runner->own_sets && frame->bans };
	r = bpf_prog_test_run_opts(runner->program[frame->hook], &opts);
	if (r)
		return r;
	*ret = (struct runner_result){ .verdict = trace->verdict,
				       .reason = trace->reason,
				       .filter = trace->filter,
				       .rule = trace->node && trace->node < runner->n_nodes
						       ? runner->rule_of[trace->node]
						       : trace->rule,
				       .redirect = trace->redirect,
				       .steps = trace->steps,
				       .ct = trace->ct_said };
	return 0;
}

int runner_counters(struct runner *runner, uint32_t first, uint32_t n, struct counter *ret)
{
	return counters_sum(bpf_map__fd(runner->bpf->maps.counters), first, n, ret);
}
