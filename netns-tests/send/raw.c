// SPDX-License-Identifier: GPL-2.0
/* Packets whose headers we write: raw sockets and packet sockets, a datagram or a SYN. */
#include "send.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/mman.h>

#define FRAME_MOST  2048
#define RING_FRAMES 2

static bool is_syn(const struct job *job)
{
	return job->way->how & RAW_SYN;
}

static uint8_t protocol_of(const struct job *job)
{
	return is_syn(job) ? IPPROTO_TCP : IPPROTO_UDP;
}

static uint16_t port_of(const struct job *job)
{
	return job->family == FAMILY_4 ? job->to.in.sin_port : job->to.in6.sin6_port;
}

static const void *address_of(const struct job *job, const union address *a)
{
	return job->family == FAMILY_4 ? (const void *)&a->in.sin_addr : &a->in6.sin6_addr;
}

static uint32_t sum(const void *data, size_t n, uint32_t before)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < n; i++)
		before += i % 2 ? byte[i] : byte[i] << 8;
	return before;
}

static uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* The transport header and what it carries. */
static size_t build_transport(const struct job *job, uint8_t *out)
{
	size_t n_address = job->family == FAMILY_4 ? 4 : 16, n;
	uint32_t addresses;

	if (is_syn(job)) {
		struct tcphdr syn = { .source = job->sport, .dest = port_of(job), .window = htons(1000) };

		syn.doff = 5;
		syn.syn = 1;
		n = sizeof(syn);
		memcpy(out, &syn, n);
	} else {
		struct udphdr udp = { .source = job->sport, .dest = port_of(job) };

		n = sizeof(udp) + strlen(DATAGRAM);
		udp.len = htons(n);
		memcpy(out, &udp, sizeof(udp));
		memcpy(out + sizeof(udp), DATAGRAM, strlen(DATAGRAM));
	}
	addresses = sum(address_of(job, &job->from), n_address, sum(address_of(job, &job->to), n_address, 0));
	*(uint16_t *)(out + (is_syn(job) ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check))) =
		checksum(sum(out, n, addresses + protocol_of(job) + n));
	return n;
}

static size_t build_packet(const struct job *job, uint8_t *out)
{
	if (job->family == FAMILY_4) {
		size_t n = sizeof(struct iphdr) + build_transport(job, out + sizeof(struct iphdr));
		struct iphdr ip = { .ttl = 64,
				    .protocol = protocol_of(job),
				    .tot_len = htons(n),
				    .saddr = job->from.in.sin_addr.s_addr,
				    .daddr = job->to.in.sin_addr.s_addr };

		ip.version = 4;
		ip.ihl = 5;
		ip.check = checksum(sum(&ip, sizeof(ip), 0));
		memcpy(out, &ip, sizeof(ip));
		return n;
	} else {
		size_t n = build_transport(job, out + sizeof(struct ip6_hdr));
		struct ip6_hdr ip = { .ip6_src = job->from.in6.sin6_addr, .ip6_dst = job->to.in6.sin6_addr };

		ip.ip6_flow = htonl(6u << 28);
		ip.ip6_plen = htons(n);
		ip.ip6_nxt = protocol_of(job);
		ip.ip6_hlim = 64;
		memcpy(out, &ip, sizeof(ip));
		return sizeof(ip) + n;
	}
}

static uint8_t *put(uint8_t *out, const void *data, size_t n)
{
	memcpy(out, data, n);
	return out + n;
}

static uint8_t *put16(uint8_t *out, uint16_t number)
{
	return put(out, &(uint16_t){ htons(number) }, sizeof(number));
}

static uint16_t ethertype(const struct job *job)
{
	return job->family == FAMILY_4 ? ETH_P_IP : ETH_P_IPV6;
}

/* Tags are of VLAN 0, a priority and no network: who has no VLANs takes them, too. */
static size_t build_frame(const struct job *job, uint8_t *out)
{
	uint8_t *at = out;

	if (!(job->way->how & RAW_COOKED)) {
		at = put(at, job->mac, sizeof(job->mac));
		at = put(at, job->own_mac, sizeof(job->own_mac));
		if (job->way->how & RAW_QINQ)
			at = put16(put16(at, ETH_P_8021AD), 0);
		if (job->way->how & (RAW_VLAN | RAW_QINQ))
			at = put16(put16(at, ETH_P_8021Q), 0);
		at = put16(at, ethertype(job));
	}
	return at + build_packet(job, at) - out;
}

/* ---- sockets ---- */

static int open_socket(struct job *job, int family, int type, int protocol)
{
	job->fd = socket(family, type | SOCK_CLOEXEC, protocol);
	return job->fd < 0 ? -errno : 0;
}

int raw_open(struct job *job)
{
	int family = job->family == FAMILY_4 ? AF_INET : AF_INET6;

	/* IPPROTO_RAW: with a header of IP. */
	return open_socket(job, family, SOCK_RAW, job->way->how & RAW_HDRINCL ? IPPROTO_RAW : protocol_of(job));
}

int packet_open(struct job *job)
{
	int type = job->way->how & RAW_COOKED ? SOCK_DGRAM : SOCK_RAW;
	/* Protocol 0: hears nothing. */
	int r = open_socket(job, AF_PACKET, type, 0);

	if (!r && job->way->how & RAW_BYPASS)
		r = setsockopt(job->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &(int){ 1 }, sizeof(int)) ? -errno : 0;
	return r;
}

/* Holds a port. A datagram's answer comes to that socket; that to a SYN is heard by a raw one beside it. */
int raw_listen(struct job *job)
{
	int family = job->family == FAMILY_4 ? AF_INET : AF_INET6;
	int holder = socket(family, (is_syn(job) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	union address bound = job->from;
	socklen_t length = sizeof(bound);

	if (holder < 0 || bind(holder, &bound.sa, job->to_len) || getsockname(holder, &bound.sa, &length))
		return -errno;
	job->sport = family == AF_INET ? bound.in.sin_port : bound.in6.sin6_port;
	job->answers = is_syn(job) ? socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP) : holder;
	return job->answers < 0 ? -errno : 0;
}

/* Only what the endpoint itself says to a SYN: a reset may be a guard's. */
bool raw_is_answer(const struct job *job, const uint8_t *data, size_t n)
{
	struct tcphdr tcp;
	/* A raw socket of IPv4 hears the header of IP, one of IPv6 does not. */
	size_t ip = job->family == FAMILY_4 && n ? (data[0] & 15) * 4u : 0;

	if (!is_syn(job))
		return true;
	if (n < ip + sizeof(tcp))
		return false;
	memcpy(&tcp, data + ip, sizeof(tcp));
	return tcp.source == port_of(job) && tcp.dest == job->sport && tcp.syn && tcp.ack;
}

/* ---- send ---- */

int raw_say(struct job *job)
{
	uint8_t packet[FRAME_MOST];
	union address to = job->to;
	size_t n = job->way->how & RAW_HDRINCL ? build_packet(job, packet) : build_transport(job, packet);

	/* The port of a raw socket is its protocol, or nothing. */
	if (job->family == FAMILY_4)
		to.in.sin_port = 0;
	else
		to.in6.sin6_port = 0;
	return sendto(job->fd, packet, n, 0, &to.sa, job->to_len) < 0 ? -errno : 0;
}

static struct tpacket2_hdr *make_ring(int fd)
{
	struct tpacket_req ring = { .tp_block_size = RING_FRAMES * FRAME_MOST,
				    .tp_block_nr = 1,
				    .tp_frame_size = FRAME_MOST,
				    .tp_frame_nr = RING_FRAMES };
	void *at;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &(int){ TPACKET_V2 }, sizeof(int)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)))
		return NULL;
	at = mmap(NULL, ring.tp_block_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* A process sends by one ring, and comes back to each of its frames in turn. */
static int say_by_ring(const struct job *job, const struct sockaddr_ll *to, const uint8_t *frame, size_t n)
{
	static struct tpacket2_hdr *ring;
	static unsigned int next;
	struct tpacket2_hdr *header;

	if (!ring)
		ring = make_ring(job->fd);
	if (!ring)
		return -errno;
	header = (void *)((uint8_t *)ring + next++ % RING_FRAMES * FRAME_MOST);
	memcpy((uint8_t *)header + TPACKET2_HDRLEN - sizeof(*to), frame, n);
	header->tp_len = n;
	__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	return sendto(job->fd, NULL, 0, 0, (const struct sockaddr *)to, sizeof(*to)) < 0 ? -errno : 0;
}

int packet_say(struct job *job)
{
	uint8_t frame[FRAME_MOST];
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(job->way->how & RAW_LIE ? ETH_P_LOOP : ethertype(job)),
				  .sll_ifindex = if_nametoindex(job->device),
				  .sll_halen = sizeof(job->mac) };
	size_t n = build_frame(job, frame);

	memcpy(to.sll_addr, job->mac, sizeof(job->mac));
	if (job->way->how & RAW_RING)
		return say_by_ring(job, &to, frame, n);
	return sendto(job->fd, frame, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
