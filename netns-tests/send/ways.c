// SPDX-License-Identifier: GPL-2.0
/* The ways to send, each as what is done to a socket. Those that write headers by hand are in raw.c. */
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seg6.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define SOURCE_ROUTE 4    /* the type of a segment routing header */
#define LARGE        4000 /* more than a packet */
#define ELSEWHERE    53   /* a port of the endpoint that is not guarded */

static int done(ssize_t r)
{
	return r < 0 ? -errno : 0;
}

int job_open(struct job *job)
{
	const struct way *way = job->way;
	struct timeval patience = { job->timeout_ms / 1000, job->timeout_ms % 1000 * 1000 };
	bool six = job->family != FAMILY_4;

	if (way->open)
		return way->open(job);
	job->fd = socket(six ? AF_INET6 : AF_INET, way->type | SOCK_CLOEXEC,
			 six && way->protocol6 ? way->protocol6 : way->protocol);
	if (job->fd < 0)
		return -errno;
	/* Bounds connect(), too. */
	return done(setsockopt(job->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
}

/* ---- connect ---- */

static int reach(struct job *job)
{
	return done(connect(job->fd, &job->to.sa, job->to_len));
}

static int reach_nonblocking(struct job *job)
{
	int flags = fcntl(job->fd, F_GETFL), error = 0;
	struct pollfd writable = { .fd = job->fd, .events = POLLOUT };
	socklen_t length = sizeof(error);

	if (fcntl(job->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	if (connect(job->fd, &job->to.sa, job->to_len) < 0) {
		if (errno != EINPROGRESS)
			return -errno;
		if (poll(&writable, 1, job->timeout_ms) <= 0)
			return -ETIMEDOUT;
		if (getsockopt(job->fd, SOL_SOCKET, SO_ERROR, &error, &length))
			return -errno;
	}
	return error ? -error : done(fcntl(job->fd, F_SETFL, flags));
}

static int disconnect(struct job *job)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return done(connect(job->fd, &none, sizeof(none)));
}

static int reach_elsewhere(struct job *job)
{
	union address to = job->to;

	if (job->family == FAMILY_4)
		to.in.sin_port = htons(ELSEWHERE);
	else
		to.in6.sin6_port = htons(ELSEWHERE);
	return done(connect(job->fd, &to.sa, job->to_len));
}

/* A socket that is connected elsewhere does not hear the answer: another one at its port does. */
static int listen_beside(struct job *job)
{
	union address here = { .sa = { .sa_family = job->to.sa.sa_family } };
	socklen_t length = sizeof(here);

	job->answers = socket(job->to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (job->answers < 0 || setsockopt(job->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    setsockopt(job->answers, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) ||
	    bind(job->fd, &here.sa, job->to_len) || getsockname(job->fd, &here.sa, &length))
		return -errno;
	return done(bind(job->answers, &here.sa, job->to_len));
}

/* A datagram socket has been somewhere else before; a stream socket could not leave again unheard. */
static int reach_after_unspec(struct job *job)
{
	int r = job->way->type == SOCK_DGRAM ? reach_elsewhere(job) : 0;

	if (!r)
		r = disconnect(job);
	return r ? r : reach(job);
}

/* By way of another address: what is in the packet's header, as long as it is not there. No right is needed for it. */
static int set_route(struct job *job)
{
	struct {
		struct ipv6_sr_hdr header;
		struct in6_addr segment[2]; /* the last one first; the kernel fills in the destination */
	} route = { .header = { .hdrlen = sizeof(route.segment) / 8,
				.type = SOURCE_ROUTE,
				.segments_left = 1,
				.first_segment = 1 } };

	if (!job->via || inet_pton(AF_INET6, job->via, &route.segment[1]) != 1)
		return -EINVAL;
	return done(setsockopt(job->fd, IPPROTO_IPV6, IPV6_RTHDR, &route, sizeof(route)));
}

static int reach_routed(struct job *job)
{
	int r = set_route(job);

	return r ? r : reach(job);
}

static int reach_fastopen(struct job *job)
{
	job->said = true;
	return done(sendto(job->fd, REQUEST, strlen(REQUEST), MSG_FASTOPEN, &job->to.sa, job->to_len));
}

static int reach_fastopen_option(struct job *job)
{
	if (setsockopt(job->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){ 1 }, sizeof(int)))
		return -errno;
	return reach(job);
}

/* ---- send ---- */

struct msghdr job_message(struct job *job, struct iovec *data)
{
	return (struct msghdr){ .msg_name = &job->to, .msg_namelen = job->to_len, .msg_iov = data, .msg_iovlen = 1 };
}

static int say_request(struct job *job)
{
	return done(send(job->fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL));
}

static int say_datagram(struct job *job)
{
	return done(send(job->fd, DATAGRAM, strlen(DATAGRAM), 0));
}

static int say_sendto(struct job *job)
{
	return done(sendto(job->fd, DATAGRAM, strlen(DATAGRAM), 0, &job->to.sa, job->to_len));
}

static int say_sendmsg(struct job *job)
{
	struct iovec data = { DATAGRAM, strlen(DATAGRAM) };
	struct msghdr message = job_message(job, &data);

	return done(sendmsg(job->fd, &message, 0));
}

static int say_sendmmsg(struct job *job)
{
	struct iovec data = { DATAGRAM, strlen(DATAGRAM) };
	struct mmsghdr message[] = { { .msg_hdr = job_message(job, &data) }, { .msg_hdr = job_message(job, &data) } };

	return done(sendmmsg(job->fd, message, 2, 0));
}

static int say_routed(struct job *job)
{
	int r = set_route(job);

	return r ? r : say_sendto(job);
}

/* Leaves as fragments. */
static int say_large(struct job *job)
{
	static const char data[LARGE];

	return done(sendto(job->fd, data, sizeof(data), 0, &job->to.sa, job->to_len));
}

/* Leaves traffic control as one packet, and the host as several. */
static int say_segments(struct job *job)
{
	static const char data[LARGE];

	if (setsockopt(job->fd, IPPROTO_UDP, UDP_SEGMENT, &(int){ LARGE / 4 }, sizeof(int)))
		return -errno;
	return done(sendto(job->fd, data, sizeof(data), 0, &job->to.sa, job->to_len));
}

static int say_echo(struct job *job)
{
	/* The kernel fills in what is missing, over IPv6 also the checksum's place. */
	struct icmphdr echo = { .type = job->family == FAMILY_4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST };

	if (job->way->reach)
		return done(send(job->fd, &echo, sizeof(echo), 0));
	return done(sendto(job->fd, &echo, sizeof(echo), 0, &job->to.sa, job->to_len));
}

/* ---- the answer ---- */

ssize_t job_answer(struct job *job)
{
	uint8_t data[65536];
	struct pollfd readable = { .fd = job->answers, .events = POLLIN };

	for (;;) {
		int r = poll(&readable, 1, job->timeout_ms);
		ssize_t n;

		if (r <= 0)
			return r ? -errno : -ETIMEDOUT;
		n = recv(job->answers, data, sizeof(data), 0);
		if (n < 0)
			return -errno;
		if (job->answers == job->fd || raw_is_answer(job, data, n))
			return n;
	}
}

/* ---- the table ---- */

#define TCP .type = SOCK_STREAM, .families = ALL_FAMILIES, .flags = WAY_CALL
#define UDP .type = SOCK_DGRAM, .families = ALL_FAMILIES, .flags = WAY_CALL
#define ROUTED(type_, protocol_, flags_)                                                                               \
	.type = (type_), .protocol = (protocol_), .families = FAMILY_6, .flags = (flags_)
#define LITE .type = SOCK_DGRAM, .protocol = IPPROTO_UDPLITE
#define PING                                                                                                           \
	.type = SOCK_DGRAM, .protocol = IPPROTO_ICMP, .protocol6 = IPPROTO_ICMPV6, .families = IP_FAMILIES,            \
	.say = say_echo
#define RAW    .families = IP_FAMILIES, .flags = WAY_RAW, .open = raw_open, .listen = raw_listen, .say = raw_say
#define FRAMES .families = IP_FAMILIES, .open = packet_open, .listen = raw_listen, .say = packet_say
#define PACKET FRAMES, .flags = WAY_RAW
#define BYPASS FRAMES, .flags = WAY_RAW | WAY_BYPASS

/* UDP-Lite's connect and a ping socket's sendto ask no cgroup program: theirs is the packet layer. */
const struct way ways[] = {
	{ "tcp-connect", TCP, .reach = reach, .say = say_request },
	{ "tcp-nonblocking", TCP, .reach = reach_nonblocking, .say = say_request },
	{ "tcp-unspec", TCP, .reach = reach_after_unspec, .say = say_request },
	{ "tcp-fastopen", TCP, .reach = reach_fastopen, .say = say_request },
	{ "tcp-fastopen-connect", TCP, .reach = reach_fastopen_option, .say = say_request },
	{ "tcp-routed", ROUTED(SOCK_STREAM, 0, WAY_CALL), .reach = reach_routed, .say = say_request },
	{ "mptcp", TCP, .protocol = IPPROTO_MPTCP, .reach = reach, .say = say_request },
	{ "uring-connect", TCP, .reach = uring_connect, .say = uring_send },
	{ "uring-connect-sqpoll", TCP, .reach = uring_connect, .say = uring_send, .how = URING_SQPOLL },
	{ "udp-connect", UDP, .reach = reach, .say = say_datagram },
	{ "udp-unspec", UDP, .reach = reach_after_unspec, .say = say_datagram },
	{ "udp-elsewhere", UDP, .listen = listen_beside, .reach = reach_elsewhere, .say = say_sendto },
	{ "udp-sendto", UDP, .say = say_sendto },
	{ "udp-sendmsg", UDP, .say = say_sendmsg },
	{ "udp-sendmmsg", UDP, .say = say_sendmmsg },
	{ "udp-large", UDP, .say = say_large },
	{ "udp-segments", UDP, .say = say_segments },
	{ "udp-routed", ROUTED(SOCK_DGRAM, 0, WAY_CALL), .say = say_routed },
	{ "uring-udp-connect", UDP, .reach = uring_connect, .say = uring_send },
	{ "uring-sendmsg", UDP, .say = uring_sendmsg },
	{ "uring-sendmsg-sqpoll", UDP, .say = uring_sendmsg, .how = URING_SQPOLL },
	{ "udplite-connect", LITE, .families = IP_FAMILIES, .reach = reach, .say = say_datagram },
	/* Each send() of an IPv6 socket that is connected to an IPv4 address is one with an address. */
	{ "udplite-mapped", LITE, .families = FAMILY_MAPPED, .flags = WAY_CALL, .reach = reach, .say = say_datagram },
	{ "udplite-sendto", LITE, .families = ALL_FAMILIES, .flags = WAY_CALL, .say = say_sendto },
	{ "udplite-routed", ROUTED(SOCK_DGRAM, IPPROTO_UDPLITE, WAY_BYPASS), .reach = reach_routed,
	  .say = say_datagram },
	{ "ping", PING },
	{ "ping-connect", PING, .flags = WAY_CALL, .reach = reach },
	{ "raw-udp", RAW },
	{ "raw-syn", RAW, .how = RAW_SYN },
	{ "hdrincl-udp", RAW, .how = RAW_HDRINCL },
	{ "hdrincl-syn", RAW, .how = RAW_HDRINCL | RAW_SYN },
	{ "packet-udp", PACKET },
	{ "packet-syn", PACKET, .how = RAW_SYN },
	{ "packet-cooked-udp", PACKET, .how = RAW_COOKED },
	{ "packet-cooked-syn", PACKET, .how = RAW_COOKED | RAW_SYN },
	{ "packet-vlan-udp", PACKET, .how = RAW_VLAN },
	{ "packet-vlan-syn", PACKET, .how = RAW_VLAN | RAW_SYN },
	{ "packet-qinq-udp", PACKET, .how = RAW_QINQ },
	{ "packet-lie-udp", PACKET, .how = RAW_LIE },
	{ "packet-lie-syn", PACKET, .how = RAW_LIE | RAW_SYN },
	{ "packet-ring-udp", PACKET, .how = RAW_RING },
	{ "packet-bypass-udp", BYPASS, .how = RAW_BYPASS },
	{ "packet-bypass-syn", BYPASS, .how = RAW_BYPASS | RAW_SYN },
};

const size_t n_ways = sizeof(ways) / sizeof(*ways);
