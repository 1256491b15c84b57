// SPDX-License-Identifier: GPL-2.0
/* The whole path of a cgroup whose number an event has: names in events are short, those of containers are not. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS: the handle of a file in the cgroup file system is its number */

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
	char link[64], path[8192];
	struct diag ignored;
	struct cgroup top;
	char *ret = NULL;
	size_t length;
	ssize_t n = -1;
	int mount, fd;

	diag_init(&ignored);
	mount = cgroup_top(&top, &ignored) ? -1 : cgroup_open(&top);
	diag_clear(&ignored);
	fd = mount < 0 ? -1 : open_number(mount, id);
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		close(fd);
	}
	if (mount >= 0)
		close(mount);
	if (n > 0) {
		length = strlen(top.path);
		path[n] = '\0';
		/* A cgroup that is gone has a path, too, with a remark behind it that any name could have. */
		if (!strncmp(path, top.path, length) && path[length] == '/' && !access(path, F_OK))
			ret = strdup(path + length);
	}
	return ret;
}
