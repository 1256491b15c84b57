// SPDX-License-Identifier: GPL-2.0
/* Who sends: user, group, capabilities, cgroup and user namespace; and who made the socket. */
#include "send.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int set_capabilities(unsigned int wanted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = wanted, .permitted = wanted } };

	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int enter_cgroup(const char *directory)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	return write_file(path, "0");
}

static int enter_user_namespace(uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	/* A process that changed its user does not own its own files in /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		return -errno;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	r = write_file("/proc/self/uid_map", map);
	if (r < 0)
		return r;
	r = write_file("/proc/self/setgroups", "deny");
	if (r < 0)
		return r;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", map);
}

int who_become(const struct who *who)
{
	unsigned int raw = who->raw ? 1u << CAP_NET_RAW : 0;
	int r;

	if (who->cgroup) {
		r = enter_cgroup(who->cgroup);
		if (r < 0)
			return r;
	}
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(who->n_groups, who->groups) ||
	    setresgid(who->gid, who->gid, who->gid) || setresuid(who->uid, who->euid, who->euid))
		return -errno;
	/* setfsuid() says nothing of failure, and needs the right where it is none of the others. */
	r = set_capabilities(raw | 1u << CAP_SETUID);
	if (r < 0)
		return r;
	setfsuid(who->fsuid);
	if ((uid_t)setfsuid(-1) != who->fsuid)
		return -EPERM;
	r = set_capabilities(raw);
	if (r < 0 || !who->userns)
		return r;
	return enter_user_namespace(who->euid, who->gid);
}

#define PASSED 2

struct passing {
	struct msghdr message;
	struct iovec data;
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
};

static struct msghdr *passing(struct passing *p, int *result)
{
	*p = (struct passing){ .data = { result, sizeof(*result) } };
	p->message = (struct msghdr){
		.msg_iov = &p->data, .msg_iovlen = 1, .msg_control = &p->control, .msg_controllen = sizeof(p->control)
	};
	return &p->message;
}

static void pass(int to, int fd, int result)
{
	struct passing p;
	struct cmsghdr *c = CMSG_FIRSTHDR(passing(&p, &result));

	if (result < 0) {
		p.message.msg_control = NULL;
		p.message.msg_controllen = 0;
	} else {
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(to, &p.message, 0) < 0)
		_exit(1);
}

static int take(int from, int *ret_fd)
{
	struct passing p;
	int result = -EIO;
	struct cmsghdr *c;

	if (recvmsg(from, passing(&p, &result), MSG_CMSG_CLOEXEC) < (ssize_t)sizeof(result))
		return -EIO;
	if (result < 0)
		return result;
	c = CMSG_FIRSTHDR(&p.message);
	if (!c)
		return -EIO;
	memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return 0;
}

static int open_elsewhere(const struct who *who, struct job *job, bool reach)
{
	int pair[2], r;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		r = who_become(who);
		if (r >= 0)
			r = job_open(job);
		if (r >= 0 && reach && job->way->reach)
			r = job->way->reach(job);
		pass(pair[1], job->fd, r);
		_exit(0);
	}
	close(pair[1]);
	r = take(pair[0], &job->fd);
	close(pair[0]);
	waitpid(child, NULL, 0);
	return r;
}

int who_open(const struct who *who, struct job *job, bool other_process, bool reach)
{
	int r;

	if (other_process)
		return open_elsewhere(who, job, reach);
	if (who->cgroup) {
		r = enter_cgroup(who->cgroup);
		if (r < 0)
			return r;
	}
	/* As of a program that is set-uid, or a server before it lets go of its rights. */
	if (seteuid(who->euid))
		return -errno;
	if (who->raw && who->euid) {
		/* seteuid() took them from the effective ones; they are still permitted. */
		r = set_capabilities(1u << CAP_NET_RAW | 1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_SETPCAP);
		if (r < 0)
			return r;
	}
	r = job_open(job);
	if (seteuid(0))
		return -errno;
	return r;
}
