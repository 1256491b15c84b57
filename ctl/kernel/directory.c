// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpffs.h"
#include "directory.h"

#define OTHERS 077 /* mode bits of everybody but the owner */

/* ---- the way down ---- */

static int not_bpffs(const char *path, struct diag *diag)
{
	diag_errno(diag, EINVAL, "'%s' is not on a BPF file system", path);
	diag_hint(diag, "name a directory below " BPFFS ", or mount one: mount -t bpf bpf DIR");
	return -EINVAL;
}

/* Only root and we may replace what is in it; where it is sticky, nobody replaces what is not his own. */
static int check_parent(int fd, const char *path, int length, struct diag *diag)
{
	struct stat st;

	if (fstat(fd, &st))
		return diag_errno(diag, errno, "cannot look at '%.*s'", length, path);
	if ((st.st_uid == 0 || st.st_uid == geteuid()) && (!(st.st_mode & 022) || st.st_mode & S_ISVTX))
		return 0;
	diag_errno(diag, EPERM, "cannot use '%s': others could replace it, '%.*s' belongs to user %u with mode %04o",
		   path, length ?: 1, path, st.st_uid, st.st_mode & 07777);
	diag_hint(diag, "use another directory with --bpffs");
	return -EPERM;
}

static int check_own(int fd, const char *path, struct diag *diag)
{
	struct stat st;

	if (fstat(fd, &st))
		return diag_errno(diag, errno, "cannot look at '%s'", path);
	if (!bpffs_holds_fd(fd))
		return not_bpffs(path, diag);
	if (st.st_uid == geteuid() && !(st.st_mode & OTHERS))
		return 0;
	diag_errno(diag, EPERM, "'%s' belongs to user %u with mode %03o: others could change the rules", path,
		   st.st_uid, st.st_mode & 0777);
	if (st.st_uid == geteuid())
		diag_hint(diag, "see what is in it; if that is yours: chmod 700 %s", path);
	else
		diag_hint(diag, "remove it, or use another directory with --bpffs");
	return -EPERM;
}

/* Where an ordinary user stands in front of a mount of root's. */
static int refused(int error, const char *doing, const char *path, struct diag *diag)
{
	diag_errno(diag, error, "cannot %s '%s'", doing, path);
	if (error == EACCES && geteuid())
		diag_hint(diag,
			  "a user who is not root needs a BPF file system of its own, mounted by root: "
			  "mount -t bpf -o mode=0700 bpf DIR && chown %u DIR; then --bpffs DIR/weir",
			  geteuid());
	return -error;
}

/* One name further; `path` up to `length` is where `parent` stands. */
static int descend(int parent, const char *name, const char *path, int length, bool last, bool create,
		   struct diag *diag)
{
	int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY : O_PATH), fd;

	if (check_parent(parent, path, length, diag))
		return -EPERM;
	fd = openat(parent, name, flags);
	if (fd < 0 && errno == ENOENT && create) {
		if (!bpffs_holds_fd(parent))
			return not_bpffs(path, diag);
		if (mkdirat(parent, name, 0700) && errno != EEXIST)
			return refused(errno, "make", path, diag);
		fd = openat(parent, name, flags);
	}
	if (fd >= 0 || (errno == ENOENT && !create))
		return fd >= 0 ? fd : -ENOENT;
	if (errno != ENOTDIR && errno != ELOOP)
		return refused(errno, "open", path, diag);
	return diag_errno(diag, ENOTDIR, "cannot use '%s': '%s' is a symbolic link, or no directory", path, name);
}

int directory_open(const char *path, bool create, struct diag *diag)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), r;
	const char *at = path;
	char name[256];

	if (fd < 0)
		return diag_errno(diag, errno, "cannot open '/'");
	while (at[strspn(at, "/")]) {
		int length = at - path, next;
		size_t n;

		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n >= sizeof(name)) {
			close(fd);
			return refused(ENAMETOOLONG, "open", path, diag);
		}
		memcpy(name, at, n);
		name[n] = 0;
		at += n;
		next = descend(fd, name, path, length, !at[strspn(at, "/")], create, diag);
		close(fd);
		if (next < 0)
			return next;
		fd = next;
	}
	r = check_own(fd, path, diag);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

/* ---- what is in it ---- */

static int check_entry(int dir, const char *name, const char *path, mode_t kind, struct diag *diag)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : diag_errno(diag, errno, "cannot look at '%s/%s'", path, name);
	if ((st.st_mode & S_IFMT) == kind && st.st_uid == geteuid() && !(st.st_mode & OTHERS))
		return 0;
	diag_errno(diag, EPERM, "'%s/%s' belongs to user %u with mode %06o: others could change the rules", path, name,
		   st.st_uid, st.st_mode);
	diag_hint(diag, "find out who made it so; files of weir are mode 600, directories 700");
	return -EPERM;
}

static int check_entries(int fd, const char *path, mode_t kind, struct diag *diag)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		r = diag_errno(diag, errno, "cannot read '%s'", path);
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0 && (entry = readdir(dir))) {
		char below[600];
		int inner;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = check_entry(copy, entry->d_name, path, kind, diag);
		if (r || kind != S_IFDIR)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		inner = openat(copy, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (inner < 0)
			continue;
		r = check_entries(inner, below, S_IFREG, diag);
		close(inner);
	}
	closedir(dir);
	return r;
}

int directory_check(int fd, const char *path, struct diag *diag)
{
	return check_entries(fd, path, S_IFDIR, diag);
}
