/* SPDX-License-Identifier: GPL-2.0 */
/* What a task is called, for people: its program, its cgroup; from the innermost name upwards, each cut where it is too long. */
#pragma once

#include "abi.h"
#include "kernel_types.h"

static __always_inline const struct task_struct *task_current(void)
{
	return (const struct task_struct *)bpf_get_current_task();
}

static __always_inline const struct cgroup *task_cgroup(const struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp);
}

/* From the file's own name upwards, as far as its file system goes. */
static __always_inline void task_name_exe(char ret[GUARD_PARTS][GUARD_PART], const struct task_struct *task)
{
	const struct dentry *at = BPF_CORE_READ(task, mm, exe_file, f_path.dentry), *up;

	for (int i = 0; i < GUARD_PARTS; i++) {
		up = BPF_CORE_READ(at, d_parent);
		if (!up || up == at)
			break;
		bpf_probe_read_kernel_str(ret[i], GUARD_PART, BPF_CORE_READ(at, d_name.name));
		at = up;
	}
}

static __always_inline void cgroup_names(char ret[GUARD_PARTS][GUARD_PART], const struct cgroup *own)
{
	int level = BPF_CORE_READ(own, level);
	const struct cgroup *at;

	for (int i = 0; i < GUARD_PARTS; i++) {
		if (level - i < 1)
			break;
		if (bpf_core_read(&at, sizeof(at), &own->ancestors[level - i]))
			break;
		bpf_probe_read_kernel_str(ret[i], GUARD_PART, BPF_CORE_READ(at, kn, name));
	}
}
