// SPDX-License-Identifier: GPL-2.0
/* Values: text to numbers of a wanted type, and what to say when the text is something else. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lang.h"
#include "suggest.h"
#include "words.h"

#define WORD_MOST 256

/* What reading one value can find. */
enum finding {
	FOUND,
	FOUND_OTHER,  /* not of the type */
	FOUND_LARGE,  /* a number beyond the field */
	FOUND_FAMILY, /* an address of the other family */
	FOUND_DEVICE, /* reported already */
};

struct problem_at {
	enum finding finding;
	const char *text;
	size_t length;
};

static const struct {
	const char *noun, *expected;
} type_words[TYPE_MAX] = {
	[TYPE_INT] = { "a number", "expected a number" },
	[TYPE_ADDR] = { "an address", "expected an IPv4 or IPv6 address, a prefix or a range" },
	[TYPE_MAC] = { "a MAC address", "expected six bytes, as in 02:00:5e:10:00:01" },
	[TYPE_PORT] = { "a port", "expected a number up to 65535, a range, or a service such as 'https'" },
	[TYPE_PROTO] = { "an IP protocol", "expected a name such as 'tcp', or a number up to 255" },
	[TYPE_ETYPE] = { "an EtherType", "expected a name such as 'arp', or a number up to 0xffff" },
	[TYPE_ICMP] = { "an icmp type", "expected a name such as 'echo-request', or a number up to 255" },
	[TYPE_ICMPV6] = { "an icmpv6 type", "expected a name such as 'echo-request', or a number up to 255" },
	[TYPE_DSCP] = { "a dscp value", "expected a name such as 'ef', or a number up to 63" },
	[TYPE_TCPFLAGS] = { "a tcp flag", "expected fin, syn, rst, psh, ack, urg, ecn or cwr" },
	[TYPE_IFACE] = { "a device name", "expected a device name" },
	[TYPE_USER] = { "a user", "expected a user's name or number" },
	[TYPE_MARK] = { "a mark", "expected a number, as in 0x10" },
	[TYPE_BOOL] = { "'exists' or 'missing'", "1 and 0 will do, too" },
	[TYPE_NFPROTO] = { "an address family", "expected 'ipv4' or 'ipv6'" },
	[TYPE_CTSTATE] = { "a state", "expected new, established, related, invalid or untracked" },
};

struct want want_field(enum field field)
{
	const struct field_info *info = &field_info[field];
	struct want want = { .type = info->type, .bits = info->bits, .words = info->words };

	if (info->type == TYPE_ADDR)
		want.family = info->layer == LAYER_IP4 ? 4 : info->layer == LAYER_IP6 ? 6 : 0;
	return want;
}

struct want want_set(enum value_type type)
{
	static const uint8_t bits[TYPE_MAX] = {
		[TYPE_INT] = 32,  [TYPE_ADDR] = 128,   [TYPE_MAC] = 48,    [TYPE_PORT] = 16,
		[TYPE_PROTO] = 8, [TYPE_ETYPE] = 16,   [TYPE_ICMP] = 8,    [TYPE_ICMPV6] = 8,
		[TYPE_DSCP] = 6,  [TYPE_TCPFLAGS] = 8, [TYPE_IFACE] = 32,  [TYPE_USER] = 32,
		[TYPE_MARK] = 32, [TYPE_BOOL] = 1,     [TYPE_NFPROTO] = 8, [TYPE_CTSTATE] = 3,
	};

	return (struct want){ .type = type, .bits = bits[type] };
}

struct location raw_place(const struct raw_part *part)
{
	return part->use.file ? part->use : part->loc;
}

uint32_t value_bits_mask(unsigned int bits)
{
	return bits >= 32 ? UINT32_MAX : (1u << bits) - 1;
}

int value_compare(const struct value *a, const struct value *b)
{
	for (int i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

static const struct {
	const char *unit;
	uint64_t ms;
} units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

#define UNITS       (sizeof(units) / sizeof(units[0]))
#define DURATION_MS (UINT64_C(3650) * 86400000) /* nobody means more */

bool value_duration(const char *text, size_t length, uint64_t *ret_ms)
{
	const char *end = text + length;
	uint64_t ms = 0;
	size_t unit = 0;

	if (!length)
		return false;
	while (text < end) {
		const char *digits = text, *name;
		uint64_t number = 0;

		while (text < end && *text >= '0' && *text <= '9' && number < DURATION_MS)
			number = number * 10 + (uint64_t)(*text++ - '0');
		name = text;
		while (text < end && (*text < '0' || *text > '9'))
			text++;
		while (unit < UNITS && (strlen(units[unit].unit) != (size_t)(text - name) ||
					memcmp(units[unit].unit, name, (size_t)(text - name))))
			unit++;
		if (name == digits || unit == UNITS || number > DURATION_MS / units[unit].ms)
			return false;
		ms += number * units[unit++].ms;
	}
	if (ms > DURATION_MS)
		return false;
	*ret_ms = ms;
	return true;
}

void duration_print(uint64_t ms, char ret[DURATION_MOST])
{
	size_t used = 0;

	strcpy(ret, "0s");
	for (size_t i = 0; i < UNITS; i++) {
		if (ms / units[i].ms && used < DURATION_MOST)
			used += (size_t)snprintf(ret + used, DURATION_MOST - used, "%llu%s",
						 (unsigned long long)(ms / units[i].ms), units[i].unit);
		ms %= units[i].ms;
	}
}

/* Whole text or nothing; no leading zeros, which some readers take for octal. */
bool value_number(const char *text, size_t length, uint32_t *ret)
{
	uint64_t number = 0;

	if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		for (size_t i = 2; i < length; i++) {
			char c = text[i] | 0x20;
			unsigned int digit = c >= '0' && c <= '9'   ? (unsigned int)(c - '0')
					     : c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a' + 10)
								    : 16;

			if (digit == 16 || text[i] < '0' || number > UINT32_MAX)
				return false;
			number = number * 16 + digit;
		}
	} else {
		if (length == 0 || (length > 1 && text[0] == '0'))
			return false;
		for (size_t i = 0; i < length; i++) {
			if (text[i] < '0' || text[i] > '9' || number > UINT32_MAX)
				return false;
			number = number * 10 + (uint64_t)(text[i] - '0');
		}
	}
	if (number > UINT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool ipv4_parse(const char *text, size_t length, uint32_t *ret)
{
	uint32_t address = 0;
	size_t at = 0;

	for (int part = 0; part < 4; part++) {
		uint32_t number = 0;
		size_t start = at;

		while (at < length && at - start < 4 && text[at] >= '0' && text[at] <= '9')
			number = number * 10 + (uint32_t)(text[at++] - '0');
		if (at == start || number > 255 || (at - start > 1 && text[start] == '0'))
			return false;
		address = address << 8 | number;
		if (part < 3 && (at == length || text[at++] != '.'))
			return false;
	}
	*ret = address;
	return at == length;
}

bool value_address(const char *text, size_t length, struct value *ret, uint8_t *ret_family)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	*ret = (struct value){ 0 };
	if (ipv4_parse(text, length, &ret->w[0])) {
		*ret_family = 4;
		return true;
	}
	if (length >= sizeof(copy) || !memchr(text, ':', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET6, copy, bytes) != 1)
		return false;
	for (size_t i = 0; i < 4; i++)
		ret->w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
			    (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
	*ret_family = 6;
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool value_mac(const char *text, size_t length, struct value *ret)
{
	uint64_t mac = 0;

	if (length != 17)
		return false;
	for (size_t i = 0; i < length; i++) {
		int digit = hex_digit(text[i]);

		if (i % 3 == 2) {
			if (text[i] != ':')
				return false;
			continue;
		}
		if (digit < 0)
			return false;
		mac = mac << 4 | (uint64_t)digit;
	}
	*ret = (struct value){ .w = { (uint32_t)(mac >> 16), (uint32_t)(mac & 0xffff) } };
	return true;
}

/* One value without '-' or '/' of its own. l may be NULL for types other than devices. */
static enum finding single(struct lang *l, const struct want *want, const char *text, size_t length, bool quoted,
			   struct location loc, struct range *r)
{
	uint32_t number;
	char name[64];
	int device;

	*r = (struct range){ .prefix_len = (uint8_t)(want->bits < 32 ? want->bits : 32) };
	switch (want->type) {
	case TYPE_ADDR:
		if (quoted || !value_address(text, length, &r->lo, &r->family))
			return FOUND_OTHER;
		r->hi = r->lo;
		r->prefix_len = r->family == 4 ? 32 : 128;
		return want->family && want->family != r->family ? FOUND_FAMILY : FOUND;
	case TYPE_MAC:
		if (quoted || !value_mac(text, length, &r->lo))
			return FOUND_OTHER;
		r->hi = r->lo;
		r->prefix_len = 48;
		return FOUND;
	case TYPE_IFACE:
		device = lang_device(l, text, length, loc);
		if (device < 0)
			return FOUND_DEVICE;
		r->lo.w[0] = r->hi.w[0] = (uint32_t)device;
		return FOUND;
	case TYPE_USER:
		if (value_number(text, length, &number))
			break;
		if (!l || !l->env || !l->env->lookup_user || length >= sizeof(name))
			return FOUND_OTHER;
		memcpy(name, text, length);
		name[length] = '\0';
		if (l->env->lookup_user(l->env->context, name, &number) < 0)
			return FOUND_OTHER;
		break;
	case TYPE_CTSTATE: /* by name only: nft's numbers are others */
		if (quoted || !words_find(want->type, text, length, &number))
			return FOUND_OTHER;
		break;
	default:
		if (quoted)
			return FOUND_OTHER;
		if (value_number(text, length, &number))
			break;
		if (!words_find(want->type, text, length, &number))
			return FOUND_OTHER;
	}
	if (number > value_bits_mask(want->bits))
		return FOUND_LARGE;
	r->lo.w[0] = r->hi.w[0] = number;
	return FOUND;
}

static bool has_ranges(enum value_type type)
{
	return type != TYPE_IFACE && type != TYPE_BOOL && type != TYPE_NFPROTO && type != TYPE_TCPFLAGS &&
	       type != TYPE_CTSTATE;
}

static void describe_other(struct lang *l, const struct want *want, const struct problem_at *at, struct location loc)
{
	int shown = (int)(at->length < 64 ? at->length : 64);
	struct suggestion s;

	diag_error(l->diag, loc, "'%.*s' is not %s", shown, at->text, type_words[want->type].noun);
	suggest_start(&s, at->text, at->length);
	for (const struct named_number *word = words_of(want->type); word && word->name; word++)
		suggest_offer(&s, word->name);
	if (suggest_best(&s))
		diag_hint(l->diag, "did you mean '%s'?", suggest_best(&s));
	else if (want->type == TYPE_INT)
		diag_hint(l->diag, "expected a number up to %u", value_bits_mask(want->bits));
	else if (want->type == TYPE_ADDR && want->family)
		diag_hint(l->diag, "expected an IPv%u address, a prefix or a range", want->family);
	else if (want->type == TYPE_USER && l->env && l->env->lookup_user)
		diag_hint(l->diag, "no such user on this machine; a number always works");
	else
		diag_hint(l->diag, "%s", type_words[want->type].expected);
}

static void describe(struct lang *l, const struct want *want, const struct problem_at *at, const struct raw_part *part)
{
	int shown = (int)(at->length < 64 ? at->length : 64);
	struct location loc = raw_place(part);

	switch (at->finding) {
	case FOUND_OTHER:
		describe_other(l, want, at, loc);
		break;
	case FOUND_LARGE:
		diag_error(l->diag, loc, "'%.*s' is too large for %s%s%s", shown, at->text, want->words ? "'" : "",
			   want->words ? want->words : type_words[want->type].noun, want->words ? "'" : "");
		diag_hint(l->diag, "the largest is %u", value_bits_mask(want->bits));
		break;
	case FOUND_FAMILY:
		diag_error(l->diag, loc, "'%.*s' is an IPv%u address, and '%s' has IPv%u addresses", shown, at->text,
			   want->family == 4 ? 6 : 4, want->words, want->family);
		diag_hint(l->diag, "did you mean '%s' or '%s'?",
			  strstr(want->words, "saddr") ? (want->family == 4 ? "ip6 saddr" : "ip saddr")
						       : (want->family == 4 ? "ip6 daddr" : "ip daddr"),
			  strstr(want->words, "saddr") ? "saddr" : "daddr");
		break;
	default:
		return;
	}
	if (part->use.file)
		diag_other(l->diag, part->loc);
}

/* address/length. Bits behind the prefix are a slip more often than not: refuse, and say the network. */
static bool prefix(struct lang *l, const struct want *want, const struct raw_part *part, const char *slash,
		   struct range *r)
{
	size_t length = (size_t)(slash - part->text);
	struct problem_at at = { .text = part->text, .length = length };
	char network[INET6_ADDRSTRLEN];
	uint32_t prefix_len, dirty = 0;
	struct in6_addr bytes = { 0 };

	at.finding = single(l, want, part->text, length, part->quoted, part->loc, r);
	if (at.finding != FOUND) {
		describe(l, want, &at, part);
		return false;
	}
	if (!value_number(slash + 1, part->length - length - 1, &prefix_len) || prefix_len > r->prefix_len) {
		diag_error(l->diag, raw_place(part), "'%.*s' is not a prefix length",
			   (int)(part->length - length - 1 < 64 ? part->length - length - 1 : 64), slash + 1);
		diag_hint(l->diag, "expected 0 to %u", r->prefix_len);
		return false;
	}
	for (uint32_t i = 0; i < (r->family == 4 ? 1 : 4); i++) {
		uint32_t kept = prefix_len <= 32 * i ? 0 : prefix_len - 32 * i;
		uint32_t host = kept >= 32 ? 0 : UINT32_MAX >> kept;

		dirty |= r->lo.w[i] & host;
		r->lo.w[i] &= ~host;
		r->hi.w[i] = r->lo.w[i] | host;
		bytes.s6_addr32[i] = htonl(r->lo.w[i]);
	}
	r->prefix_len = (uint8_t)prefix_len;
	if (!dirty)
		return true;
	inet_ntop(r->family == 4 ? AF_INET : AF_INET6, &bytes, network, sizeof(network));
	diag_error(l->diag, raw_place(part), "'%.*s' has bits set behind its prefix", (int)part->length, part->text);
	diag_hint(l->diag, "did you mean %s/%u?", network, prefix_len);
	if (part->use.file)
		diag_other(l->diag, part->loc);
	return false;
}

static bool range_ends(struct lang *l, const struct raw_part *part, const struct range *lo, const struct range *hi,
		       struct range *ret)
{
	*ret = *lo;
	ret->hi = hi->hi;
	if (lo->family != hi->family) {
		diag_error(l->diag, raw_place(part), "a range from IPv%u to IPv%u", lo->family, hi->family);
		return false;
	}
	switch (value_compare(&lo->lo, &hi->lo)) {
	case 1:
		diag_error(l->diag, raw_place(part), "the range is the wrong way round: its end is below its start");
		return false;
	case -1:
		ret->prefix_len = 255;
	}
	return true;
}

/* a-b in one word, where names may hold dashes themselves: 1 read, 0 an error, -1 it is no range. */
static int range_in_word(struct lang *l, const struct want *want, const struct raw_part *part, struct range *ret)
{
	const char *end = part->text + part->length;
	struct range lo, hi;

	for (const char *dash = part->text; (dash = memchr(dash, '-', (size_t)(end - dash))) != NULL; dash++) {
		size_t left = (size_t)(dash - part->text), right = (size_t)(end - dash - 1);
		struct problem_at at = { .text = part->text, .length = left };
		enum finding first = single(NULL, want, part->text, left, false, part->loc, &lo), second;

		if (first == FOUND_OTHER || !right)
			continue;
		second = single(NULL, want, dash + 1, right, false, part->loc, &hi);
		if (first == FOUND && second == FOUND)
			return range_ends(l, part, &lo, &hi, ret);
		at.finding = first;
		if (first == FOUND) {
			at.finding = second;
			at.text = dash + 1;
			at.length = right;
		}
		describe(l, want, &at, part);
		return 0;
	}
	return -1;
}

static bool word(struct lang *l, const struct want *want, const struct raw_part *part, struct range *ret)
{
	struct problem_at at = { .text = part->text, .length = part->length };
	const char *slash = memchr(part->text, '/', part->length);
	int read;

	if (part->length > WORD_MOST) { /* no value is so long, and trying each '-' in it would take long */
		at.finding = FOUND_OTHER;
		describe(l, want, &at, part);
		return false;
	}
	if (want->type == TYPE_ADDR && slash && !part->quoted)
		return prefix(l, want, part, slash, ret);
	at.finding = single(l, want, part->text, part->length, part->quoted, raw_place(part), ret);
	if (at.finding == FOUND)
		return true;
	if (at.finding == FOUND_OTHER && !part->quoted && has_ranges(want->type)) {
		read = range_in_word(l, want, part, ret);
		if (read >= 0)
			return read;
	}
	describe(l, want, &at, part);
	return false;
}

size_t value_read(struct lang *l, const struct want *want, const struct raw_part *parts, struct range *ret)
{
	struct range next;

	if (!word(l, want, &parts[0], ret))
		return 0;
	if (parts[0].join == JOIN_RANGE) {
		if (!has_ranges(want->type) || ret->prefix_len == 255) {
			diag_error(l->diag, raw_place(&parts[0]), "this cannot be the start of a range");
			return 0;
		}
		if (!word(l, want, &parts[1], &next) || !range_ends(l, &parts[0], ret, &next, ret))
			return 0;
		if (parts[1].join == JOIN_RANGE || parts[1].join == JOIN_OR) {
			diag_error(l->diag, raw_place(&parts[1]), "a range has two ends");
			return 0;
		}
		return 2;
	}
	for (size_t n = 1;; n++) {
		if (parts[n - 1].join != JOIN_OR)
			return n;
		if (want->type != TYPE_TCPFLAGS && want->type != TYPE_INT && want->type != TYPE_MARK) {
			diag_error(l->diag, raw_place(&parts[n]), "'|' joins flags and marks only");
			diag_hint(l->diag, "for one of several values write '{ a, b }'");
			return 0;
		}
		if (!word(l, want, &parts[n], &next))
			return 0;
		if (next.prefix_len == 255 || ret->prefix_len == 255 || parts[n].join == JOIN_RANGE) {
			diag_error(l->diag, raw_place(&parts[n]), "'|' joins single values");
			return 0;
		}
		ret->lo.w[0] |= next.lo.w[0];
		ret->hi = ret->lo;
	}
}

size_t raw_element_length(const struct raw_part *parts)
{
	size_t n = 1;

	while (parts[n - 1].join != JOIN_END)
		n++;
	return n;
}

/* How the parts should look: "addr . proto . port". */
static void describe_parts(const struct want *wants, size_t n, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(text);
		const char *name = value_type_name(wants[i].type);

		if (used + strlen(name) + 4 < size) {
			strcat(text, i ? " . " : "");
			strcat(text, name);
		}
	}
}

bool element_read(struct lang *l, const struct want *wants, size_t n, bool wide, const struct raw_part *parts,
		  struct range *ret)
{
	const struct raw_part *part = parts;
	char expected[128];
	size_t n_parts = 1, used;

	for (; part->join != JOIN_END; part++)
		n_parts += part->join == JOIN_DOT;
	if (n_parts != n) {
		describe_parts(wants, n, expected, sizeof(expected));
		diag_error(l->diag, raw_place(parts), "this has %zu part%s where %zu %s wanted", n_parts,
			   n_parts == 1 ? "" : "s", n, n == 1 ? "is" : "are");
		diag_hint(l->diag, "expected %s", expected);
		return false;
	}
	for (size_t i = 0; i < n; i++, parts += used) {
		used = value_read(l, &wants[i], parts, &ret[i]);
		if (!used)
			return false;
		if (n == 1 || !value_compare(&ret[i].lo, &ret[i].hi))
			continue;
		if (wide ? i + 1 == n : wants[i].type == TYPE_PORT)
			continue;
		diag_error(l->diag, raw_place(parts), "a %s inside a concatenation",
			   ret[i].prefix_len == 255 ? "range" : "prefix");
		diag_hint(l->diag, wide ? "only the last part may be more than one value"
					: "only ports may be ranges here; use single values or a set of its own");
		return false;
	}
	return true;
}

bool value_infer(const struct raw_part *part, enum value_type *ret_type)
{
	static const enum value_type order[] = { TYPE_ADDR, TYPE_MAC, TYPE_PORT, TYPE_PROTO, TYPE_ETYPE, TYPE_INT };
	const char *end = part->text + part->length, *cut;
	struct range r;

	if (part->quoted) {
		*ret_type = TYPE_IFACE;
		return true;
	}
	if (part->length > WORD_MOST)
		return false;
	/* Each place where the first value may end: the whole word, before '/', before a '-'. */
	for (cut = end; cut; cut = cut == part->text ? NULL : memrchr(part->text, '-', (size_t)(cut - part->text))) {
		const char *slash = memchr(part->text, '/', (size_t)(cut - part->text));
		size_t length = (size_t)((slash ? slash : cut) - part->text);

		for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
			struct want want = want_set(order[i]);

			if (length && single(NULL, &want, part->text, length, false, part->loc, &r) == FOUND) {
				*ret_type = order[i];
				return true;
			}
		}
	}
	/* Something like an address, with a slip in it: the error about the slip says more. */
	if (memchr(part->text, ':', part->length) ||
	    (part->length && part->text[0] >= '0' && part->text[0] <= '9' && memchr(part->text, '.', part->length))) {
		*ret_type = TYPE_ADDR;
		return true;
	}
	if (part->length && part->text[0] >= '0' && part->text[0] <= '9') {
		*ret_type = TYPE_PORT;
		return true;
	}
	return false;
}
