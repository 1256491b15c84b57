// SPDX-License-Identifier: GPL-2.0
#include "model_packet.h"

#define MOST_EXTENSIONS 8

unsigned int byte_at(const struct packet *p, size_t at)
{
	return at < p->frame->length ? p->frame->bytes[at] : 0;
}

unsigned int half_at(const struct packet *p, size_t at)
{
	return byte_at(p, at) << 8 | byte_at(p, at + 1);
}

uint32_t word_at(const struct packet *p, size_t at)
{
	return (uint32_t)half_at(p, at) << 16 | half_at(p, at + 2);
}

bool ends_before(const struct packet *p, size_t at)
{
	return p->frame->length < at;
}

/* Each reader returns REASON_RULE for "well-formed so far" or the reason why the packet is malformed. */
#define FINE REASON_RULE

static enum reason read_link(struct packet *p)
{
	if (ends_before(p, 14))
		return REASON_TRUNCATED;
	p->etype = half_at(p, 12);
	p->l3 = 14;
	while (p->etype == 0x8100 || p->etype == 0x88a8) {
		if (ends_before(p, p->l3 + 4))
			return REASON_TRUNCATED;
		if (p->n_tags == MODEL_TAGS)
			return REASON_TOO_MANY_TAGS;
		p->tag[p->n_tags++] = half_at(p, p->l3);
		p->etype = half_at(p, p->l3 + 2);
		p->l3 += 4;
	}
	return FINE;
}

static bool is_extension(const struct packet *p, unsigned int proto)
{
	if (p->family == 4)
		return proto == PROTO_AH;
	switch (proto) {
	case 0:   /* hop-by-hop */
	case 43:  /* routing */
	case 44:  /* fragment */
	case 51:  /* authentication */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* host identity */
	case 140: /* shim6 */
		return true;
	default:
		return false;
	}
}

/* Walks from header to header, the first of which starts at `at`, to the transport protocol. */
static enum reason read_chain(struct packet *p, unsigned int proto, size_t at)
{
	unsigned int n = 0;

	while (is_extension(p, proto)) {
		size_t length;

		if (n++ == MOST_EXTENSIONS)
			return REASON_CHAIN_LENGTH;
		if (at + 8 > p->end)
			return REASON_CHAIN_END;
		if (ends_before(p, at + 8))
			return REASON_TRUNCATED;
		if (proto == 44)
			length = 8;
		else if (proto == PROTO_AH)
			length = (byte_at(p, at + 1) + 2) * 4;
		else
			length = (byte_at(p, at + 1) + 1) * 8;
		if (at + length > p->end)
			return REASON_CHAIN_END;
		p->has_extensions = p->family == 6;
		if (proto == 44) {
			p->has_fragment_header = true;
			p->fragment.offset = half_at(p, at + 2) >> 3;
			p->fragment.more = half_at(p, at + 2) & 1;
			if (p->fragment.any)
				p->fragment.nested = true;
			if (!p->fragment.any && (p->fragment.offset || p->fragment.more)) {
				p->fragment.any = true;
				p->fragment.id = word_at(p, at + 4);
				p->fragment.data = at + 8;
			}
			if (p->fragment.offset) {
				p->fragment.later = true;
				p->proto = byte_at(p, at);
				return FINE;
			}
		}
		proto = byte_at(p, at);
		at += length;
	}
	p->proto = proto;
	p->l4 = at;
	return FINE;
}

static enum reason read_ipv4(struct packet *p)
{
	size_t in_frame = p->frame->wire_length - p->l3, header, total;
	unsigned int fragment_word;

	if (ends_before(p, p->l3 + 20))
		return REASON_TRUNCATED;
	p->family = 4;
	if (byte_at(p, p->l3) >> 4 != 4)
		return REASON_BAD_VERSION;
	header = (byte_at(p, p->l3) & 15) * 4;
	if (header < 20 || header > in_frame)
		return REASON_BAD_IHL;
	total = half_at(p, p->l3 + 2);
	if (total == 0 && in_frame > 65535)
		total = in_frame; /* BIG TCP */
	if (total < header || total > in_frame)
		return REASON_BAD_LENGTH;
	p->end = p->l3 + total;
	p->has_options = header > 20;

	fragment_word = half_at(p, p->l3 + 6);
	p->fragment.offset = fragment_word & 0x1fff;
	p->fragment.more = !!(fragment_word & 0x2000);
	p->fragment.any = p->fragment.offset || p->fragment.more;
	p->fragment.later = p->fragment.offset;
	p->fragment.id = half_at(p, p->l3 + 4);
	p->fragment.data = p->l3 + header;
	if (p->fragment.offset == 1)
		return REASON_FRAGMENT_OFFSET;
	p->proto = byte_at(p, p->l3 + 9);
	if (p->fragment.later)
		return FINE;
	return read_chain(p, p->proto, p->l3 + header);
}

static enum reason read_ipv6(struct packet *p)
{
	size_t in_frame = p->frame->wire_length - p->l3, payload;

	if (ends_before(p, p->l3 + 40))
		return REASON_TRUNCATED;
	p->family = 6;
	if (byte_at(p, p->l3) >> 4 != 6)
		return REASON_BAD_VERSION;
	payload = half_at(p, p->l3 + 4);
	if (payload == 0 && in_frame - 40 > 65535)
		payload = in_frame - 40; /* BIG TCP */
	if (payload > in_frame - 40)
		return REASON_BAD_LENGTH;
	p->end = p->l3 + 40 + payload;
	return read_chain(p, byte_at(p, p->l3 + 6), p->l3 + 40);
}

static enum reason read_transport(struct packet *p)
{
	enum reason too_short = p->fragment.any ? REASON_TINY_FRAGMENT : REASON_TRUNCATED;
	size_t left = p->end - p->l4, least, data_offset;

	switch (p->proto) {
	case PROTO_TCP:
		least = 20;
		break;
	case PROTO_SCTP:
		least = 12;
		break;
	case PROTO_UDP:
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		least = 8;
		break;
	default:
		return FINE;
	}
	if (left < least)
		return too_short;
	if (ends_before(p, p->l4 + (p->proto == PROTO_TCP ? 20 : 8)))
		return too_short;
	if (p->proto == PROTO_TCP) {
		data_offset = (byte_at(p, p->l4 + 12) >> 4) * 4;
		if (data_offset < 20)
			return REASON_BAD_DOFF;
		if (data_offset > left)
			return p->fragment.any ? REASON_TINY_FRAGMENT : REASON_BAD_DOFF;
	}
	p->has_transport = true;
	return FINE;
}

enum reason read_packet(struct packet *p)
{
	enum reason reason = read_link(p);

	if (reason != FINE)
		return reason;
	if (p->etype == 0x0800)
		reason = read_ipv4(p);
	else if (p->etype == 0x86dd)
		reason = read_ipv6(p);
	else
		return FINE;
	if (reason != FINE || p->fragment.later)
		return reason;
	return read_transport(p);
}
