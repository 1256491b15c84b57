// SPDX-License-Identifier: GPL-2.0
/* The packet of a `test` block as bytes on the wire, with right lengths and checksums. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

#define FRAME_MAX 65600

struct writer {
	uint8_t *bytes;
	size_t n;
};

static void put8(struct writer *w, uint8_t value)
{
	w->bytes[w->n++] = value;
}

static void put16(struct writer *w, uint16_t value)
{
	put8(w, value >> 8);
	put8(w, value);
}

static void put32(struct writer *w, uint32_t value)
{
	put16(w, value >> 16);
	put16(w, value);
}

static void set16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* RFC 1071, over bytes that go on from a partial sum */
static uint32_t sum_add(uint32_t sum, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put_mac(struct writer *w, const struct value *mac, uint8_t made_up)
{
	static const struct value none;

	if (!memcmp(mac, &none, sizeof(none))) {
		put32(w, 0x02000000);
		put16(w, made_up);
	} else {
		put32(w, mac->w[0]);
		put16(w, mac->w[1]);
	}
}

static uint8_t packet_proto(const struct test_packet *p)
{
	switch (p->kind) {
	case PACKET_TCP:
		return 6;
	case PACKET_UDP:
		return 17;
	case PACKET_SCTP:
		return 132;
	case PACKET_ICMP:
		return 1;
	case PACKET_ICMPV6:
		return 58;
	default:
		return p->proto;
	}
}

/* The transport header; returns the offset of its checksum field, or 0 where it has none. */
static size_t put_transport(struct writer *w, const struct test_packet *p)
{
	size_t start = w->n;

	switch (p->kind) {
	case PACKET_TCP:
		put16(w, p->sport);
		put16(w, p->dport);
		put32(w, 1);
		put32(w, 0);
		put8(w, 5 << 4);
		put8(w, p->tcp_flags);
		put16(w, 65535);
		put32(w, 0);
		return start + 16;
	case PACKET_UDP:
		put16(w, p->sport);
		put16(w, p->dport);
		put32(w, 0);
		return start + 6;
	case PACKET_SCTP:
		put16(w, p->sport);
		put16(w, p->dport);
		put32(w, 0);
		put32(w, 0);
		return 0;
	case PACKET_ICMP:
	case PACKET_ICMPV6:
		put8(w, p->icmp_type);
		put8(w, p->icmp_code);
		put16(w, 0);
		put32(w, 0);
		return start + 2;
	default:
		return 0;
	}
}

static uint32_t pseudo_header(const struct test_packet *p, size_t length)
{
	uint32_t sum = packet_proto(p) + length;

	for (int i = 0; i < (p->family == 6 ? 4 : 1); i++) {
		sum += (p->saddr.w[i] >> 16) + (p->saddr.w[i] & 0xffff);
		sum += (p->daddr.w[i] >> 16) + (p->daddr.w[i] & 0xffff);
	}
	return sum;
}

static void put_ip(struct writer *w, const struct test_packet *p)
{
	size_t l3 = w->n, l4, sum_at, least;
	bool frag6 = p->family == 6 && p->frag_off;

	if (p->family == 6) {
		put32(w, 6u << 28 | (uint32_t)p->dscp << 22);
		put16(w, 0);
		put8(w, frag6 ? 44 : packet_proto(p));
		put8(w, p->ttl);
		for (int i = 0; i < 4; i++)
			put32(w, p->saddr.w[i]);
		for (int i = 0; i < 4; i++)
			put32(w, p->daddr.w[i]);
		if (frag6) {
			put8(w, packet_proto(p));
			put8(w, 0);
			put16(w, (uint16_t)(p->frag_off << 3) | (p->frag_off >> 13 & 1));
			put32(w, 1);
		}
	} else {
		put8(w, 0x45);
		put8(w, p->dscp << 2);
		put16(w, 0);
		put16(w, 1);
		put16(w, p->frag_off);
		put8(w, p->ttl);
		put8(w, packet_proto(p));
		put16(w, 0);
		put32(w, p->saddr.w[0]);
		put32(w, p->daddr.w[0]);
	}
	l4 = w->n;
	sum_at = put_transport(w, p);
	least = l3 + p->length;
	if (least > FRAME_MAX)
		least = FRAME_MAX;
	while (w->n < least)
		put8(w, 0);
	if (p->kind == PACKET_UDP)
		set16(w->bytes + l4 + 4, w->n - l4);
	if (sum_at) {
		uint32_t sum = p->kind == PACKET_ICMP ? 0 : pseudo_header(p, w->n - l4);
		uint16_t folded = ~sum_add(sum, w->bytes + l4, w->n - l4);

		set16(w->bytes + sum_at, folded ? folded : 0xffff);
	}
	if (p->family == 6) {
		set16(w->bytes + l3 + 4, w->n - l3 - 40);
	} else {
		set16(w->bytes + l3 + 2, w->n - l3);
		set16(w->bytes + l3 + 10, ~sum_add(0, w->bytes + l3, 20));
	}
}

int frame_build(uint8_t **ret, size_t *ret_length, const struct test_packet *p, bool raw_ip)
{
	struct writer w = { .bytes = calloc(1, FRAME_MAX + 256) };
	uint16_t type = p->ether_type;

	if (!w.bytes)
		return -ENOMEM;
	if (p->kind == PACKET_HEX) {
		memcpy(w.bytes, p->hex, p->n_hex < FRAME_MAX ? p->n_hex : FRAME_MAX);
		w.n = p->n_hex < FRAME_MAX ? p->n_hex : FRAME_MAX;
		goto done;
	}
	if (p->kind == PACKET_ARP)
		type = 0x0806;
	else if (p->kind != PACKET_ETHER)
		type = p->family == 6 ? 0x86dd : 0x0800;
	if (!raw_ip) {
		put_mac(&w, &p->dmac, 1);
		put_mac(&w, &p->smac, 2);
		if (p->vlan >= 0 && p->vlan_inner >= 0) {
			put16(&w, 0x88a8);
			put16(&w, p->vlan);
			put16(&w, 0x8100);
			put16(&w, p->vlan_inner);
		} else if (p->vlan >= 0) {
			put16(&w, 0x8100);
			put16(&w, p->vlan);
		}
		put16(&w, type);
	}
	if (p->kind == PACKET_ARP) {
		put32(&w, 0x00010800);
		put32(&w, 0x06040001);
		w.n += 20; /* a request from nobody for nobody */
	} else if (p->kind == PACKET_ETHER) {
		w.n += 46;
	} else {
		put_ip(&w, p);
	}
done:
	*ret = w.bytes;
	*ret_length = w.n;
	return 0;
}
