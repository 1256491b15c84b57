// SPDX-License-Identifier: GPL-2.0
/* `test "text" { packet ...; expect ... }` */
#include <string.h>

#include "parse.h"
#include "suggest.h"
#include "words.h"

static bool parse_number(struct parser *p, uint32_t most, uint32_t *ret, const char *what)
{
	uint32_t number;

	if (p->tok.kind != T_WORD || !value_number(p->tok.text, p->tok.length, &number) || number > most) {
		parser_expected(p, what);
		diag_hint(p->l->diag, "the largest is %u", most);
		return false;
	}
	*ret = number;
	parser_next(p);
	return true;
}

/* A number or one of the type's names. */
static bool parse_named(struct parser *p, enum value_type type, uint32_t *ret)
{
	struct want want = want_set(type);
	struct raw_part part = { .text = p->tok.text, .length = (uint32_t)p->tok.length, .loc = p->tok.loc };
	struct range r;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a value");
	if (!value_read(p->l, &want, &part, &r))
		return false;
	if (value_compare(&r.lo, &r.hi)) {
		diag_error(p->l->diag, p->tok.loc, "one single value is wanted here");
		return false;
	}
	*ret = r.lo.w[0];
	parser_next(p);
	return true;
}

static bool parse_mac(struct parser *p, struct value *ret)
{
	if (p->tok.kind != T_WORD || !value_mac(p->tok.text, p->tok.length, ret))
		return parser_expected(p, "a MAC address");
	parser_next(p);
	return true;
}

/* 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80 */
static bool parse_end(struct parser *p, bool with_port, struct value *ret, uint8_t *family, uint16_t *ret_port)
{
	const char *text = p->tok.text, *colon;
	size_t length = p->tok.length, address_length = length;
	const char *what = with_port ? "ADDRESS:PORT, or [ADDRESS]:PORT for IPv6" : "an address";
	uint8_t this_family;
	uint32_t port;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, what);
	if (with_port) {
		colon = memrchr(text, ':', length);
		if (!colon || !value_number(colon + 1, length - (size_t)(colon - text) - 1, &port) || port > 65535)
			return parser_expected(p, what);
		*ret_port = (uint16_t)port;
		address_length = (size_t)(colon - text);
		if (address_length && text[0] == '[') {
			if (text[address_length - 1] != ']')
				return parser_expected(p, what);
			text++;
			address_length -= 2;
		} else if (memchr(text, ':', address_length)) {
			return parser_expected(p, what);
		}
	}
	if (!value_address(text, address_length, ret, &this_family))
		return parser_expected(p, what);
	if (*family && *family != this_family) {
		diag_error(p->l->diag, p->tok.loc, "an IPv%u address, where IPv%u is wanted", this_family, *family);
		return false;
	}
	*family = this_family;
	parser_next(p);
	return true;
}

static bool parse_ends(struct parser *p, struct test_packet *packet, bool with_port, uint8_t family)
{
	packet->family = family;
	return parse_end(p, with_port, &packet->saddr, &packet->family, &packet->sport) &&
	       parser_expect(p, T_GT, "'>' between source and destination") &&
	       parse_end(p, with_port, &packet->daddr, &packet->family, &packet->dport);
}

static bool parse_hex(struct parser *p, struct test_packet *packet)
{
	struct token token = p->tok;
	size_t digits = 0;

	if (!parser_expect(p, T_STRING, "the frame's bytes in double quotes"))
		return false;
	packet->hex = arena_alloc(p->l->arena, token.length / 2 + 1);
	for (size_t i = 0; i < token.length; i++) {
		char c = token.text[i], lower = c | 0x20;
		unsigned int digit;

		if (c == ' ' || c == '\t' || c == ':')
			continue;
		if (c >= '0' && c <= '9') {
			digit = (unsigned int)(c - '0');
		} else if (lower >= 'a' && lower <= 'f') {
			digit = (unsigned int)(lower - 'a' + 10);
		} else {
			diag_error(p->l->diag, token.loc, "'%c' is not a hex digit", c);
			return false;
		}
		packet->hex[digits / 2] = (uint8_t)(packet->hex[digits / 2] << 4 | digit);
		digits++;
	}
	if (!digits || digits % 2) {
		diag_error(p->l->diag, token.loc, digits ? "half a byte at the end" : "a frame without bytes");
		return false;
	}
	packet->n_hex = digits / 2;
	return true;
}

static bool parse_kind(struct parser *p, struct test_packet *packet)
{
	uint32_t number;

	if (parser_accept_word(p, "tcp")) {
		packet->kind = PACKET_TCP;
		packet->proto = 6;
		return parse_ends(p, packet, true, 0);
	}
	if (parser_accept_word(p, "udp")) {
		packet->kind = PACKET_UDP;
		packet->proto = 17;
		return parse_ends(p, packet, true, 0);
	}
	if (parser_accept_word(p, "sctp")) {
		packet->kind = PACKET_SCTP;
		packet->proto = 132;
		return parse_ends(p, packet, true, 0);
	}
	if (token_is(&p->tok, "icmp") || token_is(&p->tok, "icmpv6")) {
		bool v6 = token_is(&p->tok, "icmpv6");

		packet->kind = v6 ? PACKET_ICMPV6 : PACKET_ICMP;
		packet->proto = v6 ? 58 : 1;
		packet->icmp_type = v6 ? 128 : 8;
		parser_next(p);
		if (!parse_ends(p, packet, false, v6 ? 6 : 4))
			return false;
		if (!parser_accept_word(p, "type"))
			return parser_expected(p, "'type' behind the addresses");
		if (!parse_named(p, v6 ? TYPE_ICMPV6 : TYPE_ICMP, &number))
			return false;
		packet->icmp_type = (uint8_t)number;
		return true;
	}
	if (parser_accept_word(p, "proto")) {
		packet->kind = PACKET_PROTO;
		if (!parse_named(p, TYPE_PROTO, &number))
			return false;
		packet->proto = (uint8_t)number;
		return parse_ends(p, packet, false, 0);
	}
	if (parser_accept_word(p, "arp")) {
		packet->kind = PACKET_ARP;
		packet->ether_type = 0x0806;
		return true;
	}
	if (parser_accept_word(p, "ether")) {
		packet->kind = PACKET_ETHER;
		if (!parser_accept_word(p, "type"))
			return parser_expected(p, "'type' behind 'ether'");
		if (!parse_named(p, TYPE_ETYPE, &number))
			return false;
		packet->ether_type = (uint16_t)number;
		return true;
	}
	if (parser_accept_word(p, "hex")) {
		packet->kind = PACKET_HEX;
		return parse_hex(p, packet);
	}
	return parser_expected(p, "tcp, udp, sctp, icmp, icmpv6, proto, arp, ether or hex");
}

static bool parse_packet_flags(struct parser *p, struct test_packet *packet)
{
	uint32_t flags = 0, flag;

	do {
		if (!parse_named(p, TYPE_TCPFLAGS, &flag))
			return false;
		flags |= flag;
	} while (parser_accept(p, T_COMMA) || parser_accept(p, T_OR));
	packet->tcp_flags = (uint8_t)flags;
	return true;
}

/* One option behind the kind of packet. */
static bool parse_option(struct parser *p, struct test_packet *packet)
{
	static const char *const words[] = { "flags", "code",     "ttl",  "dscp",  "length", "vlan", "smac",
					     "dmac",  "frag-off", "mark", "skuid", "iif",    "ct" };
	struct lang *l = p->l;
	struct location loc = p->tok.loc;
	struct suggestion s;
	unsigned int device;
	uint32_t number;

	if (token_is(&p->tok, "flags")) {
		if (packet->kind != PACKET_TCP) {
			diag_error(l->diag, loc, "flags belong to a tcp packet");
			return false;
		}
		parser_next(p);
		return parse_packet_flags(p, packet);
	}
	if (token_is(&p->tok, "code")) {
		if (packet->kind != PACKET_ICMP && packet->kind != PACKET_ICMPV6) {
			diag_error(l->diag, loc, "a code belongs to an icmp or icmpv6 packet");
			return false;
		}
		parser_next(p);
		if (!parse_number(p, 255, &number, "a number behind 'code'"))
			return false;
		packet->icmp_code = (uint8_t)number;
		return true;
	}
	if (parser_accept_word(p, "ttl")) {
		if (!parse_number(p, 255, &number, "a number behind 'ttl'"))
			return false;
		packet->ttl = (uint8_t)number;
		return true;
	}
	if (parser_accept_word(p, "dscp")) {
		if (!parse_named(p, TYPE_DSCP, &number))
			return false;
		packet->dscp = (uint8_t)number;
		return true;
	}
	if (parser_accept_word(p, "length"))
		return parse_number(p, 65535, &packet->length, "a number behind 'length'");
	if (parser_accept_word(p, "vlan")) {
		if (!parse_number(p, 4095, &number, "a number behind 'vlan'"))
			return false;
		packet->vlan = (int)number;
		if (!parser_accept_word(p, "inner"))
			return true;
		if (!parse_number(p, 4095, &number, "a number behind 'inner'"))
			return false;
		packet->vlan_inner = (int)number;
		return true;
	}
	if (parser_accept_word(p, "smac"))
		return parse_mac(p, &packet->smac);
	if (parser_accept_word(p, "dmac"))
		return parse_mac(p, &packet->dmac);
	if (parser_accept_word(p, "frag-off")) {
		if (!parse_number(p, 65535, &number, "a number behind 'frag-off'"))
			return false;
		packet->frag_off = (uint16_t)number;
		return true;
	}
	if (parser_accept_word(p, "mark"))
		return parse_number(p, UINT32_MAX, &packet->mark, "a number behind 'mark'");
	if (parser_accept_word(p, "skuid")) {
		if (!parse_named(p, TYPE_USER, &number))
			return false;
		packet->skuid = number;
		return true;
	}
	if (parser_accept_word(p, "iif")) {
		if (!parse_device(p, &device, &loc))
			return false;
		packet->iif = (int)device;
		return true;
	}
	if (parser_accept_word(p, "ct")) {
		parser_accept_word(p, "state");
		if (!parse_named(p, TYPE_CTSTATE, &number))
			return false;
		packet->ct = (int)number;
		return true;
	}
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "an option of the packet or the end of the line");
	diag_error(l->diag, loc, "'%.*s' is not an option of a packet", (int)(p->tok.length < 64 ? p->tok.length : 64),
		   p->tok.text);
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		suggest_offer(&s, words[i]);
	if (suggest_best(&s))
		diag_hint(l->diag, "did you mean '%s'?", suggest_best(&s));
	else
		diag_hint(
			l->diag,
			"expected flags, code, ttl, dscp, length, vlan, smac, dmac, frag-off, mark, skuid, iif or ct");
	return false;
}

static bool parse_packet(struct parser *p, struct test *test, struct test_entry *entry)
{
	struct test_packet packet = {
		.tcp_flags = 0x02, .vlan = -1, .vlan_inner = -1, .ttl = 64, .skuid = -1, .iif = -1, .ct = -1
	};
	struct location loc = p->tok.loc;

	parser_next(p);
	if (entry->packet_loc.file) {
		diag_error(p->l->diag, loc, "a test has one packet");
		diag_other(p->l->diag, entry->packet_loc);
		return false;
	}
	entry->packet_loc = loc;
	if (!parse_kind(p, &packet))
		return false;
	while (!parser_at_end_of_statement(p))
		if (!parse_option(p, &packet))
			return false;
	test->packet = packet;
	return true;
}

/* FILTER:LINE or FILE.rules:LINE */
static bool parse_by_line(struct parser *p, struct test *test, struct test_entry *entry, const char *colon)
{
	size_t length = (size_t)(colon - p->tok.text);
	const char *name;
	uint32_t line;

	if (!length || !value_number(colon + 1, p->tok.length - length - 1, &line) || !line)
		return parser_expected(p, "FILTER:LINE or FILE.rules:LINE");
	name = arena_text(p->l->arena, p->tok.text, length);
	if (strchr(name, '.'))
		test->by_file = name;
	else
		entry->by_filter = name;
	test->by_line = line;
	return true;
}

static bool accept_verdict(struct parser *p, enum policy_verdict *ret)
{
	for (int verdict = POLICY_NONE + 1; verdict < POLICY_VERDICT_MAX; verdict++) {
		if (parser_accept_word(p, policy_verdict_word((enum policy_verdict)verdict))) {
			*ret = (enum policy_verdict)verdict;
			return true;
		}
	}
	return false;
}

static bool parse_expect(struct parser *p, struct test *test, struct test_entry *entry)
{
	struct location loc = p->tok.loc;
	const char *colon;

	parser_next(p);
	if (test->expect_loc.file) {
		diag_error(p->l->diag, loc, "a test has one 'expect'");
		diag_other(p->l->diag, test->expect_loc);
		return false;
	}
	test->expect_loc = loc;
	if (!accept_verdict(p, &test->verdict)) {
		if (!parser_unsupported(p))
			parser_expected(p, "accept, drop, reject, synproxy or redirect behind 'expect'");
		return false;
	}
	if (parser_accept_word(p, "by")) {
		const char *what = "FILTER:LINE, FILE.rules:LINE, 'default' or a reason behind 'by'";

		entry->by_loc = p->tok.loc;
		if (p->tok.kind != T_WORD)
			return parser_expected(p, what);
		colon = memrchr(p->tok.text, ':', p->tok.length);
		if (colon) {
			if (!parse_by_line(p, test, entry, colon))
				return false;
		} else {
			for (size_t i = 0; i < p->tok.length; i++)
				if (!((p->tok.text[i] >= 'a' && p->tok.text[i] <= 'z') || p->tok.text[i] == '-'))
					return parser_expected(p, what);
			test->by_reason = arena_text(p->l->arena, p->tok.text, p->tok.length);
		}
		parser_next(p);
	}
	test->expect_loc = parser_span(p, loc);
	return parser_expect_end(p, "'expect'");
}

static bool parse_test_filter(struct parser *p, struct test_entry *entry)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (entry->filter) {
		diag_error(p->l->diag, loc, "a test names one filter");
		diag_other(p->l->diag, entry->filter_loc);
		return false;
	}
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a filter's name");
	entry->filter = arena_text(p->l->arena, p->tok.text, p->tok.length);
	entry->filter_loc = p->tok.loc;
	parser_next(p);
	return parser_expect_end(p, "the filter");
}

static bool parse_statement(struct parser *p, struct test *test, struct test_entry *entry)
{
	struct location loc = p->tok.loc;
	unsigned int device;

	if (token_is(&p->tok, "packet"))
		return parse_packet(p, test, entry);
	if (token_is(&p->tok, "expect"))
		return parse_expect(p, test, entry);
	if (token_is(&p->tok, "filter"))
		return parse_test_filter(p, entry);
	if (!token_is(&p->tok, "device"))
		return parser_expected(p, "'filter', 'device', 'packet' or 'expect'");
	parser_next(p);
	if (test->device >= 0) {
		diag_error(p->l->diag, loc, "a test names one device");
		diag_other(p->l->diag, entry->device_loc);
		return false;
	}
	if (!parse_device(p, &device, &entry->device_loc))
		return false;
	test->device = (int)device;
	return parser_expect_end(p, "the device");
}

bool parse_test(struct parser *p)
{
	struct lang *l = p->l;
	struct test test = { .device = -1 };
	struct test_entry entry = { 0 };
	struct location open = p->tok.loc;
	size_t errors = l->diag->n_errors;

	parser_next(p);
	test.loc = p->tok.loc;
	if (!parse_text(p, "the test's name in double quotes", &test.name) ||
	    !parser_expect(p, T_OPEN, "'{' behind the test's name"))
		return false;
	while (parser_in_block(p)) {
		if (p->tok.kind == T_END)
			return parser_unclosed(p, open, "of test \"%s\"", test.name);
		if (!parse_statement(p, &test, &entry))
			parser_skip_statement(p);
	}
	if (l->diag->n_errors == errors && (!entry.packet_loc.file || !test.expect_loc.file)) {
		diag_error(l->diag, test.loc, "this test has no '%s'", entry.packet_loc.file ? "expect" : "packet");
		diag_hint(l->diag, "expected both 'packet' and 'expect' in the block");
	}
	arena_push(l->arena, l->policy->tests, l->policy->n_tests, l->tests_capacity) = test;
	arena_push(l->arena, l->test_entries, l->n_test_entries, l->test_entries_capacity) = entry;
	return true;
}
