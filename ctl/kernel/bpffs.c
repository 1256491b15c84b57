// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpffs.h"

bool bpffs_holds(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

bool bpffs_holds_fd(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static bool is_missing_below(const char *path)
{
	return !strncmp(path, BPFFS "/", strlen(BPFFS) + 1) && !bpffs_holds(BPFFS);
}

/*
 * Is this command alone in its mount namespace? What it mounts there ends with it, and the rules too.
 * `ip netns exec` makes such a namespace, and hides the bpffs that is there.
 */
static bool mounts_end_with_us(void)
{
	struct stat ours, parents;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", getppid());
	return stat("/proc/self/ns/mnt", &ours) == 0 && stat(path, &parents) == 0 && ours.st_ino != parents.st_ino;
}

int bpffs_check(const char *path, struct diag *diag)
{
	if (!is_missing_below(path) || !mounts_end_with_us())
		return 0;
	diag_errno(diag, ENOENT,
		   "no BPF file system at " BPFFS
		   " in this mount namespace, and one mounted now would end with this command");
	diag_hint(diag, "instead of `ip netns exec`, use `nsenter --net=/run/netns/NAME weir ...`; or mount one that "
			"stays, and name it with --bpffs");
	return -EXDEV;
}

int bpffs_mount(const char *path, struct diag *diag)
{
	int r = bpffs_check(path, diag);

	if (r || !is_missing_below(path))
		return r;
	if (!mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return 0;
	r = diag_errno(diag, errno, "cannot mount a BPF file system at " BPFFS);
	if (r == -EPERM)
		diag_hint(diag, "it takes CAP_SYS_ADMIN; let root do it once: mount -t bpf -o mode=0700 bpf " BPFFS);
	return r;
}
