// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "frame.h"

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMPV6 = 58, PROTO_SCTP = 132 };

static const uint8_t default_mac[2][6] = { { 0x02, 0, 0, 0, 0, 1 }, { 0x02, 0, 0, 0, 0, 2 } };
static const uint8_t default_ipv4[2][4] = { { 192, 0, 2, 1 }, { 198, 51, 100, 1 } };
static const uint8_t default_ipv6[2][16] = { { 0x20, 1, 0x0d, 0xb8, [15] = 1 }, { 0x20, 1, 0x0d, 0xb8, [15] = 2 } };

static const uint8_t ext_number[EXT_MAX] = {
	[EXT_HOP] = 0,   [EXT_ROUTING] = 43, [EXT_DESTINATION] = 60, [EXT_MOBILITY] = 135,
	[EXT_HIP] = 139, [EXT_SHIM6] = 140,  [EXT_AH] = 51,          [EXT_FRAGMENT] = 44,
};

static void put(struct frame *f, const void *bytes, size_t n)
{
	if (f->length + n > FRAME_MOST)
		abort();
	memcpy(f->bytes + f->length, bytes, n);
	f->length += n;
}

static void put_fill(struct frame *f, uint8_t byte, size_t n)
{
	if (f->length + n > FRAME_MOST)
		abort();
	memset(f->bytes + f->length, byte, n);
	f->length += n;
}

static void put_half(struct frame *f, unsigned int value)
{
	put(f, (uint8_t[]){ value >> 8, value }, 2);
}

static void put_word(struct frame *f, uint32_t value)
{
	put_half(f, value >> 16);
	put_half(f, value & 0xffff);
}

static void put_link(struct frame *f, const struct frame_spec *s)
{
	unsigned int etype = s->etype;

	if (!etype)
		etype = s->family == 6 ? 0x86dd : 0x0800;
	put(f, s->dmac ? s->dmac : default_mac[1], 6);
	put(f, s->smac ? s->smac : default_mac[0], 6);
	for (unsigned int i = 0; i < FRAME_TAGS && s->tag[i].type; i++) {
		put_half(f, s->tag[i].type);
		put_half(f, s->tag[i].tci);
	}
	put_half(f, etype);
}

static unsigned int transport_number(const struct frame_spec *s)
{
	return s->proto == 0 ? PROTO_TCP : s->proto < 0 ? 0 : s->proto;
}

static unsigned int next_number(const struct frame_spec *s, unsigned int ext)
{
	return ext < FRAME_EXTS && s->ext[ext].type ? ext_number[s->ext[ext].type] : transport_number(s);
}

static void put_ipv4(struct frame *f, const struct frame_spec *s)
{
	put(f, (uint8_t[]){ 0x45 + s->options, s->tos, 0, 0 }, 4);
	put_half(f, s->id ? s->id & 0xffff : 0x1234);
	put_half(f, s->frag_offset | s->more << 13 | s->dont << 14);
	put(f, (uint8_t[]){ s->ttl ? s->ttl : 64, next_number(s, 0), 0, 0 }, 4);
	put(f, s->saddr ? s->saddr : default_ipv4[0], 4);
	put(f, s->daddr ? s->daddr : default_ipv4[1], 4);
	put_fill(f, 1, s->options * 4); /* no operation */
}

static void put_ipv6(struct frame *f, const struct frame_spec *s)
{
	put(f, (uint8_t[]){ 0x60 | s->tos >> 4, s->tos << 4, 0, 0, 0, 0 }, 6);
	put(f, (uint8_t[]){ next_number(s, 0), s->ttl ? s->ttl : 64 }, 2);
	put(f, s->saddr ? s->saddr : default_ipv6[0], 16);
	put(f, s->daddr ? s->daddr : default_ipv6[1], 16);
}

static void put_extensions(struct frame *f, const struct frame_spec *s)
{
	for (unsigned int i = 0; i < FRAME_EXTS && s->ext[i].type; i++) {
		const struct frame_exthdr *e = &s->ext[i];
		uint8_t next = next_number(s, i + 1);

		if (e->type == EXT_FRAGMENT) {
			put(f, (uint8_t[]){ next, e->reserved }, 2);
			put_half(f, e->frag);
			put_half(f, s->id >> 16);
			put_half(f, s->id ? s->id & 0xffff : 0x5678);
		} else {
			put(f, (uint8_t[]){ next, e->length }, 2);
			put_fill(f, 0, e->type == EXT_AH ? (e->length + 2) * 4 - 2 : (e->length + 1) * 8 - 2);
		}
	}
}

static void put_tcp(struct frame *f, const struct frame_spec *s)
{
	size_t options = f->length + 20;

	put_half(f, s->sport ? s->sport : 40000);
	put_half(f, s->dport);
	put_word(f, s->seq);
	put_word(f, s->ack);
	put(f, (uint8_t[]){ (5 + s->tcp_options) << 4, s->flags ? s->flags : 2 }, 2);
	put_half(f, s->window < 0 ? 0 : s->window ? s->window : 65535);
	put_fill(f, 0, 4);
	put_fill(f, 1, s->tcp_options * 4);
	if (s->n_tcp_bytes)
		memcpy(f->bytes + options, s->tcp_bytes, s->n_tcp_bytes);
}

static void put_transport(struct frame *f, const struct frame_spec *s)
{
	unsigned int proto = transport_number(s), sport = s->sport ? s->sport : 40000;

	switch (proto) {
	case PROTO_TCP:
		put_tcp(f, s);
		break;
	case PROTO_UDP:
		put_half(f, sport);
		put_half(f, s->dport);
		put_half(f, 8 + s->n_data + s->payload);
		put_half(f, 0);
		break;
	case PROTO_SCTP:
		put_half(f, sport);
		put_half(f, s->dport);
		put_fill(f, 0, 8);
		break;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		put(f, (uint8_t[]){ s->type, s->code, 0, 0 }, 4);
		put_half(f, s->ident ? s->ident : 1);
		put_half(f, 2);
		break;
	default: /* nothing that weir looks into */
		break;
	}
}

static void set_lengths(struct frame *f, const struct frame_spec *s)
{
	if (s->family == 6)
		set_half(f->bytes + f->l3 + 4, f->length - f->l3 - 40);
	else
		set_half(f->bytes + f->l3 + 2, f->length - f->l3);
}

static void set_ipv4_checksum(struct frame *f)
{
	uint8_t *ip = f->bytes + f->l3;

	set_half(ip + 10, ~add_up(0, ip, (*ip & 15) * 4));
}

static void poke(struct frame *f, const struct frame_poke *p)
{
	size_t at = p->at;

	if (p->from == L3)
		at += f->l3;
	else if (p->from == EXT)
		at += f->ext;
	else if (p->from == L4)
		at += f->l4;
	if (at + p->bytes > f->length)
		return; /* cut off already */
	if (p->bytes == 2)
		set_half(f->bytes + at, p->value);
	else
		f->bytes[at] = p->value;
}

void frame_make(struct frame *ret, const struct frame_spec *spec)
{
	struct frame *f = ret;

	f->length = 0;
	put_link(f, spec);
	f->l3 = f->ext = f->l4 = f->length;
	if (spec->family >= 0) {
		if (spec->family == 6)
			put_ipv6(f, spec);
		else
			put_ipv4(f, spec);
		f->ext = f->length;
		put_extensions(f, spec);
		f->l4 = f->length;
		put_transport(f, spec);
	}
	if (spec->n_data)
		put(f, spec->data, spec->n_data);
	put_fill(f, 0xa5, spec->payload);
	f->length -= spec->short_by < f->length - f->l3 ? spec->short_by : f->length - f->l3;
	if (spec->family >= 0 && f->length >= f->l3 + (spec->family == 6 ? 40 : 20)) {
		set_lengths(f, spec);
		if (spec->family != 6 && f->length >= f->l3 + 20 + 4 * spec->options)
			set_ipv4_checksum(f);
	}
	put_fill(f, 0, spec->pad);
	for (unsigned int i = 0; i < FRAME_POKES && spec->pokes[i].from; i++)
		poke(f, &spec->pokes[i]);
	f->length -= spec->cut_by < f->length ? spec->cut_by : f->length;
	if (spec->cut_to && spec->cut_to < f->length)
		f->length = spec->cut_to;
	f->wire_length = f->length + spec->beyond;
}

void frame_hex(const struct frame *frame, char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (size_t i = 0; i < frame->length && at + 4 < size; i++)
		at += snprintf(text + at, size - at, "%02x", frame->bytes[i]);
}
