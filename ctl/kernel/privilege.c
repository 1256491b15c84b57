// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#include "privilege.h"

/* The kernel takes CAP_SYS_ADMIN, which these two were split from, in their place. */
static const struct {
	unsigned int capability;
	bool admin_will_do;
	const char *name;
} needed[] = {
	{ CAP_BPF, true, "CAP_BPF" },
	{ CAP_NET_ADMIN, false, "CAP_NET_ADMIN" },
	{ CAP_PERFMON, true, "CAP_PERFMON" },
};

#define NEEDED (sizeof(needed) / sizeof(needed[0]))

static bool have(unsigned int capability)
{
	return capng_have_capability(CAPNG_EFFECTIVE, capability);
}

bool privilege_is_admin(void)
{
	return have(CAP_SYS_ADMIN);
}

bool privilege_missing(char *ret, size_t size)
{
	size_t used = 0;

	*ret = 0;
	for (size_t i = 0; i < NEEDED; i++) {
		if (have(needed[i].capability) || (needed[i].admin_will_do && privilege_is_admin()))
			continue;
		if (used < size)
			used += snprintf(ret + used, size - used, "%s%s", used ? ", " : "", needed[i].name);
	}
	return used;
}

int privilege_check(const char *doing, struct diag *diag)
{
	char missing[64];

	if (!privilege_missing(missing, sizeof(missing)))
		return 0;
	diag_error(diag, (struct location){ 0 }, "cannot %s: missing capabilities: %s", doing, missing);
	diag_hint(diag,
		  "be root, or have them given: AmbientCapabilities= in a systemd unit, or `setcap` on a copy of weir "
		  "that only trusted users may run");
	return -EPERM;
}

/* The first bytes of a file of the kernel's, as text. */
static bool read_line(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool in_user_namespace(void)
{
	unsigned int inside, outside, length;
	char line[128];

	return read_line("/proc/self/uid_map", line, sizeof(line)) &&
	       sscanf(line, "%u %u %u", &inside, &outside, &length) == 3 &&
	       (inside != 0 || outside != 0 || length != ~0u);
}

const char *privilege_obstacle(void)
{
	char line[128];

	if (in_user_namespace())
		return "capabilities of a user namespace do not count here: the host's are needed";
	if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)) && strstr(line, "[confidentiality]"))
		return "the kernel is locked down for confidentiality, so that programs may not read its memory; "
		       "boot with lockdown=integrity";
	return NULL;
}

int privilege_join(unsigned int gid, const char *name, struct diag *diag)
{
	if (!setgid(gid))
		return 0;
	diag_errno(diag, errno, "cannot make files of group '%s'", name);
	diag_hint(diag, "it must be this user's own group, or CAP_SETGID is needed");
	return -EPERM;
}

int privilege_drop(enum privilege_keep keep, struct diag *diag)
{
	capng_select_t sets = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;
	bool held[NEEDED];
	int r;

	/* What is not there was found to be no loss: CAP_SYS_ADMIN is in its place, and stays. */
	for (size_t i = 0; i < NEEDED; i++)
		held[i] = have(needed[i].capability);
	/* The bounding set is what exec by root could give back; NO_NEW_PRIVS says the same where it may not be changed. */
	if (have(CAP_SETPCAP))
		sets = CAPNG_SELECT_ALL;
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < NEEDED && keep == PRIVILEGE_KEEP_LOAD; i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
			     held[i] ? needed[i].capability : CAP_SYS_ADMIN);
	r = capng_apply(sets);
	if (r)
		return diag_errno(diag, EPERM, "cannot give up capabilities (step %d)", -r);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return diag_errno(diag, errno, "cannot give up what is not needed");
	return 0;
}
