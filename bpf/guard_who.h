/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who makes a call: the effective user and groups of the current task, its cgroups and its service, in numbers and names
 * of the host, whatever namespaces it is in. What cannot be read names nobody.
 */
#pragma once

#include "guard_table.h"
#include "task_names.h"

#define GUARD_GROUPS 1024 /* supplementary groups that are looked at */
#define GUARD_PIECE  32   /* bytes of a name that are read at once, the zero included */

/* A call of a process, on the stack of its program: nothing of a CPU's own stays while the task may be preempted. */
struct guard_caller {
	struct guard_case judged;
	__u64 cookie;
	__u32 saddr[4];
	__u32 sport;
	__u32 proto;
	/* of the cgroup that the walk is at */
	__u64 path; /* hash */
	__u64 name; /* the same of its own name */
	__u32 is_slice;
	__u32 has_service; /* the walk is past it, or there is none to find */
	__u32 n;           /* principals that have rules; the first of them: */
	__u32 pad;
	struct guard_stamp_principal principal[GUARD_STAMP_PRINCIPALS];
};

static __always_inline void guard_who_add(struct guard_caller *c, __u32 who, __u64 id)
{
	__u64 rules = guard_rules_of(c->judged.generation, c->judged.guard, id, who);
	struct guard_stamp_principal *p;

	if (!rules)
		return;
	c->judged.rules |= rules;
	if (c->n >= GUARD_STAMP_PRINCIPALS)
		return;
	p = &c->principal[c->n & (GUARD_STAMP_PRINCIPALS - 1)];
	p->id = id;
	p->who = who;
	p->pad = 0;
	c->n++;
}

/* ---- groups ---- */

struct guard_groups {
	struct guard_caller *c;
	const struct group_info *info;
};

static long guard_who_group(__u32 i, void *groups)
{
	const struct guard_groups *g = groups;
	const struct group_info *info = g->info;
	kgid_t gid;

	if (bpf_core_read(&gid, sizeof(gid), &info->gid[i]))
		return 1;
	guard_who_add(g->c, GUARD_GROUP, gid.val);
	return 0;
}

static __always_inline void guard_who_groups(struct guard_caller *c, const struct cred *cred)
{
	const struct group_info *info = BPF_CORE_READ(cred, group_info);
	struct guard_groups groups = { .c = c, .info = info };
	int n = BPF_CORE_READ(info, ngroups);

	if (n > 0)
		bpf_loop(n < GUARD_GROUPS ? n : GUARD_GROUPS, guard_who_group, &groups, 0);
}

/* ---- cgroups ---- */

/* The low bytes of a name are its end. */
#define GUARD_SLICE      0x2e736c696365ull /* ".slice" */
#define GUARD_SLICE_MASK 0xffffffffffffull

/* One name more on the way down. 0: it is all in the hashes. */
__weak __noinline int guard_name_read(struct guard_caller *c, __u64 name)
{
	const struct guard_tables *t;
	__u64 path, own, end = 0;
	char piece[GUARD_PIECE];

	if (!c)
		return -1;
	t = guard_half(c->judged.generation);
	if (!t)
		return -1;
	path = guard_name_hash(c->path, '/');
	own = t->secret;
	for (__u32 at = 0; at < GUARD_NAME; at += GUARD_PIECE - 1) {
		if (bpf_probe_read_kernel_str(piece, sizeof(piece), (const void *)(name + at)) < 0)
			return -1;
		for (__u32 i = 0; i < GUARD_PIECE - 1; i++) {
			__u8 byte = piece[i];

			if (!byte) {
				c->path = path;
				c->name = own;
				c->is_slice = (end & GUARD_SLICE_MASK) == GUARD_SLICE;
				return 0;
			}
			path = guard_name_hash(path, byte);
			own = guard_name_hash(own, byte);
			end = end << 8 | byte;
		}
	}
	return -1;
}

static __always_inline bool guard_is_user_slice(__u64 name)
{
	const char user[16] = "user.slice";
	char got[16] = { 0 };

	return bpf_probe_read_kernel_str(got, sizeof(got), (const void *)name) == sizeof("user.slice") &&
	       *(__u64 *)got == *(const __u64 *)user && *(__u32 *)(got + 8) == *(const __u32 *)(user + 8);
}

/* Below user.slice, users name their units themselves. */
static __always_inline void guard_who_service(struct guard_caller *c, __u32 level, __u64 name)
{
	if (c->has_service)
		return;
	if (level == 1 && guard_is_user_slice(name)) {
		c->has_service = 1;
	} else if (!c->is_slice) {
		c->has_service = 1;
		guard_who_add(c, GUARD_SERVICE, c->name);
	}
}

struct guard_cgroups {
	struct guard_caller *c;
	const struct cgroup *own;
};

/* level 0 is the root. */
static long guard_who_level(__u32 level, void *cgroups)
{
	const struct guard_cgroups *g = cgroups;
	const struct cgroup *own = g->own, *at;
	__u64 name;

	if (level) {
		if (bpf_core_read(&at, sizeof(at), &own->ancestors[level]))
			return 1;
		name = (__u64)BPF_CORE_READ(at, kn, name);
		if (guard_name_read(g->c, name))
			return 1;
		guard_who_service(g->c, level, name);
	}
	guard_who_add(g->c, GUARD_CGROUP, g->c->path);
	return 0;
}

static __always_inline void guard_who_cgroups(struct guard_caller *c, const struct task_struct *task)
{
	const struct cgroup *own = task_cgroup(task);
	struct guard_cgroups cgroups = { .c = c, .own = own };
	const struct guard_tables *t = guard_half(c->judged.generation);
	int level;

	if (!t || bpf_core_read(&level, sizeof(level), &own->level) || level < 0 || level > GUARD_CGROUP_DEPTH)
		return;
	c->path = t->secret;
	bpf_loop(level + 1, guard_who_level, &cgroups, 0);
}

/* ---- all of it ---- */

/* The effective user goes into the case. false: it cannot be read. */
static __always_inline bool guard_who(struct guard_caller *c)
{
	const struct task_struct *task = task_current();
	const struct cred *cred;
	kuid_t euid;

	if (bpf_core_read(&cred, sizeof(cred), &task->cred) || bpf_core_read(&euid, sizeof(euid), &cred->euid))
		return false;
	c->judged.identity = euid.val;
	return true;
}

/* The rules that name the current task go into the case, and who it is for them into the caller. Not 0: not to be read. */
__weak __noinline int guard_who_rules(struct guard_caller *c)
{
	const struct task_struct *task = task_current();
	const struct cred *cred = BPF_CORE_READ(task, cred);
	kgid_t egid;

	if (!c)
		return -1;
	if (bpf_core_read(&egid, sizeof(egid), &cred->egid))
		return -1;
	guard_who_add(c, GUARD_USER, c->judged.identity);
	guard_who_add(c, GUARD_GROUP, egid.val);
	guard_who_groups(c, cred);
	guard_who_cgroups(c, task);
	return 0;
}

/* ---- for events ---- */

static __always_inline void guard_name_task(struct guard_event *e)
{
	const struct task_struct *task = task_current();
	const struct cred *cred = BPF_CORE_READ(task, cred);

	e->has |= GUARD_HAS_TASK;
	e->uid = BPF_CORE_READ(cred, uid.val);
	e->euid = BPF_CORE_READ(cred, euid.val);
	e->gid = BPF_CORE_READ(cred, egid.val);
	e->login_uid = bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : ~0u;
	e->session = bpf_core_field_exists(task->sessionid) ? BPF_CORE_READ(task, sessionid) : ~0u;
	e->pid = BPF_CORE_READ(task, tgid);
	e->ppid = BPF_CORE_READ(task, real_parent, tgid);
	e->netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	e->cgroup_id = BPF_CORE_READ(task_cgroup(task), kn, id);
	task_name_exe(e->exe, task);
	cgroup_names(e->cgroup, task_cgroup(task));
}
