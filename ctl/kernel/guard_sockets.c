// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets that were connected to an endpoint before its guard came up: the kernel closes them for us (sock_diag), where it is
 * certain that they may not be. What is in doubt is left to the programs, which see the next packet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "guard.h"

#define CONNECTED                                                                                                      \
	(1 << TCP_ESTABLISHED | 1 << TCP_SYN_SENT | 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT |    \
	 1 << TCP_LAST_ACK | 1 << TCP_CLOSING)

struct sweep {
	const struct guard_tables *before, *now;
	bool users_only[GUARDS_MAX];
	struct inet_diag_req_v2 *close;
	size_t n, capacity;
	uint8_t proto;
};

/* ---- who may ---- */

static bool matches(const struct guard_endpoint *endpoint, const struct inet_diag_msg *socket)
{
	const uint32_t *dst = socket->id.idiag_dst;
	uint8_t family = socket->idiag_family == AF_INET ? 4 : 6;

	if (family == 6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)dst)) {
		family = 4;
		dst += 3;
	}
	if (endpoint->family != family || (endpoint->port && endpoint->port != ntohs(socket->id.idiag_dport)))
		return false;
	for (unsigned int i = 0; i < (family == 4 ? 1u : 4u); i++)
		if ((ntohl(dst[i]) & endpoint->mask[i]) != endpoint->addr[i])
			return false;
	return true;
}

static const struct guard_endpoint *endpoint_of(const struct guard_tables *tables, const struct inet_diag_msg *socket)
{
	for (uint32_t i = 0; i < tables->n_endpoints && i < GUARD_ENDPOINTS_MAX; i++)
		if (matches(&tables->endpoint[i], socket))
			return &tables->endpoint[i];
	return NULL;
}

static bool user_allowed(const struct guard_tables *tables, uint32_t guard, uint32_t uid)
{
	for (size_t i = 0; i < GUARD_PRINCIPALS; i++) {
		const struct guard_principal *p = &tables->principal[i];

		if (p->rules && p->guard == guard && p->who == GUARD_USER && p->id == uid)
			return true;
	}
	return false;
}

/*
 * The owner is who made the socket; the program that connected it may be another one, whom the programs know. So a socket
 * that its owner did not open by a right of his own is theirs to judge.
 */
static bool is_certain(const struct sweep *sweep, const struct inet_diag_msg *socket)
{
	const struct guard_endpoint *now = endpoint_of(sweep->now, socket), *before;

	if (!now || now->guard >= GUARDS_MAX || !sweep->users_only[now->guard] ||
	    user_allowed(sweep->now, now->guard, socket->idiag_uid))
		return false;
	before = endpoint_of(sweep->before, socket);
	return !before || user_allowed(sweep->before, before->guard, socket->idiag_uid);
}

/* ---- asking and closing ---- */

static int on_socket(struct nl_msg *msg, void *context)
{
	const struct nlmsghdr *header = nlmsg_hdr(msg);
	const struct inet_diag_msg *socket = nlmsg_data(header);
	struct sweep *sweep = context;

	if ((size_t)nlmsg_datalen(header) < sizeof(*socket) || !is_certain(sweep, socket))
		return NL_OK;
	if (sweep->n == sweep->capacity) {
		size_t capacity = sweep->capacity ? sweep->capacity * 2 : 64;
		struct inet_diag_req_v2 *grown = realloc(sweep->close, capacity * sizeof(*grown));

		if (!grown)
			return NL_STOP;
		sweep->close = grown;
		sweep->capacity = capacity;
	}
	sweep->close[sweep->n++] = (struct inet_diag_req_v2){ .sdiag_family = socket->idiag_family,
							      .sdiag_protocol = sweep->proto,
							      .idiag_states = CONNECTED,
							      .id = socket->id };
	return NL_OK;
}

static struct nl_sock *diag_socket(void)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && nl_connect(sock, NETLINK_SOCK_DIAG)) {
		nl_socket_free(sock);
		return NULL;
	}
	return sock;
}

static void list(struct nl_sock *sock, struct sweep *sweep, uint8_t family, uint8_t proto)
{
	struct inet_diag_req_v2 ask = { .sdiag_family = family, .sdiag_protocol = proto, .idiag_states = CONNECTED };

	sweep->proto = proto;
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_socket, sweep);
	if (nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &ask, sizeof(ask)) >= 0)
		nl_recvmsgs_default(sock);
}

static int destroy(struct nl_sock *sock, struct inet_diag_req_v2 *socket)
{
	int r = nl_send_simple(sock, SOCK_DESTROY, 0, socket, sizeof(*socket));

	return r < 0 ? r : nl_wait_for_ack(sock);
}

static size_t close_all(struct sweep *sweep)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE };
	struct nl_sock *sock = diag_socket();
	size_t closed = 0;

	if (!sock)
		return 0;
	for (size_t i = 0; i < sizeof(protocols); i++) {
		list(sock, sweep, AF_INET, protocols[i]);
		list(sock, sweep, AF_INET6, protocols[i]);
	}
	for (size_t i = 0; i < sweep->n; i++)
		closed += destroy(sock, &sweep->close[i]) == 0;
	nl_socket_free(sock);
	free(sweep->close);
	return closed;
}

size_t guards_close_sockets(const struct weir_root *root)
{
	const struct memory *memory = &root->instance->memory;
	uint64_t generation = memory->control->generation;
	struct sweep sweep = { .before = memory_guards(memory, generation - 1),
			       .now = memory_guards(memory, generation) };

	if (!sweep.now || !sweep.now->n_guards || !memcmp(sweep.before, sweep.now, sizeof(*sweep.now)))
		return 0;
	memset(sweep.users_only, true, sizeof(sweep.users_only));
	for (size_t i = 0; i < GUARD_PRINCIPALS; i++) {
		const struct guard_principal *p = &sweep.now->principal[i];

		if (p->rules && p->who != GUARD_USER && p->guard < GUARDS_MAX)
			sweep.users_only[p->guard] = false;
	}
	return close_all(&sweep);
}

/* Asked to close a socket that is not there, a kernel that can says so. */
enum probe_state guards_can_close(void)
{
	struct inet_diag_req_v2 nobody = { .sdiag_family = AF_INET,
					   .sdiag_protocol = IPPROTO_TCP,
					   .idiag_states = CONNECTED,
					   .id = { .idiag_sport = htons(1),
						   .idiag_dport = htons(1),
						   .idiag_src = { htonl(INADDR_LOOPBACK) },
						   .idiag_dst = { htonl(INADDR_LOOPBACK) },
						   .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } };
	struct nl_sock *sock = diag_socket();
	int r = sock ? destroy(sock, &nobody) : -NLE_FAILURE;

	nl_socket_free(sock);
	return r == 0 || r == -NLE_OBJ_NOTFOUND ? PROBE_YES : r == -NLE_PERM ? PROBE_UNKNOWN : PROBE_NO;
}
