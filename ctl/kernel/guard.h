/* SPDX-License-Identifier: GPL-2.0 */
/* What guards need of the kernel beside their tables. */
#pragma once

#include "root.h"

/* Of this network namespace, as the data path knows it; 0: not known. */
uint64_t netns_cookie(void);

/* Where the calls of these rules' guards are judged; id 0: they have none. `named` may be NULL. */
int guards_place(struct cgroup *ret, const struct weir_root *root, const struct policy *policy, const char *named,
		 struct diag *diag);
/* Puts programs wherever they are missing: at the cgroup, and on every device but lo. *ret: on how many devices. */
int guards_attach(const struct weir_root *root, const struct cgroup *cgroup, size_t *ret, struct diag *diag);
/* Is one missing anywhere? */
bool guards_attached(const struct weir_root *root, const struct cgroup *cgroup);
/* Do the running rules want this attachment of a guard? */
bool guards_want(const struct weir_root *root, const struct pin *pin);
/* Would these rules, with names and devices as they are now, make the tables that run? */
bool guards_same(const struct weir_root *root, const struct policy *policy, const struct device_env *devices);

/* guard_sockets.c: closes what is connected to an endpoint and not allowed to be, since the half before. How many. */
size_t guards_close_sockets(const struct weir_root *root);
/* Does this kernel close sockets of others on request? */
enum probe_state guards_can_close(void);
