/* SPDX-License-Identifier: GPL-2.0 */
/* Cgroups, version 2: where the guards' programs for calls stand. */
#pragma once

#include "kernel.h"

struct cgroup {
	char path[4096]; /* in the file system */
	uint64_t id;
};

/* The top of the hierarchy: of the host's, or of what this mount namespace sees of it. */
int cgroup_top(struct cgroup *ret, struct diag *diag);
/* -EINVAL where the path is no cgroup of version 2. */
int cgroup_at(struct cgroup *ret, const char *path, struct diag *diag);
/* Is it the host's own, which all others are below? */
bool cgroup_is_top(const struct cgroup *cgroup);
/* A descriptor of its directory, or a negative errno. */
int cgroup_open(const struct cgroup *cgroup);
