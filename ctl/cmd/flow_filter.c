// SPDX-License-Identifier: GPL-2.0
/* Which flows are meant: `proto tcp src 192.0.2.0/24 state established`. All words must hold. */
#include "flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../lang/strbuf.h"
#include "../lang/suggest.h"

static const struct {
	const char *name;
	enum value_type type;
} words[FLOW_WORD_MAX] = {
#define X(id, word, of) [FLOW_WORD_##id] = { .name = word, .type = of },
	FLOW_WORDS(X)
#undef X
};

/* ---- what a flow is, in the words of rules ---- */

_Static_assert((int)FLOW_TIME_TCP_CLOSE - (int)FLOW_TIME_TCP_SYN_SENT == (int)FLOW_CLOSE - (int)FLOW_SYN_SENT,
	       "TCP's states in the same order");

enum flow_time flow_time_of(const struct flow *flow)
{
	bool replied = flow->flags & FLOW_REPLIED;

	switch (flow->proto) {
	case IPPROTO_TCP:
		return FLOW_TIME_TCP_SYN_SENT + ((flow->state < FLOW_CLOSE ? flow->state : FLOW_CLOSE) - FLOW_SYN_SENT);
	case IPPROTO_UDP:
		return replied ? FLOW_TIME_UDP_REPLIED : FLOW_TIME_UDP_UNREPLIED;
	case IPPROTO_SCTP:
		return replied ? FLOW_TIME_SCTP_REPLIED : FLOW_TIME_SCTP_UNREPLIED;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return replied ? FLOW_TIME_ICMP_REPLIED : FLOW_TIME_ICMP_UNREPLIED;
	default:
		return replied ? FLOW_TIME_OTHER_REPLIED : FLOW_TIME_OTHER_UNREPLIED;
	}
}

bool flow_has_ports(const struct flow *flow)
{
	return flow->proto == IPPROTO_TCP || flow->proto == IPPROTO_UDP || flow->proto == IPPROTO_SCTP;
}

struct value flow_address(const struct flow *flow, unsigned int end)
{
	struct value value;

	memcpy(value.w, flow->addr[end], sizeof(value.w));
	return value;
}

unsigned int flow_port(const struct flow *flow, unsigned int end)
{
	return end ? flow->ports & 0xffff : flow->ports >> 16;
}

unsigned int flow_family(const struct flow *flow)
{
	return flow->flags & FLOW_IPV6 ? 6 : 4;
}

/* ---- reading ---- */

static int unknown_word(struct run *run, const char *word)
{
	struct suggestion near;

	diag_error(&run->diag, NOWHERE, "flows have no '%s'", word);
	suggest_start(&near, word, strlen(word));
	for (enum flow_word i = 0; i < FLOW_WORD_MAX; i++)
		suggest_offer(&near, words[i].name);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else
		diag_hint(&run->diag, "one of: proto, src, dst, sport, dport, state, family");
	return EXIT_USAGE;
}

/* TCP's states, then 'unreplied' and 'replied' of all others. */
static bool is_first(enum flow_time time)
{
	for (enum flow_time i = 0; i < time; i++)
		if (!strcmp(flow_time_info[i].state, flow_time_info[time].state))
			return false;
	return true;
}

static int read_state(struct run *run, const char *word, struct flow_filter *filter)
{
	struct strbuf all = { 0 };
	struct suggestion near;
	char *text;

	suggest_start(&near, word, strlen(word));
	for (enum flow_time i = 0; i < FLOW_TIME_COUNT; i++) {
		if (!strcmp(flow_time_info[i].state, word)) {
			filter->state = flow_time_info[i].state;
			strbuf_clear(&all);
			return EXIT_DONE;
		}
		if (is_first(i)) {
			suggest_offer(&near, flow_time_info[i].state);
			strbuf_format(&all, "%s%s", all.length ? ", " : "", flow_time_info[i].state);
		}
	}
	text = strbuf_take(&all);
	diag_error(&run->diag, NOWHERE, "no flow has the state '%s'", word);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else if (text)
		diag_hint(&run->diag, "one of: %s", text);
	free(text);
	return EXIT_USAGE;
}

/* Elements, then addresses. */
static int keep_ranges(const struct element_list *list, struct range **ret, size_t *ret_n)
{
	const struct addresses *addresses = &list->addresses;
	size_t n = 0;
	struct range *ranges = malloc((list->n + addresses->n4 + addresses->n6 + 1) * sizeof(*ranges));

	if (!ranges)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++)
		ranges[n++] = list->elements[i].part[0];
	for (size_t i = 0; i < addresses->n4; i++)
		address_range4(&addresses->v4[i], &ranges[n++]);
	for (size_t i = 0; i < addresses->n6; i++)
		address_range6(&addresses->v6[i], &ranges[n++]);
	*ret = ranges;
	*ret_n = n;
	return 0;
}

/* A value as rules and sets write it: a name, a number, a prefix, a range. */
static int read_value(struct run *run, enum flow_word word, const char *text, struct flow_filter *filter)
{
	struct set set = { .name = words[word].name, .n_types = 1, .type = { words[word].type } };
	struct policy none = { 0 };
	struct element_list list = { 0 };
	int rc = elements_parse(&list, &none, &set, words[word].name, text, strlen(text), 0, &run->diag);

	if (!rc)
		rc = keep_ranges(&list, &filter->ranges[word], &filter->n_ranges[word]);
	if (!rc && !filter->n_ranges[word])
		rc = diag_error(&run->diag, NOWHERE, "'%s' needs a value behind it", words[word].name);
	element_list_clear(&list);
	policy_free(&none);
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	return !rc ? EXIT_DONE : rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

int flow_filter_read(struct run *run, char **operands, size_t n, struct flow_filter *ret)
{
	int code = EXIT_DONE;

	for (size_t i = 0; i < n && code == EXIT_DONE; i += 2) {
		enum flow_word word = 0;

		while (word < FLOW_WORD_MAX && strcmp(operands[i], words[word].name))
			word++;
		if (word == FLOW_WORD_MAX)
			return unknown_word(run, operands[i]);
		if (i + 1 == n || ret->has[word]) {
			diag_error(&run->diag, NOWHERE,
				   ret->has[word] ? "'%s' is given twice" : "'%s' needs a value behind it",
				   words[word].name);
			return EXIT_USAGE;
		}
		ret->has[word] = true;
		code = word == FLOW_WORD_STATE ? read_state(run, operands[i + 1], ret)
					       : read_value(run, word, operands[i + 1], ret);
	}
	return code;
}

void flow_filter_clear(struct flow_filter *filter)
{
	for (enum flow_word i = 0; i < FLOW_WORD_MAX; i++)
		free(filter->ranges[i]);
}

/* ---- comparing ---- */

/* false: a flow of this protocol has no such thing. */
static bool value_of(const struct flow *flow, enum flow_word word, struct value *ret)
{
	*ret = (struct value){ 0 };
	switch (word) {
	case FLOW_WORD_PROTO:
		ret->w[0] = flow->proto;
		return true;
	case FLOW_WORD_SRC:
	case FLOW_WORD_DST:
		*ret = flow_address(flow, word == FLOW_WORD_DST);
		return true;
	case FLOW_WORD_SPORT:
	case FLOW_WORD_DPORT:
		ret->w[0] = flow_port(flow, word == FLOW_WORD_DPORT);
		return flow_has_ports(flow);
	case FLOW_WORD_FAMILY:
		ret->w[0] = flow_family(flow);
		return true;
	case FLOW_WORD_STATE:
	case FLOW_WORD_MAX:
		break;
	}
	return false;
}

static int compare(const struct value *a, const struct value *b)
{
	for (int i = 0; i < 4; i++)
		if (a->w[i] != b->w[i])
			return a->w[i] < b->w[i] ? -1 : 1;
	return 0;
}

static bool ranges_hold(const struct flow_filter *filter, enum flow_word word, const struct flow *flow)
{
	struct value value;

	if (!value_of(flow, word, &value))
		return false;
	for (size_t i = 0; i < filter->n_ranges[word]; i++) {
		const struct range *range = &filter->ranges[word][i];

		if (words[word].type == TYPE_ADDR && range->family != flow_family(flow))
			continue;
		if (compare(&range->lo, &value) <= 0 && compare(&value, &range->hi) <= 0)
			return true;
	}
	return false;
}

bool flow_filter_holds(const struct flow_filter *filter, const struct flow *flow)
{
	for (enum flow_word i = 0; i < FLOW_WORD_MAX; i++)
		if (filter->has[i] && i != FLOW_WORD_STATE && !ranges_hold(filter, i, flow))
			return false;
	return !filter->state || !strcmp(filter->state, flow_time_info[flow_time_of(flow)].state);
}
