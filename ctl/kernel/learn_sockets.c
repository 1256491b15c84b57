// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets of this network namespace (sock_diag), and by their inode the processes that have them open (/proc): the program
 * of a port is not known when a packet comes for it, and what was connected before nobody calls again.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "learn.h"

/* UDP: ESTABLISHED is connected, CLOSE is not. */
#define STATES (1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT | 1 << TCP_LISTEN | 1 << TCP_CLOSE)

struct listing {
	struct socket_infos *into;
	uint8_t proto;
	int result;
};

static void copy_address(struct socket_info *socket, const struct inet_diag_msg *msg)
{
	const uint32_t *dst = msg->id.idiag_dst;

	socket->family = msg->idiag_family == AF_INET ? 4 : 6;
	if (socket->family == 6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)dst)) {
		socket->family = 4;
		dst += 3;
	}
	for (unsigned int i = 0; i < (socket->family == 4 ? 1u : 4u); i++)
		socket->daddr[i] = ntohl(dst[i]);
}

static int on_socket(struct nl_msg *message, void *context)
{
	const struct inet_diag_msg *msg = nlmsg_data(nlmsg_hdr(message));
	struct listing *listing = context;
	struct socket_infos *into = listing->into;
	struct socket_info *socket;

	if ((size_t)nlmsg_datalen(nlmsg_hdr(message)) < sizeof(*msg) || !msg->id.idiag_sport)
		return NL_OK;
	if (into->n == into->capacity) {
		size_t capacity = into->capacity ? into->capacity * 2 : 64;
		struct socket_info *grown = realloc(into->socket, capacity * sizeof(*grown));

		if (!grown) {
			listing->result = -ENOMEM;
			return NL_STOP;
		}
		into->socket = grown;
		into->capacity = capacity;
	}
	socket = &into->socket[into->n++];
	*socket = (struct socket_info){ .proto = listing->proto,
					.listens = msg->idiag_state == TCP_LISTEN || msg->idiag_state == TCP_CLOSE,
					.sport = ntohs(msg->id.idiag_sport),
					.dport = ntohs(msg->id.idiag_dport),
					.uid = msg->idiag_uid,
					.inode = msg->idiag_inode };
	copy_address(socket, msg);
	return NL_OK;
}

static int list(struct nl_sock *sock, struct listing *listing, uint8_t family)
{
	struct inet_diag_req_v2 ask = { .sdiag_family = family,
					.sdiag_protocol = listing->proto,
					.idiag_states = STATES };
	int r;

	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_socket, listing);
	r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &ask, sizeof(ask));
	return r < 0 ? r : nl_recvmsgs_default(sock);
}

/* ---- processes ---- */

static int by_inode(const void *a, const void *b)
{
	const struct socket_info *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void read_cgroup(const char *pid, char *ret, size_t size)
{
	char path[300], line[4200];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "0::", 3)) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(ret, size, "%.*s", (int)size - 1, line + 3);
		}
	if (file)
		fclose(file);
}

/* A socket that several have open belongs to the youngest of them: who was handed it, not who hands it out. */
static void found(struct socket_info *socket, const char *pid)
{
	char path[300];
	ssize_t n;

	if (strtoul(pid, NULL, 10) < socket->pid)
		return;
	socket->pid = (uint32_t)strtoul(pid, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, socket->exe, sizeof(socket->exe) - 1);
	socket->exe[n > 0 ? n : 0] = '\0';
	read_cgroup(pid, socket->cgroup, sizeof(socket->cgroup));
}

static void look_at(const char *pid, struct socket_info *sockets, size_t n)
{
	struct dirent *entry;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct socket_info wanted = { 0 }, *socket;
		char target[64];
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		unsigned long inode;

		if (length <= 0)
			continue;
		target[length] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1)
			continue;
		wanted.inode = inode;
		socket = bsearch(&wanted, sockets, n, sizeof(*sockets), by_inode);
		if (socket)
			found(socket, pid);
	}
	closedir(dir);
}

static void find_processes(struct socket_info *sockets, size_t n)
{
	struct dirent *entry;
	DIR *proc;

	if (!n)
		return;
	qsort(sockets, n, sizeof(*sockets), by_inode);
	proc = opendir("/proc");
	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at(entry->d_name, sockets, n);
	if (proc)
		closedir(proc);
}

int learn_sockets_list(struct socket_infos *ret, struct diag *diag)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct nl_sock *sock = nl_socket_alloc();
	size_t before = ret->n;
	int r = sock ? nl_connect(sock, NETLINK_SOCK_DIAG) : -NLE_NOMEM;

	for (size_t i = 0; i < sizeof(protocols) && r == 0; i++) {
		struct listing listing = { .into = ret, .proto = protocols[i] };

		r = list(sock, &listing, AF_INET);
		if (r == 0)
			r = list(sock, &listing, AF_INET6);
		if (listing.result)
			r = -NLE_NOMEM;
	}
	nl_socket_free(sock);
	find_processes(ret->socket + before, ret->n - before);
	if (r == 0)
		return 0;
	diag_error(diag, (struct location){ 0 }, "cannot ask for the host's sockets: %s", nl_geterror(r));
	return -EIO;
}
