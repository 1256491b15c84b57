// SPDX-License-Identifier: GPL-2.0
/*
 * Canonical text. It parses to what was printed, and printing that gives the same text again; rule handles are made
 * from it, so a change here makes hosts lose their counters once.
 */
#include "print.h"

#include <arpa/inet.h>
#include <string.h>

#include "words.h"

void print_address(struct strbuf *b, const struct value *v, uint8_t family)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr bytes;

	if (family == 4) {
		for (int shift = 24; shift >= 0; shift -= 8) {
			strbuf_number(b, v->w[0] >> shift & 0xff);
			if (shift)
				strbuf_char(b, '.');
		}
		return;
	}
	for (int i = 0; i < 4; i++)
		bytes.s6_addr32[i] = htonl(v->w[i]);
	inet_ntop(AF_INET6, &bytes, text, sizeof(text));
	strbuf_str(b, text);
}

void print_mac(struct strbuf *b, const struct value *v)
{
	uint64_t mac = (uint64_t)v->w[0] << 16 | v->w[1];

	for (int shift = 40; shift >= 0; shift -= 8) {
		strbuf_hex(b, mac >> shift & 0xff, 2);
		if (shift)
			strbuf_char(b, ':');
	}
}

void print_quoted(struct strbuf *b, const char *text)
{
	strbuf_char(b, '"');
	strbuf_str(b, text);
	strbuf_char(b, '"');
}

void print_tcp_flags(struct strbuf *b, uint32_t flags, const char *between)
{
	bool first = true;

	if (!flags)
		strbuf_str(b, "0x0");
	for (uint32_t bit = 1; bit <= 0x80; bit <<= 1) {
		if (!(flags & bit))
			continue;
		if (!first)
			strbuf_str(b, between);
		strbuf_str(b, words_name(TYPE_TCPFLAGS, bit));
		first = false;
	}
}

void print_number(struct strbuf *b, enum value_type type, uint32_t number, bool names)
{
	/* Ports stay numbers: there are too many names for them, and lists of names differ. */
	const char *name = names && type != TYPE_PORT && type != TYPE_TCPFLAGS ? words_name(type, number) : NULL;

	if (name) {
		strbuf_str(b, name);
	} else if (type == TYPE_MARK || type == TYPE_ETYPE) {
		strbuf_str(b, "0x");
		strbuf_hex(b, number, type == TYPE_ETYPE ? 4 : 1);
	} else {
		strbuf_number(b, number);
	}
}

static void print_single(struct strbuf *b, const struct policy *policy, enum value_type type, const struct value *v,
			 uint8_t family, bool names)
{
	switch (type) {
	case TYPE_ADDR:
		print_address(b, v, family);
		break;
	case TYPE_MAC:
		print_mac(b, v);
		break;
	case TYPE_IFACE:
		print_quoted(b, policy->devices[v->w[0]]);
		break;
	case TYPE_TCPFLAGS:
		print_tcp_flags(b, v->w[0], " | ");
		break;
	default:
		print_number(b, type, v->w[0], names);
	}
}

static bool is_one(const struct range *r)
{
	return !memcmp(&r->lo, &r->hi, sizeof(r->lo));
}

static void print_range(struct strbuf *b, const struct policy *policy, enum value_type type, const struct range *r)
{
	bool one = is_one(r);

	print_single(b, policy, type, &r->lo, r->family, one);
	if (one)
		return;
	if (type == TYPE_ADDR && r->prefix_len != 255) {
		strbuf_char(b, '/');
		strbuf_number(b, r->prefix_len);
		return;
	}
	strbuf_char(b, '-');
	print_single(b, policy, type, &r->hi, r->family, false);
}

static void print_elements(struct strbuf *b, const struct policy *policy, const struct condition *c)
{
	bool list = c->n_elements > 1;

	if (list)
		strbuf_str(b, "{ ");
	for (size_t i = 0; i < c->n_elements; i++) {
		if (i)
			strbuf_str(b, ", ");
		for (size_t part = 0; part < c->n_fields; part++) {
			if (part)
				strbuf_str(b, " . ");
			print_range(b, policy, field_info[c->field[part]].type, &c->elements[i].part[part]);
		}
	}
	if (list)
		strbuf_str(b, " }");
}

static void print_mask(struct strbuf *b, const struct condition *c)
{
	enum value_type type = field_info[c->field[0]].type;

	strbuf_str(b, " & ");
	if (type == TYPE_TCPFLAGS) {
		bool several = (c->mask.w[0] & (c->mask.w[0] - 1)) != 0;

		if (several)
			strbuf_char(b, '(');
		print_tcp_flags(b, c->mask.w[0], " | ");
		if (several)
			strbuf_char(b, ')');
	} else if (type == TYPE_ADDR) {
		print_address(b, &c->mask, c->n_elements ? c->elements[0].part[0].family : 4);
	} else if (type == TYPE_MAC) {
		print_mac(b, &c->mask);
	} else {
		strbuf_str(b, "0x");
		strbuf_hex(b, c->mask.w[0], 1);
	}
}

static void print_condition(struct strbuf *b, const struct policy *policy, const struct condition *c)
{
	bool flags = c->n_fields == 1 && c->field[0] == FIELD_TCP_FLAGS;

	for (size_t i = 0; i < c->n_fields; i++) {
		if (i)
			strbuf_str(b, " . ");
		strbuf_str(b, field_info[c->field[i]].words);
	}
	if (c->has_mask)
		print_mask(b, c);
	if (c->negated)
		strbuf_str(b, " != ");
	else if (c->has_mask || (flags && !c->set && c->n_elements == 1)) /* without: any of the flags */
		strbuf_str(b, " == ");
	else
		strbuf_char(b, ' ');
	if (c->set) {
		strbuf_char(b, '@');
		strbuf_str(b, c->set->name);
	} else {
		print_elements(b, policy, c);
	}
}

static void print_rule(struct strbuf *b, const struct policy *policy, const struct rule *rule)
{
	bool acts = false;
	size_t start = b->length;

	for (size_t i = 0; i < rule->n_items; i++) {
		const struct item *item = &rule->items[i];

		if (item->kind == ITEM_CONDITION && item->condition.implied)
			continue;
		if (b->length > start)
			strbuf_char(b, ' ');
		acts |= item->kind != ITEM_CONDITION && item->kind != ITEM_LIMIT;
		switch (item->kind) {
		case ITEM_CONDITION:
			print_condition(b, policy, &item->condition);
			break;
		case ITEM_COUNTER:
			strbuf_str(b, "counter");
			if (item->counter.named >= 0) {
				strbuf_char(b, ' ');
				strbuf_str(b, policy->counters[item->counter.named]);
			}
			break;
		case ITEM_LOG:
			strbuf_str(b, "log");
			if (item->log.prefix >= 0) {
				strbuf_str(b, " prefix ");
				print_quoted(b, policy->log_prefixes[item->log.prefix]);
			}
			break;
		case ITEM_LIMIT:
			print_limit(b, &item->limit);
			break;
		case ITEM_BAN:
			print_ban(b, &item->ban);
			break;
		}
	}
	if (rule->verdict != POLICY_NONE || !acts) {
		if (b->length > start)
			strbuf_char(b, ' ');
		strbuf_str(b, policy_verdict_word(rule->verdict));
		if (rule->verdict == POLICY_REDIRECT) {
			strbuf_str(b, " to ");
			print_quoted(b, policy->devices[rule->redirect]);
		} else if (rule->verdict == POLICY_REJECT) {
			print_reject(b, &rule->reject);
		} else if (rule->verdict == POLICY_SYNPROXY) {
			print_synproxy(b, &rule->synproxy);
		}
	}
	if (rule->comment) {
		strbuf_str(b, " comment ");
		print_quoted(b, rule->comment);
	}
}

static void print_element(struct strbuf *b, const struct policy *policy, const struct set *set,
			  const struct range *parts)
{
	for (size_t i = 0; i < set->n_types; i++) {
		if (i)
			strbuf_str(b, " . ");
		print_range(b, policy, set->type[i], &parts[i]);
	}
}

static void print_extra(struct strbuf *b, const struct element_extra *extra)
{
	char time[DURATION_MOST];

	if (!extra)
		return;
	if (extra->timeout_ms) {
		duration_print(extra->timeout_ms, time);
		strbuf_format(b, " timeout %s", time);
	}
	if (extra->expires_ms) {
		duration_print(extra->expires_ms, time);
		strbuf_format(b, " expires %s", time);
	}
	if (extra->counter)
		strbuf_format(b, " counter packets %llu bytes %llu", (unsigned long long)extra->packets,
			      (unsigned long long)extra->bytes);
}

char *element_extra_print(const struct element_extra *extra)
{
	struct strbuf b = { 0 };

	print_extra(&b, extra);
	return strbuf_take(&b);
}

static void print_set(struct strbuf *b, const struct policy *policy, const struct set *set)
{
	char time[DURATION_MOST];

	strbuf_format(b, "set %s {\n\ttype ", set->name);
	for (size_t i = 0; i < set->n_types; i++) {
		if (i)
			strbuf_str(b, " . ");
		strbuf_str(b, value_type_name(set->type[i]));
	}
	strbuf_char(b, '\n');
	if (set->size)
		strbuf_format(b, "\tsize %u\n", set->size);
	if (set->timeout_ms) {
		duration_print(set->timeout_ms, time);
		strbuf_format(b, "\ttimeout %s\n", time);
	} else if (set->has_timeout) {
		strbuf_str(b, "\tflags timeout\n");
	}
	if (set->has_counter)
		strbuf_str(b, "\tcounter\n");
	if (set->has_content) {
		strbuf_str(b, "\telements {\n");
		for (size_t i = 0; i < set->n_elements; i++) {
			strbuf_str(b, "\t\t");
			print_element(b, policy, set, set->elements[i].part);
			print_extra(b, set->elements[i].extra);
			strbuf_str(b, ",\n");
		}
		for (size_t i = 0; i < set->addresses.n4 + set->addresses.n6; i++) {
			struct range range;

			if (i < set->addresses.n4)
				address_range4(&set->addresses.v4[i], &range);
			else
				address_range6(&set->addresses.v6[i - set->addresses.n4], &range);
			strbuf_str(b, "\t\t");
			print_element(b, policy, set, &range);
			strbuf_str(b, ",\n");
		}
		strbuf_str(b, "\t}\n");
	}
	strbuf_str(b, "}\n\n");
}

static void print_filter(struct strbuf *b, const struct policy *policy, const struct filter *filter)
{
	static const char *const hooks[] = { "ingress", "ingress tc", "egress" };

	strbuf_format(b, "filter %s {\n\thook %s%s\n\tdevice ", filter->name, hooks[filter->hook],
		      filter->generic ? " generic" : "");
	for (size_t i = 0; i < filter->n_devices; i++) {
		if (i)
			strbuf_str(b, ", ");
		print_quoted(b, policy->devices[filter->devices[i].device]);
		if (filter->devices[i].optional)
			strbuf_str(b, " optional");
	}
	strbuf_format(b, "\n\tmalformed %s\n\tfragments %s\n\tdefault %s\n%s\n", policy_verdict_word(filter->malformed),
		      policy_fragments_word(filter->fragments), policy_verdict_word(filter->default_verdict),
		      filter->rule_counters ? "" : "\tcounters off\n");
	for (size_t i = 0; i < filter->n_rules; i++) {
		strbuf_char(b, '\t');
		print_rule(b, policy, &filter->rules[i]);
		strbuf_char(b, '\n');
	}
	strbuf_str(b, "}\n\n");
}

char *policy_print(const struct policy *policy)
{
	struct strbuf b = { 0 };

	print_flows(&b, &policy->flows);
	for (size_t i = 0; i < policy->n_sets; i++)
		print_set(&b, policy, &policy->sets[i]);
	for (size_t i = 0; i < policy->n_filters; i++)
		if (!policy->filters[i].implied)
			print_filter(&b, policy, &policy->filters[i]);
	for (size_t i = 0; i < policy->n_guards; i++)
		print_guard(&b, policy, &policy->guards[i]);
	for (size_t i = 0; i < policy->n_tests; i++)
		print_test(&b, policy, &policy->tests[i]);
	if (b.length && b.text[b.length - 1] == '\n') /* blocks end in an empty line, the file does not */
		b.text[--b.length] = '\0';
	return strbuf_take(&b);
}

char *rule_print(const struct policy *policy, const struct rule *rule)
{
	struct strbuf b = { 0 };

	print_rule(&b, policy, rule);
	return strbuf_take(&b);
}

char *element_print(const struct policy *policy, const struct set *set, const struct range *parts)
{
	struct strbuf b = { 0 };

	print_element(&b, policy, set, parts);
	return strbuf_take(&b);
}
