// SPDX-License-Identifier: GPL-2.0
/*
 * The host's own TCP connections, asked of the kernel (sock_diag, through libnl), as flows: rules that ask for
 * `ct state` must not cut what was there before them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include <netlink/cache.h>
#include <netlink/idiag/idiagnl.h>
#include <netlink/idiag/msg.h>
#include <netlink/netlink.h>

#include "root.h"

#define STATES                                                                                                         \
	(1 << TCP_ESTABLISHED | 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT | 1 << TCP_LAST_ACK |    \
	 1 << TCP_CLOSING)

/* An address as in the key: words in host order, most significant first. false: not one. */
static bool key_address(uint32_t ret[4], const struct nl_addr *address, bool *ret_ipv6)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* IPv4 on an IPv6 socket: RFC 4291, 2.5.5.2 */
	const uint8_t *bytes = address ? nl_addr_get_binary_addr(address) : NULL;
	unsigned int length = address ? nl_addr_get_len(address) : 0;

	if (length != 4 && length != 16)
		return false;
	if (length == 16 && !memcmp(bytes, mapped, sizeof(mapped))) {
		bytes += sizeof(mapped);
		length = 4;
	}
	memset(ret, 0, 4 * sizeof(*ret));
	for (unsigned int i = 0; i < length; i++)
		ret[i / 4] |= (uint32_t)bytes[i] << (24 - i % 4 * 8);
	*ret_ipv6 = length == 16;
	return true;
}

static bool flow_of(struct flow *ret, const struct idiagnl_msg *socket)
{
	struct idiagnl_msg *s = (struct idiagnl_msg *)socket; /* the library forgot a const */
	bool ipv6, same;

	*ret = (struct flow){ .state = FLOW_ESTABLISHED,
			      .proto = IPPROTO_TCP,
			      .flags = FLOW_REPLIED | FLOW_ASSURED | FLOW_LIBERAL,
			      /* as on the wire, which the library does not say */
			      .ports =
				      (uint32_t)ntohs(idiagnl_msg_get_sport(s)) << 16 | ntohs(idiagnl_msg_get_dport(s)),
			      .scale = { FLOW_NO_SCALE, FLOW_NO_SCALE } };
	if (!key_address(ret->addr[0], idiagnl_msg_get_src(s), &ipv6) ||
	    !key_address(ret->addr[1], idiagnl_msg_get_dst(s), &same) || ipv6 != same)
		return false;
	ret->flags |= ipv6 ? FLOW_IPV6 : 0;
	return true;
}

static int ask(struct nl_sock *sock, flow_sink sink, void *context)
{
	struct nl_cache *cache;
	int r = idiagnl_msg_alloc_cache(sock, AF_UNSPEC, STATES, &cache);

	if (r)
		return r;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		const struct idiagnl_msg *socket = (const struct idiagnl_msg *)o;
		struct flow flow;

		if ((1 << idiagnl_msg_get_state(socket)) & STATES && flow_of(&flow, socket))
			sink(context, &flow);
	}
	nl_cache_free(cache);
	return 0;
}

int sockets_list(flow_sink sink, void *context, struct diag *diag)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r = sock ? idiagnl_connect(sock) : -NLE_NOMEM;

	if (r == 0)
		r = ask(sock, sink, context);
	nl_socket_free(sock);
	if (r == 0)
		return 0;
	diag_error(diag, (struct location){ 0 }, "cannot ask for the host's connections: %s", nl_geterror(r));
	return -EIO;
}
