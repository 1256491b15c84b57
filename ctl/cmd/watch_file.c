// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../command.h"

struct watch_file {
	char *path;
	uint64_t rotate_at; /* bytes */
	unsigned int count;
	int fd;
	uint64_t size;
	bool shared; /* with the group of this process */
};

/* What stands there may be somebody else's trap: a link, a pipe, a file that they can read. */
static int check_file(const struct watch_file *file, const struct stat *st, struct diag *diag)
{
	if (S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1)
		return 0;
	diag_error(diag, NOWHERE, "cannot write to '%s': it is %s", file->path,
		   !S_ISREG(st->st_mode)     ? "no regular file"
		   : st->st_uid != geteuid() ? "somebody else's"
					     : "known by another name, too");
	return -EPERM;
}

/* What a write that was cut off left would spoil the first line of ours. */
static int end_line(struct watch_file *file, struct diag *diag)
{
	char last = '\n';

	if (!file->size || pread(file->fd, &last, 1, (off_t)file->size - 1) != 1 || last == '\n')
		return 0;
	if (write(file->fd, "\n", 1) != 1)
		return diag_errno(diag, errno, "cannot write to '%s'", file->path);
	file->size++;
	return 0;
}

/* It may be there already, with another group. */
static int share(const struct watch_file *file, struct diag *diag)
{
	if (!file->shared || (!fchown(file->fd, (uid_t)-1, getegid()) && !fchmod(file->fd, 0640)))
		return 0;
	return diag_errno(diag, errno, "cannot let a group read '%s'", file->path);
}

static int open_file(struct watch_file *file, struct diag *diag)
{
	struct stat st;
	int r;

	/* O_NONBLOCK: a pipe without a reader would keep us here. */
	file->fd = open(file->path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (file->fd < 0 && errno == ELOOP)
		return diag_errno(diag, ELOOP, "cannot write to '%s', which is a symbolic link", file->path);
	if (file->fd < 0 || fstat(file->fd, &st))
		return diag_errno(diag, errno, "cannot open '%s'", file->path);
	r = check_file(file, &st, diag);
	if (r)
		return r;
	if (flock(file->fd, LOCK_EX | LOCK_NB))
		return diag_errno(diag, errno, "cannot write to '%s', which another process writes to", file->path);
	file->size = (uint64_t)st.st_size;
	r = share(file, diag);
	return r ? r : end_line(file, diag);
}

int watch_file_share(struct watch_file *file, struct diag *diag)
{
	file->shared = true;
	return share(file, diag);
}

int watch_file_open(struct watch_file **ret, const char *path, uint64_t rotate_at, unsigned int count,
		    struct diag *diag)
{
	struct watch_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return diag_oom(diag);
	*file = (struct watch_file){ .path = strdup(path), .rotate_at = rotate_at, .count = count, .fd = -1 };
	r = file->path ? open_file(file, diag) : diag_oom(diag);
	if (r) {
		watch_file_close(file);
		return r;
	}
	*ret = file;
	return 0;
}

void watch_file_close(struct watch_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file);
}

int watch_file_reopen(struct watch_file *file, struct diag *diag)
{
	close(file->fd);
	return open_file(file, diag);
}

/* FILE.4 to FILE.5, ..., FILE to FILE.1. */
static int rotate(struct watch_file *file, struct diag *diag)
{
	size_t room = strlen(file->path) + 16;
	char *from = malloc(room), *to = malloc(room);
	int r = from && to ? 0 : diag_oom(diag);

	for (unsigned int i = file->count; i-- && r == 0;) {
		if (i)
			snprintf(from, room, "%s.%u", file->path, i);
		else
			snprintf(from, room, "%s", file->path);
		snprintf(to, room, "%s.%u", file->path, i + 1);
		if (rename(from, to) && errno != ENOENT)
			r = diag_errno(diag, errno, "cannot move '%s' to '%s'", from, to);
	}
	free(from);
	free(to);
	return r ? r : watch_file_reopen(file, diag);
}

int watch_file_write(struct watch_file *file, const char *line, size_t length, struct diag *diag)
{
	size_t done = 0;
	int r;

	if (file->size && file->size + length > file->rotate_at && (r = rotate(file, diag)))
		return r;
	while (done < length) {
		ssize_t n = write(file->fd, line + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = diag_errno(diag, n ? errno : EIO, "cannot write to '%s'", file->path);
			/* Half a line is no record. Where this fails, the next one to open the file ends it. */
			if (done && ftruncate(file->fd, (off_t)file->size))
				diag_hint(diag, "its last line is not whole");
			return r;
		}
		done += (size_t)n;
	}
	file->size += length;
	return 0;
}
