// SPDX-License-Identifier: GPL-2.0
/* What this kernel can do: tried, not guessed from its version. */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "guard.h"
#include "learn.h"
#include "privilege.h"
#include "probe.skel.h"
#include "synproxy.h"
#include "weir.skel.h"

/* libxdp's dispatcher calls its programs as extensions of its own functions: can one be put in place? */
bool kernel_has_dispatcher(void)
{
	static int known = -1;
	struct probe_bpf *probe;
	int link = -1;

	if (known >= 0)
		return known;
	known = 0;
	if (!privilege_is_admin())
		return false; /* libxdp finds the programs of a dispatcher by their numbers */
	load_log_reset();
	probe = probe_bpf__open();
	if (!probe)
		return false;
	bpf_program__set_autoload(probe->progs.probe_extension, false);
	if (probe_bpf__load(probe) == 0) {
		struct probe_bpf *extension = probe_bpf__open();

		if (extension) {
			bpf_program__set_autoload(extension->progs.probe_target, false);
			if (bpf_program__set_attach_target(extension->progs.probe_extension,
							   bpf_program__fd(probe->progs.probe_target),
							   "probe_slot") == 0 &&
			    probe_bpf__load(extension) == 0) {
				struct bpf_link *attached = bpf_program__attach_trace(extension->progs.probe_extension);

				link = attached ? 0 : -errno;
				bpf_link__destroy(attached);
			}
			probe_bpf__destroy(extension);
		}
	}
	probe_bpf__destroy(probe);
	known = link == 0;
	return known;
}

static enum probe_state has_tcx(void)
{
	uint32_t count = 0, flags = 0;
	int r;

	/* lo is in every network namespace; asking changes nothing. 46: TCX ingress */
	r = bpf_prog_query(if_nametoindex("lo") ?: 1, 46, 0, &flags, NULL, &count);
	return r == 0 ? PROBE_YES : errno == EPERM ? PROBE_UNKNOWN : PROBE_NO;
}

static enum probe_state has_bpffs(void)
{
	struct statfs fs;

	return statfs("/sys/fs/bpf", &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC ? PROBE_YES : PROBE_NO;
}

static enum probe_state capabilities(char *detail, size_t size)
{
	char missing[64];

	if (privilege_missing(missing, sizeof(missing))) {
		snprintf(detail, size, "missing: %s; needed: " PRIVILEGE_NEEDED, missing);
		return PROBE_NO;
	}
	snprintf(detail, size, PRIVILEGE_NEEDED "%s",
		 privilege_is_admin() ? "; CAP_SYS_ADMIN, to mount and for dispatchers" : ", no more");
	return PROBE_YES;
}

struct list {
	struct probe *at;
	size_t n, capacity;
};

static void add(struct list *list, const char *name, enum probe_state state, const char *detail)
{
	if (list->n == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct probe *grown = realloc(list->at, capacity * sizeof(*grown));

		if (!grown)
			return;
		list->at = grown;
		list->capacity = capacity;
	}
	list->at[list->n] = (struct probe){ .name = name, .state = state };
	snprintf(list->at[list->n++].detail, sizeof(list->at[0].detail), "%s", detail);
}

/* What guards are made of, one by one, so that a kernel that lacks some of it says what. */
static void add_guards(struct list *list)
{
	static const struct {
		const char *name, *yes, *no;
		enum bpf_prog_type type;
		enum bpf_func_id helper;
	} parts[] = {
		{ "guard-errno", "calls that a guard denies fail with the errno that it names",
		  "bpf_set_retval (5.18) is missing: guards do not load", BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		  BPF_FUNC_set_retval },
		{ "guard-stamps", "packets know who connected their socket",
		  "no socket storage at TC: guards do not load", BPF_PROG_TYPE_SCHED_CLS, BPF_FUNC_sk_storage_get },
	};
	static const char *const closes[] = {
		[PROBE_NO] = "no CONFIG_INET_DIAG_DESTROY: connections older than a guard end at their next packet",
		[PROBE_YES] = "connections older than a guard are closed when it comes up",
		[PROBE_UNKNOWN] = "only root can ask",
	};
	struct capacity small = capacity_for(0, 0, 0, 0);
	enum probe_state state;
	struct cgroup top;
	struct weir_bpf *bpf;
	struct diag diag;

	diag_init(&diag);
	if (cgroup_top(&top, &diag) == 0) {
		char detail[sizeof(list->at[0].detail)];

		snprintf(detail, sizeof(detail), "%.100s%s", top.path,
			 cgroup_is_top(&top) ? "" : ", which is not the host's: guards see the calls below it alone");
		add(list, "cgroup2", PROBE_YES, detail);
	} else {
		add(list, "cgroup2", PROBE_NO, diag.n ? diag.problems[0].message : "not found");
	}
	diag_clear(&diag);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int r = libbpf_probe_bpf_helper(parts[i].type, parts[i].helper, NULL);

		state = r > 0 ? PROBE_YES : r == 0 ? PROBE_NO : PROBE_UNKNOWN;
		add(list, parts[i].name, state,
		    state == PROBE_YES  ? parts[i].yes
		    : state == PROBE_NO ? parts[i].no
					: "only root can ask");
	}
	small.features = FEATURE_GUARDS;
	diag_init(&diag);
	if (load_open(&bpf, &small, 0, &shared_none, &diag) == 0) {
		add(list, "guards", PROBE_YES, "the guards' programs load");
		load_close(bpf);
	} else {
		add(list, "guards", PROBE_NO, diag.n ? diag.problems[0].message : "the guards' programs do not load");
	}
	diag_clear(&diag);
	state = guards_can_close();
	add(list, "guard-close", state, closes[state]);
}

int kernel_probe(struct probe **ret, size_t *ret_n)
{
	struct capacity small = capacity_for(0, 0, 0, 0);
	struct list list = { 0 };
	struct weir_bpf *bpf;
	struct utsname name;
	struct diag diag;
	enum probe_state state;
	char detail[sizeof(list.at[0].detail)];

	uname(&name);
	add(&list, "kernel", PROBE_YES, name.release);
	state = capabilities(detail, sizeof(detail));
	add(&list, "capabilities", state, detail);
	state = has_bpffs();
	add(&list, "bpffs", state,
	    state == PROBE_YES
		    ? "/sys/fs/bpf"
		    : "not mounted at /sys/fs/bpf; `weir apply` mounts it, or: mount -t bpf bpf /sys/fs/bpf");
	state = access("/sys/kernel/btf/vmlinux", R_OK) ? PROBE_NO : PROBE_YES;
	add(&list, "btf", state,
	    state == PROBE_YES ? "/sys/kernel/btf/vmlinux" : "not built in; weir does not need it");
	diag_init(&diag);
	if (load_open(&bpf, &small, 0, &shared_none, &diag) == 0) {
		add(&list, "programs", PROBE_YES, "weir's XDP and TC programs load");
		load_close(bpf);
	} else {
		add(&list, "programs", PROBE_NO, diag.n ? diag.problems[0].message : "weir's programs do not load");
	}
	diag_clear(&diag);
	add(&list, "xdp", list.at[list.n - 1].state, "native where the driver has it, several buffers a frame (frags)");
	state = kernel_has_dispatcher() ? PROBE_YES : PROBE_NO;
	add(&list, "dispatcher", state,
	    state == PROBE_YES ? "XDP programs of several owners on one device, through libxdp"
	    : privilege_is_admin()
		    ? "extension programs (freplace) are refused: one XDP program a device, weir attaches alone"
		    : "takes CAP_SYS_ADMIN; without it one XDP program a device, weir attaches alone");
	state = has_tcx();
	add(&list, "tcx", state, state == PROBE_YES ? "TC through links" : "before 6.6: TC through a clsact qdisc");
	state = synproxy_probe(detail, sizeof(detail));
	add(&list, "synproxy", state, detail);
	add_guards(&list);
	state = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_GLOBAL ? PROBE_YES : PROBE_NO;
	add(&list, "membarrier", state,
	    state == PROBE_YES ? "waits for packets under old rules" : "a map update is used instead");
	*ret = list.at;
	*ret_n = list.n;
	return list.at ? 0 : -ENOMEM;
}

int kernel_verified(struct verified *ret, size_t *ret_n, struct diag *diag)
{
	struct capacity small = capacity_for(0, 0, 0, 0);
	struct bpf_program *program;
	struct weir_bpf *bpf;
	size_t n = 0;
	int r;

	small.features = ~0u; /* all that a rule file can ask for */
	if (!synproxy_kernel_can())
		small.features &= ~FEATURE_SYNPROXY;
	r = load_open(&bpf, &small, 0, &shared_none, diag);

	if (r)
		return r;
	for (enum entry i = 0; i < ENTRY_MAX && n < *ret_n; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t length = sizeof(info);

		program = load_entry(bpf, i, small.features);
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0)
			/* the name lives in the object */
			ret[n++] = (struct verified){ i == ENTRY_XDP ? "weir_xdp_answers" : entry_info[i].name,
						      info.verified_insns };
	}
	load_close(bpf);
	n += learn_verified(ret + n, *ret_n - n);
	*ret_n = n;
	return 0;
}
