// SPDX-License-Identifier: GPL-2.0
/* `synproxy mss 1460 wscale 7 timestamp sack-perm`: nft's words, in any order. */
#include "parse.h"

static bool parse_bounded(struct parser *p, uint32_t *ret, uint32_t least, uint32_t most, const char *what)
{
	struct token number = p->tok;

	if (number.kind != T_WORD || !value_number(number.text, number.length, ret))
		return parser_expected(p, what);
	parser_next(p);
	if (*ret >= least && *ret <= most)
		return true;
	diag_error(p->l->diag, number.loc, "%u is not between %u and %u", *ret, least, most);
	return false;
}

bool parse_synproxy(struct parser *p, struct synproxy *ret)
{
	struct location loc = p->tok.loc, word;
	bool mss = false;
	uint32_t number;

	*ret = (struct synproxy){ .scale = -1 };
	parser_next(p);
	for (;;) {
		bool twice;

		word = p->tok.loc;
		if (parser_accept_word(p, "mss")) {
			twice = mss;
			if (!parse_bounded(p, &number, SYNPROXY_MSS_LEAST, SYNPROXY_MSS_MOST,
					   "a segment size behind 'mss'"))
				return false;
			ret->mss = (uint16_t)number;
			mss = true;
		} else if (parser_accept_word(p, "wscale")) {
			twice = ret->scale >= 0;
			if (!parse_bounded(p, &number, 0, SYNPROXY_SCALE_MOST, "a shift behind 'wscale'"))
				return false;
			ret->scale = (int8_t)number;
		} else if (parser_accept_word(p, "timestamp")) {
			twice = ret->timestamp;
			ret->timestamp = true;
		} else if (parser_accept_word(p, "sack-perm")) {
			twice = ret->sack;
			ret->sack = true;
		} else {
			break;
		}
		if (twice) {
			diag_error(p->l->diag, word, "this is stated twice");
			return false;
		}
	}
	ret->loc = parser_span(p, loc);
	return true;
}
