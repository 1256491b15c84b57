// SPDX-License-Identifier: GPL-2.0
/* Interfaces, through netlink (libnl). */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>
#include <netlink/netlink.h>
#include <netlink/route/classifier.h>
#include <netlink/route/link.h>
#include <netlink/route/tc.h>

#include "kernel.h"
#include "link.h"

static struct nl_sock *route_socket(void)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && nl_connect(sock, NETLINK_ROUTE)) {
		nl_socket_free(sock);
		return NULL;
	}
	return sock;
}

static void link_fill(struct link_info *ret, struct rtnl_link *link)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", rtnl_link_get_name(link) ?: "");
	ret->ifindex = rtnl_link_get_ifindex(link);
	ret->loopback = rtnl_link_get_flags(link) & IFF_LOOPBACK;
	ret->ethernet = ret->loopback || rtnl_link_get_arptype(link) == ARPHRD_ETHER;
	ret->up = rtnl_link_get_flags(link) & IFF_UP;
	ret->mtu = rtnl_link_get_mtu(link);
	snprintf(ret->kind, sizeof(ret->kind), "%s", rtnl_link_get_type(link) ?: "");
}

int link_get(const char *name, struct link_info *ret, struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct nl_sock *sock = route_socket();
	struct rtnl_link *link = NULL;
	int r;

	if (!sock)
		return diag_errno(diag, EIO, "cannot open a netlink socket");
	r = rtnl_link_get_kernel(sock, 0, name, &link);
	nl_socket_free(sock);
	if (r)
		return r == -NLE_NODEV || r == -NLE_OBJ_NOTFOUND
			       ? -ENODEV
			       : diag_errno(diag, EIO, "cannot ask for '%s': %s", name, nl_geterror(r));
	link_fill(ret, link);
	rtnl_link_put(link);
	if (bpf_xdp_query(ret->ifindex, 0, &query) == 0)
		ret->xdp_prog_id = query.prog_id ?: query.drv_prog_id ?: query.skb_prog_id ?: query.hw_prog_id;
	return 0;
}

int link_list(struct link_info **ret, size_t *ret_n, struct diag *diag)
{
	struct nl_sock *sock = route_socket();
	struct nl_cache *cache = NULL;
	struct link_info *list;
	size_t n = 0;
	int r;

	if (!sock)
		return diag_errno(diag, EIO, "cannot open a netlink socket");
	r = rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache);
	nl_socket_free(sock);
	if (r)
		return diag_errno(diag, EIO, "cannot ask for the interfaces: %s", nl_geterror(r));
	list = calloc(nl_cache_nitems(cache) + 1, sizeof(*list));
	for (struct nl_object *o = nl_cache_get_first(cache); list && o; o = nl_cache_get_next(o))
		link_fill(&list[n++], (struct rtnl_link *)o);
	nl_cache_free(cache);
	if (!list)
		return diag_oom(diag);
	*ret = list;
	*ret_n = n;
	return 0;
}

int link_name(uint32_t ifindex, char ret[64])
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(ifindex, name))
		return -ENODEV;
	snprintf(ret, 64, "%s", name);
	return 0;
}

static size_t filters_under(struct nl_sock *sock, uint32_t ifindex, uint32_t parent)
{
	struct nl_cache *cache = NULL;
	size_t n;

	if (rtnl_cls_alloc_cache(sock, ifindex, parent, &cache))
		return 1; /* not known: leave it alone */
	n = nl_cache_nitems(cache);
	nl_cache_free(cache);
	return n;
}

bool link_clsact_is_empty(uint32_t ifindex)
{
	struct nl_sock *sock = route_socket();
	bool empty;

	if (!sock)
		return false;
	empty = !filters_under(sock, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
		!filters_under(sock, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
	nl_socket_free(sock);
	return empty;
}
