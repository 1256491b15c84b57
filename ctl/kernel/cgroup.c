// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"

#define MOUNTS "/proc/self/mounts"
#define TOP_ID 1 /* the kernel gives numbers from there on, the first one to the top */

int cgroup_at(struct cgroup *ret, const char *path, struct diag *diag)
{
	struct statfs fs;
	struct stat st;

	if (strlen(path) >= sizeof(ret->path))
		return diag_errno(diag, ENAMETOOLONG, "cannot use '%s'", path);
	if (stat(path, &st) || statfs(path, &fs))
		return diag_errno(diag, errno, "cannot find the cgroup '%s'", path);
	if ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC || !S_ISDIR(st.st_mode))
		return diag_errno(diag, EINVAL, "'%s' is no cgroup of version 2", path);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	ret->id = st.st_ino;
	return 0;
}

int cgroup_top(struct cgroup *ret, struct diag *diag)
{
	struct mntent mount;
	char line[8192];
	FILE *mounts = setmntent(MOUNTS, "re");
	int r = -ENOENT;

	if (!mounts)
		return diag_errno(diag, errno, "cannot read '" MOUNTS "'");
	while (r && getmntent_r(mounts, &mount, line, sizeof(line)))
		if (!strcmp(mount.mnt_type, "cgroup2"))
			r = cgroup_at(ret, mount.mnt_dir, diag);
	endmntent(mounts);
	if (r == -ENOENT) {
		diag_errno(diag, ENOENT, "no cgroup file system of version 2 is mounted");
		diag_hint(diag, "mount -t cgroup2 none DIR, where the system does not do it");
	}
	return r;
}

bool cgroup_is_top(const struct cgroup *cgroup)
{
	return cgroup->id == TOP_ID;
}

int cgroup_open(const struct cgroup *cgroup)
{
	int fd = open(cgroup->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
