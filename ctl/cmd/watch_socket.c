// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS  250
#define HURRY    4  /* waits after we were told to stop */
#define PATIENCE 40 /* waits for a daemon that is being started again */

struct watch_socket {
	struct sockaddr_un address;
	int fd; /* connected, or -1 */
	const volatile sig_atomic_t *stop;
};

int watch_wait(int fd, const volatile sig_atomic_t *stop)
{
	unsigned int late = 0;

	for (;;) {
		struct pollfd one = { .fd = fd, .events = POLLOUT };

		if (poll(&one, 1, WAIT_MS) > 0)
			return 0;
		if (*stop && ++late > HURRY)
			return -ETIMEDOUT;
	}
}

static int connect_to(struct watch_socket *to)
{
	if (to->fd >= 0)
		close(to->fd);
	to->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (to->fd < 0)
		return -errno;
	return connect(to->fd, (struct sockaddr *)&to->address, sizeof(to->address)) ? -errno : 0;
}

int watch_socket_open(struct watch_socket **ret, const char *path, const volatile sig_atomic_t *stop, struct diag *diag)
{
	struct watch_socket *to = calloc(1, sizeof(*to));
	int r;

	if (!to)
		return diag_oom(diag);
	*to = (struct watch_socket){ .address = { .sun_family = AF_UNIX }, .fd = -1, .stop = stop };
	snprintf(to->address.sun_path, sizeof(to->address.sun_path), "%s", path);
	r = connect_to(to);
	if (r) {
		diag_errno(diag, -r, "cannot reach '%s'", path);
		diag_hint(diag, "is the daemon running that keeps the log?");
		watch_socket_close(to);
		return r;
	}
	*ret = to;
	return 0;
}

void watch_socket_close(struct watch_socket *to)
{
	if (!to)
		return;
	if (to->fd >= 0)
		close(to->fd);
	free(to);
}

static bool daemon_went(int error)
{
	return error == ECONNREFUSED || error == ECONNRESET || error == ENOTCONN || error == ENOENT || error == EPIPE;
}

int watch_socket_send(struct watch_socket *to, const char *head, const char *rest, size_t length, struct diag *diag)
{
	struct iovec parts[] = { { (char *)head, strlen(head) }, { (char *)rest, length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	unsigned int waits = 0;
	int r = 0;

	for (;;) {
		if (sendmsg(to->fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		r = -errno;
		if (r == -EAGAIN || r == -ENOBUFS) {
			r = watch_wait(to->fd, to->stop);
			if (r)
				break;
		} else if (daemon_went(-r) && ++waits < (*to->stop ? HURRY : PATIENCE)) {
			poll(NULL, 0, WAIT_MS);
			connect_to(to);
		} else if (r != -EINTR) {
			break;
		}
	}
	return diag_errno(diag, -r, "cannot write to '%s'", to->address.sun_path);
}
