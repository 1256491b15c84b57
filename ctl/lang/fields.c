// SPDX-License-Identifier: GPL-2.0
#include "fields.h"

#include <stdio.h>
#include <string.h>

#include "suggest.h"
#include "words.h"

const struct field_info field_info[FIELD_MAX] = {
#define X(id, text, t, b, l, h)                                                                                        \
	[FIELD_##id] = { .words = text, .type = t, .bits = b, .layer = LAYER_##l, .hooks = (#h)[0] },
	FIELDS(X)
#undef X
};

struct spelling {
	const char *word[FIELD_WORDS];
	enum field field;
};

/* Canonical spellings first: of FIELDS' words, taken apart by hand because the preprocessor cannot; a test compares. */
static const struct spelling spellings[] = {
	{ { "ether", "type" }, FIELD_ETHER_TYPE },
	{ { "ether", "saddr" }, FIELD_ETHER_SADDR },
	{ { "ether", "daddr" }, FIELD_ETHER_DADDR },
	{ { "vlan", "id" }, FIELD_VLAN_ID },
	{ { "vlan", "pcp" }, FIELD_VLAN_PCP },
	{ { "vlan", "inner", "id" }, FIELD_VLAN_INNER_ID },
	{ { "vlan", "inner", "pcp" }, FIELD_VLAN_INNER_PCP },
	{ { "saddr" }, FIELD_SADDR },
	{ { "daddr" }, FIELD_DADDR },
	{ { "dscp" }, FIELD_DSCP },
	{ { "ecn" }, FIELD_ECN },
	{ { "ttl" }, FIELD_TTL },
	{ { "fragment" }, FIELD_FRAGMENT },
	{ { "ip", "saddr" }, FIELD_IP_SADDR },
	{ { "ip", "daddr" }, FIELD_IP_DADDR },
	{ { "ip", "protocol" }, FIELD_IP_PROTOCOL },
	{ { "ip", "dscp" }, FIELD_IP_DSCP },
	{ { "ip", "ecn" }, FIELD_IP_ECN },
	{ { "ip", "ttl" }, FIELD_IP_TTL },
	{ { "ip", "length" }, FIELD_IP_LENGTH },
	{ { "ip", "frag-off" }, FIELD_IP_FRAG_OFF },
	{ { "ip", "options" }, FIELD_IP_OPTIONS },
	{ { "ip6", "saddr" }, FIELD_IP6_SADDR },
	{ { "ip6", "daddr" }, FIELD_IP6_DADDR },
	{ { "ip6", "nexthdr" }, FIELD_IP6_NEXTHDR },
	{ { "ip6", "dscp" }, FIELD_IP6_DSCP },
	{ { "ip6", "ecn" }, FIELD_IP6_ECN },
	{ { "ip6", "hoplimit" }, FIELD_IP6_HOPLIMIT },
	{ { "ip6", "length" }, FIELD_IP6_LENGTH },
	{ { "ip6", "exthdr" }, FIELD_IP6_EXTHDR },
	{ { "frag", "frag-off" }, FIELD_FRAG_OFF },
	{ { "frag", "more-fragments" }, FIELD_FRAG_MORE },
	{ { "tcp", "sport" }, FIELD_TCP_SPORT },
	{ { "tcp", "dport" }, FIELD_TCP_DPORT },
	{ { "tcp", "flags" }, FIELD_TCP_FLAGS },
	{ { "udp", "sport" }, FIELD_UDP_SPORT },
	{ { "udp", "dport" }, FIELD_UDP_DPORT },
	{ { "sctp", "sport" }, FIELD_SCTP_SPORT },
	{ { "sctp", "dport" }, FIELD_SCTP_DPORT },
	{ { "th", "sport" }, FIELD_TH_SPORT },
	{ { "th", "dport" }, FIELD_TH_DPORT },
	{ { "icmp", "type" }, FIELD_ICMP_TYPE },
	{ { "icmp", "code" }, FIELD_ICMP_CODE },
	{ { "icmpv6", "type" }, FIELD_ICMPV6_TYPE },
	{ { "icmpv6", "code" }, FIELD_ICMPV6_CODE },
	{ { "meta", "l4proto" }, FIELD_META_L4PROTO },
	{ { "meta", "nfproto" }, FIELD_META_NFPROTO },
	{ { "meta", "length" }, FIELD_META_LENGTH },
	{ { "meta", "mark" }, FIELD_META_MARK },
	{ { "meta", "skuid" }, FIELD_META_SKUID },
	{ { "ct", "state" }, FIELD_CT_STATE },
	{ { "iif" }, FIELD_IIF },
	{ { "oif" }, FIELD_OIF },
	{ { "device" }, FIELD_DEVICE },
	/* other spellings */
	{ { "meta", "protocol" }, FIELD_ETHER_TYPE },
	{ { "hoplimit" }, FIELD_TTL },
	{ { "exthdr" }, FIELD_IP6_EXTHDR },
	{ { "sport" }, FIELD_TH_SPORT },
	{ { "dport" }, FIELD_TH_DPORT },
	{ { "proto" }, FIELD_META_L4PROTO },
	{ { "protocol" }, FIELD_META_L4PROTO },
	{ { "l4proto" }, FIELD_META_L4PROTO },
	{ { "mark" }, FIELD_META_MARK },
	{ { "skuid" }, FIELD_META_SKUID },
	{ { "meta", "iif" }, FIELD_IIF },
	{ { "meta", "iifname" }, FIELD_IIF },
	{ { "iifname" }, FIELD_IIF },
	{ { "meta", "oif" }, FIELD_OIF },
	{ { "meta", "oifname" }, FIELD_OIF },
	{ { "oifname" }, FIELD_OIF },
};

#define N_SPELLINGS (sizeof(spellings) / sizeof(*spellings))

/* How many words of the spelling stand in words; 0 unless all of them do. */
static size_t spelling_match(const struct spelling *s, const struct field_word *words, size_t n)
{
	size_t i;

	for (i = 0; i < FIELD_WORDS && s->word[i]; i++)
		if (i == n || !word_is(words[i].text, words[i].length, s->word[i]))
			return 0;
	return i;
}

size_t field_find(const struct field_word *words, size_t n, enum field *ret_field)
{
	size_t best = 0;

	for (size_t i = 0; i < N_SPELLINGS; i++) {
		size_t matched;

		/* Most spellings differ in their first letter. */
		if (spellings[i].word[0][0] != words[0].text[0])
			continue;
		matched = spelling_match(&spellings[i], words, n);
		if (matched > best) {
			best = matched;
			*ret_field = spellings[i].field;
		}
	}
	return best;
}

bool field_is_first_word(const char *text, size_t length)
{
	for (size_t i = 0; i < N_SPELLINGS; i++)
		if (word_is(text, length, spellings[i].word[0]))
			return true;
	return false;
}

void field_suggest(struct suggestion *s, const struct field_word *words, size_t n)
{
	for (size_t i = 0; i < N_SPELLINGS; i++) {
		const struct spelling *spelling = &spellings[i];
		size_t same = 0;

		while (same + 1 < n && spelling->word[same] &&
		       word_is(words[same].text, words[same].length, spelling->word[same]))
			same++;
		if (same + 1 == n && spelling->word[same])
			suggest_offer(s, spelling->word[same]);
	}
}

void field_list_seconds(const char *first, size_t first_length, char *text, size_t size)
{
	const char *last = NULL;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i <= N_SPELLINGS; i++) {
		const char *word = NULL;

		if (i < N_SPELLINGS) {
			if (!word_is(first, first_length, spellings[i].word[0]) || !spellings[i].word[1])
				continue;
			word = spellings[i].word[1];
			if (last && !strcmp(last, word)) /* vlan inner id, vlan inner pcp */
				continue;
		}
		if (last && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? word ? ", " : " or " : "",
						 last);
		last = word;
	}
}
