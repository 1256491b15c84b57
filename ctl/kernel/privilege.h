/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this process may do: capabilities decide it, not the number of its user. All that loads needs CAP_BPF,
 * CAP_NET_ADMIN and CAP_PERFMON; what needs more says so where it is met.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../lang/diag.h"

#define PRIVILEGE_NEEDED "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"

/* -EPERM with a problem that names the missing ones; doing: "run 'apply'". */
int privilege_check(const char *doing, struct diag *diag);
/* "CAP_BPF, CAP_PERFMON"; false: none is missing. */
bool privilege_missing(char *ret, size_t size);
/* What else the kernel may refuse a BPF program for, though all three are there; NULL: nothing known. */
const char *privilege_obstacle(void);
/* CAP_SYS_ADMIN: to mount, and to look at programs by their number. */
bool privilege_is_admin(void);

/* Files that this process makes from now on belong to this group. */
int privilege_join(unsigned int gid, const char *name, struct diag *diag);

enum privilege_keep {
	PRIVILEGE_KEEP_NONE, /* enough to read what is open, and this user's own pins */
	PRIVILEGE_KEEP_LOAD, /* the three */
};
/*
 * For commands that keep running. Gives up all other capabilities for good, takes no new ones through exec, and closes
 * memory and descriptors to others of the same user.
 */
int privilege_drop(enum privilege_keep keep, struct diag *diag);
