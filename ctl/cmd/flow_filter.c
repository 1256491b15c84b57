// SPDX-License-Identifier: GPL-2.0
/* Which flows are meant: `proto tcp src 192.0.2.0/24 state established`. All words must hold. */
#include "flow.h"

#include <netinet/in.h>
#include <string.h>

/* Those of one protocol, then of the next: some stand there again. */
static const char *const states[] = {
#define X(id, protocol, state, seconds) state,
	FLOW_TIMES(X)
#undef X
		NULL
};

static const struct word_info words[FLOW_WORD_MAX] = {
#define X(id, word, of) [FLOW_WORD_##id] = { .name = word, .type = of, .choices = (of) == TYPE_MAX ? states : NULL },
	FLOW_WORDS(X)
#undef X
};
const struct word_list flow_words = { "flows", words, FLOW_WORD_MAX };

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

int flow_filter_read(struct run *run, char **operands, size_t n, struct flow_filter *ret)
{
	return words_read(run, &flow_words, operands, n, ret->word);
}

void flow_filter_clear(struct flow_filter *filter)
{
	words_clear(&flow_words, filter->word);
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

bool flow_filter_holds(const struct flow_filter *filter, const struct flow *flow)
{
	struct value value;

	for (enum flow_word i = 0; i < FLOW_WORD_MAX; i++)
		if (filter->word[i].given && i != FLOW_WORD_STATE &&
		    !(value_of(flow, i, &value) && word_holds(&words[i], &filter->word[i], flow_family(flow), &value)))
			return false;
	return !filter->word[FLOW_WORD_STATE].given ||
	       !strcmp(filter->word[FLOW_WORD_STATE].text, flow_time_info[flow_time_of(flow)].state);
}
