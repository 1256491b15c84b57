// SPDX-License-Identifier: GPL-2.0
/* Of this network namespace: the devices that rules are proposed for, and the addresses that are its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn.h"

static int add_name(char ***names, size_t *n, const char *name)
{
	char **grown;

	for (size_t i = 0; i < *n; i++)
		if (!strcmp((*names)[i], name))
			return 0;
	grown = realloc(*names, (*n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*names = grown;
	grown[*n] = strdup(name);
	if (!grown[*n])
		return -ENOMEM;
	(*n)++;
	return 0;
}

/* Where packets go that have no other way. */
static int default_routes(char ***names, size_t *n)
{
	FILE *v4 = fopen("/proc/net/route", "re"), *v6 = fopen("/proc/net/ipv6_route", "re");
	char line[512], name[IFNAMSIZ], to[33];
	unsigned int length;
	int r = 0;

	while (r == 0 && v4 && fgets(line, sizeof(line), v4))
		if (sscanf(line, "%15s %32s %*s %*s %*s %*s %*s %x", name, to, &length) == 3 &&
		    !strcmp(to, "00000000") && !length)
			r = add_name(names, n, name);
	while (r == 0 && v6 && fgets(line, sizeof(line), v6))
		if (sscanf(line, "%32s %x %*s %*s %*s %*s %*s %*s %*s %15s", to, &length, name) == 3 && !length &&
		    strcmp(name, "lo") != 0)
			r = add_name(names, n, name);
	if (v4)
		fclose(v4);
	if (v6)
		fclose(v6);
	return r;
}

int learn_devices(char ***ret, size_t *ret_n)
{
	struct ifaddrs *all = NULL;
	char **names = NULL;
	size_t n = 0;
	int r = default_routes(&names, &n);

	if (r == 0 && !n && !getifaddrs(&all)) {
		for (const struct ifaddrs *i = all; i && r == 0; i = i->ifa_next)
			if (i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6) &&
			    i->ifa_flags & IFF_UP && !(i->ifa_flags & IFF_LOOPBACK))
				r = add_name(&names, &n, i->ifa_name);
		freeifaddrs(all);
	}
	if (r) {
		learn_devices_free(names, n);
		return r;
	}
	*ret = names;
	*ret_n = n;
	return 0;
}

void learn_devices_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static bool is_this(const struct sockaddr *address, const struct talk *talk)
{
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_in *v4 = (const void *)address;

	if (!address)
		return false;
	if (address->sa_family == AF_INET)
		return talk->family == 4 && ntohl(v4->sin_addr.s_addr) == talk->addr[0];
	if (address->sa_family != AF_INET6 || talk->family != 6)
		return false;
	for (int i = 0; i < 4; i++)
		if (ntohl(v6->sin6_addr.s6_addr32[i]) != talk->addr[i])
			return false;
	return true;
}

bool learn_is_own(const struct ifaddrs *own, const struct talk *talk)
{
	for (; own; own = own->ifa_next)
		if (is_this(own->ifa_addr, talk))
			return true;
	return false;
}
