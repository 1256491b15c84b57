// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "answer_packet.h"
#include "bytes.h"

void packet_make(struct packet *ret, const struct frame_spec *spec, bool raw)
{
	static struct frame f;
	size_t off;

	frame_make(&f, spec);
	off = raw ? f.l3 : 0;
	ret->length = f.length - off;
	ret->ip = f.l3 - off;
	ret->l4 = f.l4 - off;
	memcpy(ret->bytes, f.bytes + off, ret->length);
}

uint8_t *packet_answer(struct packet *ret, const struct packet *p, unsigned int proto, unsigned int tos, size_t payload)
{
	const uint8_t *from = p->bytes + p->ip;
	bool ipv6 = *from >> 4 == 6;
	uint8_t *ip = ret->bytes + p->ip;

	memset(ret, 0, sizeof(*ret));
	ret->ip = p->ip;
	ret->l4 = p->ip + (ipv6 ? 40 : 20);
	ret->length = ret->l4 + payload;
	if (p->ip) {
		const uint8_t *link = p->bytes;

		memcpy(ret->bytes, link + 6, 6);
		memcpy(ret->bytes + 6, link, 6);
		memcpy(ret->bytes + 12, link + 12, p->ip - 12);
	}
	if (ipv6) {
		ip[0] = 0x60;
		set_half(ip + 4, payload);
		ip[6] = proto;
		ip[7] = 64;
		memcpy(ip + 8, from + 24, 16);
		memcpy(ip + 24, from + 8, 16);
	} else {
		ip[0] = 0x45;
		ip[1] = tos;
		set_half(ip + 2, 20 + payload);
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, from + 16, 4);
		memcpy(ip + 16, from + 12, 4);
		set_half(ip + 10, ~add_up(0, ip, 20));
	}
	return ret->bytes + ret->l4;
}

void packet_show(const char *what, const struct packet *p)
{
	printf("  %s %zu:", what, p->length);
	for (size_t i = 0; i < p->length && i < 140; i++)
		printf("%s%02x", i % 4 ? "" : " ", p->bytes[i]);
	printf("\n");
}
