// SPDX-License-Identifier: GPL-2.0
/* The whole path of a cgroup whose number an event has: names in events are short, those of containers are not. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"

#define DEPTH         32   /* levels of cgroups that are searched */
#define KNOWN         64   /* answers that are kept: the processes of one cgroup say much */
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

/* By its number, which takes CAP_DAC_READ_SEARCH. */
static ssize_t path_of_number(int mount, uint64_t id, char *ret, size_t size)
{
	char link[64];
	int fd = open_number(mount, id);
	ssize_t n;

	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, size - 1);
	close(fd);
	return n;
}

/* Looks for it below `at`, whose path is the first `length` bytes of ret. Takes `at`. */
static ssize_t search(int at, uint64_t id, char *ret, size_t size, size_t length, unsigned int depth)
{
	DIR *dir = fdopendir(at);
	struct dirent *entry;
	ssize_t found = 0;

	if (!dir)
		close(at);
	while (dir && !found && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);
		int below;

		if (entry->d_type != DT_DIR || *entry->d_name == '.' || length + n + 2 > size)
			continue;
		snprintf(ret + length, size - length, "/%s", entry->d_name);
		if (entry->d_ino == id) {
			found = (ssize_t)(length + n + 1);
		} else if (depth) {
			below = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (below >= 0)
				found = search(below, id, ret, size, length + n + 1, depth - 1);
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

static char *path_below(const struct cgroup *top, uint64_t id)
{
	size_t length = strlen(top->path);
	int mount = cgroup_open(top);
	char path[8192];
	ssize_t n;

	if (mount < 0)
		return NULL;
	n = path_of_number(mount, id, path, sizeof(path));
	if (n == -EPERM) {
		memcpy(path, top->path, length);
		n = search(fcntl(mount, F_DUPFD_CLOEXEC, 3), id, path, sizeof(path), length, DEPTH);
	}
	close(mount);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	/* A cgroup that is gone has a path, too, with a remark behind it that any name could have. */
	if (strncmp(path, top->path, length) || path[length] != '/' || access(path, F_OK))
		return NULL;
	return strdup(path + length);
}

char *cgroup_path(uint64_t id)
{
	/* A number is never given to another one. */
	static struct {
		uint64_t id;
		char *path;
	} known[KNOWN];
	static unsigned int next;
	struct diag ignored;
	struct cgroup top;
	char *path = NULL;

	for (unsigned int i = 0; i < KNOWN; i++)
		if (known[i].path && known[i].id == id)
			return strdup(known[i].path);
	diag_init(&ignored);
	if (!cgroup_top(&top, &ignored))
		path = path_below(&top, id);
	diag_clear(&ignored);
	if (!path)
		return NULL;
	free(known[next].path);
	known[next].id = id;
	known[next].path = strdup(path);
	next = (next + 1) % KNOWN;
	return path;
}
