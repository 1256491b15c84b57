// SPDX-License-Identifier: GPL-2.0
/* One way of sending to an endpoint: what the command line asks for (struct job), and the table of ways. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FAMILY_4      (1u << 0)
#define FAMILY_6      (1u << 1)
#define FAMILY_MAPPED (1u << 2) /* an IPv6 socket, and ::ffff:ADDRESS */
#define IP_FAMILIES   (FAMILY_4 | FAMILY_6)
#define ALL_FAMILIES  (IP_FAMILIES | FAMILY_MAPPED)

#define WAY_CALL   (1u << 0) /* the kernel asks cgroup programs: an errno at once */
#define WAY_RAW    (1u << 1) /* needs CAP_NET_RAW */
#define WAY_BYPASS (1u << 2) /* a documented miss: no layer sees it, or sees where it goes */

struct job;

struct way {
	const char *name;
	unsigned int families;
	unsigned int flags;
	int type, protocol; /* protocol of IPv6, where it is another one: protocol6 */
	int protocol6;
	/* Each returns 0 or -errno; NULL: nothing to do. */
	int (*open)(struct job *job);   /* job->fd, by who makes the socket; NULL: socket() and no more */
	int (*listen)(struct job *job); /* job->answers, where the answer does not come to the socket itself */
	int (*reach)(struct job *job);  /* connect */
	int (*say)(struct job *job);    /* the request */
	unsigned int how;               /* for the functions: a number of their own */
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct job {
	const struct way *way;
	unsigned int family; /* one of FAMILY_* */
	union address to;    /* as the socket wants it */
	socklen_t to_len;
	union address from; /* of packets whose headers we write */
	const char *device; /* AF_PACKET: where to, and to whom there */
	uint8_t mac[6], own_mac[6];
	const char *via; /* an IPv6 address on the way */
	int timeout_ms;
	int fd, answers;
	uint16_t sport; /* of packets whose headers we write */
	bool said;      /* the request went with the connect */
};

extern const struct way ways[];
extern const size_t n_ways;

int job_open(struct job *job);
struct msghdr job_message(struct job *job, struct iovec *data);
/* The bytes that came back from the endpoint, or -errno. */
ssize_t job_answer(struct job *job);

/* Requests over TCP, and what is sent over all else. */
#define REQUEST  "GET / HTTP/1.1\r\nHost: endpoint\r\n\r\n"
#define DATAGRAM "hello"

/* raw.c: packets whose headers we write. how: RAW_* */
#define RAW_SYN     (1u << 0) /* else a UDP datagram */
#define RAW_HDRINCL (1u << 1)
#define RAW_COOKED  (1u << 2) /* AF_PACKET, SOCK_DGRAM */
#define RAW_VLAN    (1u << 3)
#define RAW_QINQ    (1u << 4)
#define RAW_LIE     (1u << 5) /* the kernel is told another EtherType than the frame has */
#define RAW_RING    (1u << 6)
#define RAW_BYPASS  (1u << 7)

int raw_open(struct job *job);
int raw_listen(struct job *job);
int raw_say(struct job *job);
int packet_open(struct job *job);
int packet_say(struct job *job);
bool raw_is_answer(const struct job *job, const uint8_t *data, size_t n);

/* uring.c. how: URING_* */
#define URING_SQPOLL (1u << 0)

int uring_connect(struct job *job);
int uring_send(struct job *job);
int uring_sendmsg(struct job *job);

/* who.c: who does it. */
#define GROUPS 8

struct who {
	uid_t uid, euid, fsuid;
	gid_t gid;
	gid_t groups[GROUPS];
	size_t n_groups;
	const char *cgroup; /* its directory, or NULL: where we are */
	bool raw;           /* with CAP_NET_RAW */
	bool userns;        /* as root of a new user namespace */
};

/* For good. */
int who_become(const struct who *who);
/* Opens the job's socket as somebody else who is gone after it; reach: connects it, too. */
int who_open(const struct who *who, struct job *job, bool other_process, bool reach);
