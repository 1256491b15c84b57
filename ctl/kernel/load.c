// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "load.h"
#include "privilege.h"
#include "synproxy.h"
#include "weir.skel.h"

const struct shared_maps shared_none = {
	.set = { -1, -1, -1, -1, -1, -1 },
	.events = -1,
	.guard_stamps = -1,
	.guard_rates = -1,
	.lines = -1,
	.flows = -1,
	.buckets = -1,
	.datagrams = -1,
	.control = -1,
	.tables = -1,
	.manifest = -1,
	.counters = -1,
	.counter_base = -1,
};

/* ---- what the libraries say ---- */

static char log_tail[2048];

/* Keeps the last line that says something; the verifier's whole log is of no use in a message. */
static int log_keep(const char *format, va_list args)
{
	char line[sizeof(log_tail)];
	size_t n;

	vsnprintf(line, sizeof(line), format, args);
	n = strlen(line);
	while (n && (line[n - 1] == '\n' || line[n - 1] == ' '))
		line[--n] = 0;
	if (n && !strstr(line, "Retrying without BTF") && !strstr(line, "END PROG LOAD LOG"))
		memcpy(log_tail, line, n + 1);
	return 0;
}

static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : log_keep(format, args);
}

static int log_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : log_keep(format, args);
}

const char *load_log_tail(void)
{
	return log_tail[0] ? log_tail : "no more is known";
}

void load_log_reset(void)
{
	libbpf_set_print(log_libbpf);
	libxdp_set_print(log_libxdp);
	log_tail[0] = 0;
}

/* ---- sizes ---- */

struct capacity capacity_for(size_t n_nodes, size_t n_refs, size_t n_counters, size_t n_manifest)
{
	/* A quarter more, so that the next edit of the file does not need a larger instance at once. */
	return (struct capacity){ .n_nodes = power_of_two(n_nodes + n_nodes / 4, 4096),
				  .n_refs = power_of_two(n_refs + n_refs / 4, 4096),
				  .n_counters = power_of_two(n_counters + n_counters / 4, 1024),
				  .n_manifest = power_of_two(n_manifest + n_manifest / 4, 65536),
				  .n_lines = POOL_MIN,
				  .n_flows = FLOWS_MIN,
				  .n_buckets = BUCKETS_MIN,
				  .n_datagrams = DATAGRAMS_MIN };
}

bool capacity_holds(const struct capacity *have, const struct capacity *need)
{
	return have->n_nodes >= need->n_nodes && have->n_refs >= need->n_refs && have->n_counters >= need->n_counters &&
	       have->n_manifest >= need->n_manifest && have->n_lines >= need->n_lines &&
	       !(need->features & ~have->features) && have->n_flows >= need->n_flows &&
	       have->n_buckets >= need->n_buckets && have->n_datagrams >= need->n_datagrams;
}

struct half_layout half_layout(const struct capacity *c)
{
	struct half_layout layout = { .nodes_off = sizeof(struct tables_head) };

	layout.refs_off = layout.nodes_off + (size_t)c->n_nodes * sizeof(struct node);
	layout.size = (layout.refs_off + (size_t)c->n_refs * sizeof(uint32_t) + 7) & ~7ul;
	return layout;
}

/* ---- the object ---- */

const struct entry_info entry_info[ENTRY_MAX] = {
	[ENTRY_XDP] = { "weir_xdp", "prog_xdp", 0 },
	[ENTRY_TC_INGRESS] = { "weir_tc_ingress", "prog_tc_ingress", 0 },
	[ENTRY_TC_EGRESS] = { "weir_tc_egress", "prog_tc_egress", 0 },
	[ENTRY_GUARD_EGRESS] = { "weir_guard_egress", "prog_guard_egress", FEATURE_GUARDS },
	[ENTRY_GUARD_EGRESS_IP] = { "weir_guard_egress_ip", "prog_guard_egress_ip", FEATURE_GUARDS },
	[ENTRY_GUARD_CONNECT4] = { "weir_guard_connect4", "prog_guard_connect4", FEATURE_GUARDS },
	[ENTRY_GUARD_CONNECT6] = { "weir_guard_connect6", "prog_guard_connect6", FEATURE_GUARDS },
	[ENTRY_GUARD_SENDMSG4] = { "weir_guard_sendmsg4", "prog_guard_sendmsg4", FEATURE_GUARDS },
	[ENTRY_GUARD_SENDMSG6] = { "weir_guard_sendmsg6", "prog_guard_sendmsg6", FEATURE_GUARDS },
};

void load_close(struct weir_bpf *bpf)
{
	weir_bpf__destroy(bpf);
}

struct bpf_program *load_entry(const struct weir_bpf *bpf, enum entry entry, uint32_t features)
{
	if (entry == ENTRY_XDP && features & (FEATURE_ANSWERS | FEATURE_SYNPROXY))
		return bpf->progs.weir_xdp_answers;
	return bpf_object__find_program_by_name(bpf->obj, entry_info[entry].name);
}

/* Which programs are loaded, and no map for those that are not. */
static int choose_programs(struct weir_bpf *bpf, uint32_t features, unsigned int flags)
{
	bool guards = features & FEATURE_GUARDS && !(flags & (LOAD_TRACE | LOAD_XDP_ONLY));
	struct bpf_program *program;

	bpf_object__for_each_program(program, bpf->obj) bpf_program__set_autoload(program, false);
	for (enum entry i = 0; i < ENTRY_MAX; i++) {
		bool wanted = flags & LOAD_XDP_ONLY ? i == ENTRY_XDP : !entry_info[i].feature || guards;

		program = load_entry(bpf, i, features);
		if (wanted && !program)
			return -ENOENT;
		if (wanted)
			bpf_program__set_autoload(program, true);
	}
	return bpf_map__set_autocreate(bpf->maps.guards, guards) ?:
	       bpf_map__set_autocreate(bpf->maps.guard_stamps, guards) ?:
	       bpf_map__set_autocreate(bpf->maps.guard_rates, guards);
}

uint64_t load_programs_hash(void)
{
	uint64_t hash = 0xcbf29ce484222325u;
	const uint8_t *bytes;
	size_t n;

	bytes = weir_bpf__elf_bytes(&n);
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

static int reuse(struct bpf_map *map, int fd)
{
	return fd < 0 ? 0 : bpf_map__reuse_fd(map, fd);
}

static int load_refused(int error, struct diag *diag)
{
	if (error == EPERM && privilege_check("load the BPF programs", diag))
		return -EPERM;
	diag_errno(diag, error, "cannot load the BPF programs (%s)", load_log_tail());
	if (privilege_obstacle())
		diag_hint(diag, "%s", privilege_obstacle());
	return -error;
}

int load_open(struct weir_bpf **ret, const struct capacity *c, unsigned int flags, const struct shared_maps *shared,
	      struct diag *diag)
{
	struct half_layout layout = half_layout(c);
	struct weir_bpf *bpf;
	int r;

	if (c->features & FEATURE_SYNPROXY && !synproxy_kernel_can())
		return diag_errno(diag, EOPNOTSUPP,
				  "cannot load 'synproxy': this kernel has no SYN cookies in XDP (kernel 6.0 and "
				  "CONFIG_SYN_COOKIES are needed)");
	load_log_reset();
	bpf = weir_bpf__open();
	if (!bpf)
		return diag_errno(diag, errno, "cannot open the BPF object (%s)", load_log_tail());
	bpf->rodata->cfg.node_mask = c->n_nodes - 1;
	bpf->rodata->cfg.ref_mask = c->n_refs - 1;
	bpf->rodata->cfg.nodes_off = layout.nodes_off;
	bpf->rodata->cfg.refs_off = layout.refs_off;
	bpf->rodata->cfg.trace = flags & LOAD_TRACE ? 1 : 0;
	bpf->rodata->cfg.features = c->features;
	bpf->rodata->cfg.flow_mask = c->n_flows - 1;
	bpf->rodata->cfg.bucket_mask = c->n_buckets - 1;
	bpf->rodata->cfg.datagram_mask = c->n_datagrams - 1;
	bpf->rodata->cfg.seed = c->seed;
	r = choose_programs(bpf, c->features, flags) ?:
	    bpf_map__set_value_size(bpf->maps.tables, layout.size) ?:
	    bpf_map__set_value_size(bpf->maps.manifest, c->n_manifest) ?:
	    bpf_map__set_max_entries(bpf->maps.counters, c->n_counters) ?:
	    bpf_map__set_max_entries(bpf->maps.counter_base, c->n_counters) ?:
	    bpf_map__set_max_entries(bpf->maps.lines, c->n_lines) ?:
	    bpf_map__set_max_entries(bpf->maps.flows, c->n_flows) ?:
	    bpf_map__set_max_entries(bpf->maps.buckets, c->n_buckets) ?:
	    bpf_map__set_max_entries(bpf->maps.datagrams, c->n_datagrams) ?:
	    reuse(bpf->maps.set_word, shared->set[SET_WORD]) ?:
	    reuse(bpf->maps.set_word_lpm, shared->set[SET_WORD_LPM]) ?:
	    reuse(bpf->maps.set_quad, shared->set[SET_QUAD]) ?:
	    reuse(bpf->maps.set_quad_lpm, shared->set[SET_QUAD_LPM]) ?:
	    reuse(bpf->maps.set_tuple, shared->set[SET_TUPLE]) ?:
	    reuse(bpf->maps.set_ring, shared->set[SET_RING]) ?:
	    reuse(bpf->maps.events, shared->events) ?:
	    reuse(bpf->maps.guard_stamps, shared->guard_stamps) ?:
	    reuse(bpf->maps.guard_rates, shared->guard_rates) ?:
	    reuse(bpf->maps.lines, shared->lines) ?:
	    reuse(bpf->maps.flows, shared->flows) ?:
	    reuse(bpf->maps.buckets, shared->buckets) ?:
	    reuse(bpf->maps.datagrams, shared->datagrams) ?:
	    reuse(bpf->maps.control, shared->control) ?:
	    reuse(bpf->maps.tables, shared->tables) ?:
	    reuse(bpf->maps.manifest, shared->manifest) ?:
	    reuse(bpf->maps.counters, shared->counters) ?:
	    reuse(bpf->maps.counter_base, shared->counter_base);
	if (r == 0 && flags & LOAD_XDP_ONLY) {
		*ret = bpf;
		return 0;
	}
	if (r == 0)
		r = weir_bpf__load(bpf);
	if (r) {
		int error = -r;

		weir_bpf__destroy(bpf);
		if (error == E2BIG && layout.size > 4 << 20)
			return diag_errno(
				diag, error,
				"cannot make tables of %zu bytes: kernels before 6.3 allow 4 MiB; use fewer rules, "
				"or sets instead of rules",
				layout.size);
		return load_refused(error, diag);
	}
	*ret = bpf;
	return 0;
}

/* ---- shared memory ---- */

static size_t map_bytes(size_t value_size, size_t entries)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (((value_size + 7) & ~7ul) * entries + page - 1) & ~(page - 1);
}

static void *map_shared(int fd, size_t value_size, size_t entries)
{
	return mmap(NULL, map_bytes(value_size, entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int memory_map_one(void **ret, int fd, size_t value_size, size_t entries, const char *name, struct diag *diag)
{
	void *at = map_shared(fd, value_size, entries);

	if (at == MAP_FAILED)
		return diag_errno(diag, errno, "cannot map the '%s' table into memory", name);
	*ret = at;
	return 0;
}

void memory_unmap_one(void *at, size_t value_size, size_t entries)
{
	if (at)
		munmap(at, map_bytes(value_size, entries));
}

int memory_map(struct memory *ret, const struct memory_files *files, const struct capacity *capacity, struct diag *diag)
{
	struct memory m = { .capacity = *capacity };
	int r;

	r = memory_map_one((void **)&m.control, files->control, sizeof(struct control), 1, "control", diag);
	if (r == 0)
		r = memory_map_one((void **)&m.tables, files->tables, half_layout(capacity).size, 2, "tables", diag);
	if (r == 0)
		r = memory_map_one((void **)&m.manifest, files->manifest, capacity->n_manifest, 2, "manifest", diag);
	if (r == 0)
		r = memory_map_one((void **)&m.lines, files->lines, sizeof(struct line), capacity->n_lines, "lines",
				   diag);
	if (r == 0 && files->guards >= 0)
		r = memory_map_one((void **)&m.guards, files->guards, sizeof(struct guard_tables), 2, "guards", diag);
	if (r) {
		memory_unmap(&m);
		return r;
	}
	*ret = m;
	return 0;
}

int memory_clear(int fd, size_t value_size, size_t entries)
{
	void *at = map_shared(fd, value_size, entries);

	if (at == MAP_FAILED)
		return -errno;
	memset(at, 0, map_bytes(value_size, entries));
	memory_unmap_one(at, value_size, entries);
	return 0;
}

void memory_unmap(struct memory *m)
{
	memory_unmap_one(m->control, sizeof(struct control), 1);
	memory_unmap_one(m->tables, half_layout(&m->capacity).size, 2);
	memory_unmap_one(m->manifest, m->capacity.n_manifest, 2);
	memory_unmap_one(m->lines, sizeof(struct line), m->capacity.n_lines);
	memory_unmap_one(m->guards, sizeof(struct guard_tables), 2);
	memset(m, 0, sizeof(*m));
}

struct tables_head *memory_head(const struct memory *m, uint64_t generation)
{
	return (struct tables_head *)(m->tables + (generation & 1) * half_layout(&m->capacity).size);
}

struct guard_tables *memory_guards(const struct memory *m, uint64_t generation)
{
	return m->guards ? &m->guards[generation & 1] : NULL;
}

/* The half must not be read by any packet. */
struct tables_head *memory_repeat_half(struct memory *m)
{
	unsigned int from = m->control->generation & 1, to = !from;
	size_t n_manifest = m->capacity.n_manifest;
	const uint8_t *text = m->manifest + from * n_manifest;

	memcpy(memory_head(m, to), memory_head(m, from), half_layout(&m->capacity).size);
	memcpy(m->manifest + to * n_manifest, text, strnlen((const char *)text, n_manifest - 1) + 1);
	if (m->guards)
		m->guards[to] = m->guards[from];
	return memory_head(m, to);
}

/* The half must not be read by any packet. */
void memory_write_half(struct memory *m, unsigned int half, const struct image *image)
{
	struct half_layout layout = half_layout(&m->capacity);
	uint8_t *at = m->tables + half * layout.size;

	memcpy(at, image->head, sizeof(*image->head));
	memcpy(at + layout.nodes_off, image->nodes, image->n_nodes * sizeof(*image->nodes));
	memcpy(at + layout.refs_off, image->refs, image->n_refs * sizeof(*image->refs));
	if (m->guards && image->guards)
		m->guards[half] = *image->guards;
	else if (m->guards)
		memset(&m->guards[half], 0, sizeof(m->guards[half]));
}
