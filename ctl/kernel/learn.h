/* SPDX-License-Identifier: GPL-2.0 */
/* What bpf/learn.bpf.c sees while it is attached: who on this host talks to what. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/learn_abi.h"
#include "../lang/diag.h"

struct talk {
	enum learn_direction direction;
	uint8_t proto;  /* IPPROTO_* */
	uint8_t family; /* 4 or 6 */
	uint16_t
		port; /* where the answers come from: of the other end, incoming: the local one; 0: the protocol has none */
	uint32_t addr[4]; /* of the other end, host order words */
	uint32_t euid;    /* incoming: as owner */
	uint32_t owner;   /* of the socket: what `meta skuid` goes by */
	const char *exe;  /* a path, "" where it is not known */
	const char *cgroup;
	uint64_t n;
	int64_t first, last; /* seconds since 1970 */
};

struct talks {
	struct talk *talk;
	size_t n, capacity;
	char **text; /* that exe and cgroup point to */
	size_t n_text;
	uint64_t losses[LEARN_LOSS_MAX];
};
void talks_clear(struct talks *talks);
/* Both keep what they are given. -ENOMEM. */
int talks_add(struct talks *talks, const struct talk *talk);
/* A text that lives as long as the talks; "" when memory ends. */
const char *talks_text(struct talks *talks, const char *text);

/* ---- learn.c ---- */

struct learn;

/* Attaches to the cgroup of that path, or to the top (NULL). Everything is gone with the process, however it ends. */
int learn_open(struct learn **ret, const char *cgroup, bool news, struct diag *diag);
void learn_close(struct learn *learn);
/* All that was seen since. Connections and listening sockets that are older stand there, too, once. */
int learn_read(struct learn *learn, struct talks *ret, struct diag *diag);
typedef int (*talk_handler)(void *context, const struct talk *talk);
/* Connections that are older than this, alone. */
int learn_older(struct learn *learn, talk_handler handler, void *context, struct diag *diag);
/* Opened with news: calls the handler for each talk the first time it is seen; 0, what the handler returned, or a negative errno
 * with a problem. */
int learn_poll(struct learn *learn, int timeout_ms, talk_handler handler, void *context, struct diag *diag);
/* Makes room: forgets the talks that the handler says 1 of, so that they are news again. */
void learn_forget(struct learn *learn, talk_handler handler, void *context);
struct verified;
/* How many programs there are, at most so many. */
size_t learn_verified(struct verified *ret, size_t most);
void learn_losses(const struct learn *learn, uint64_t ret[LEARN_LOSS_MAX]);

/* ---- learn_sockets.c: sockets as the kernel lists them, and the processes that have them ---- */

struct socket_info {
	uint8_t proto, family;
	uint8_t listens; /* takes connections; of UDP: is not connected */
	uint16_t sport, dport;
	uint32_t daddr[4];
	uint32_t uid;
	uint64_t inode;
	uint32_t pid;  /* of one that has it open; 0: none that we see */
	char exe[256]; /* of that process, "" where it cannot be read */
	char cgroup[256];
};
struct socket_infos {
	struct socket_info *socket;
	size_t n, capacity;
};
/* TCP and UDP of this network namespace; *ret is added to. */
int learn_sockets_list(struct socket_infos *ret, struct diag *diag);

/* ---- learn_host.c ---- */

/* Names of the devices that have a default route, or, where none has, of those that are up and have an address. */
int learn_devices(char ***ret, size_t *ret_n);
void learn_devices_free(char **names, size_t n);
/* Talks with an address of this host never come to a device. own: of getifaddrs() */
struct ifaddrs;
bool learn_is_own(const struct ifaddrs *own, const struct talk *talk);
