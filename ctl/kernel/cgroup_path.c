// SPDX-License-Identifier: GPL-2.0
/* The whole path of a cgroup whose number an event has: names in events are short, those of containers are not. */
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS: the handle of a file in the cgroup file system is its number */

static bool find_mount(char *ret, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent mount;
	char line[8192];
	bool found = false;

	while (mounts && !found && getmntent_r(mounts, &mount, line, sizeof(line))) {
		found = !strcmp(mount.mnt_type, "cgroup2") && strlen(mount.mnt_dir) < size;
		if (found)
			snprintf(ret, size, "%s", mount.mnt_dir);
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

static int open_number(int mount, uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} file = { .handle = { .handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS } };

	memcpy(file.handle.f_handle, &id, sizeof(id));
	return open_by_handle_at(mount, &file.handle, O_PATH | O_CLOEXEC);
}

char *cgroup_path(uint64_t id)
{
	char top[4096], link[64], path[8192];
	char *ret = NULL;
	size_t length;
	ssize_t n = -1;
	int mount, fd;

	if (!find_mount(top, sizeof(top)))
		return NULL;
	mount = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = mount < 0 ? -1 : open_number(mount, id);
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		close(fd);
	}
	if (mount >= 0)
		close(mount);
	length = strlen(top);
	if (n > 0) {
		path[n] = '\0';
		/* A cgroup that is gone has a path, too, with a remark behind it that any name could have. */
		if (!strncmp(path, top, length) && path[length] == '/' && !access(path, F_OK))
			ret = strdup(path + length);
	}
	return ret;
}
