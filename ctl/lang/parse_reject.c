// SPDX-License-Identifier: GPL-2.0
/* `reject`, `reject with tcp reset`, `reject with icmp port-unreachable`. */
#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "suggest.h"
#include "words.h"

static void take_name(const struct reject_name *name, struct reject *ret)
{
	*ret = (struct reject){
		.kind = REJECT_WITH_ICMP, .family = name->family, .code4 = name->code4, .code6 = name->code6
	};
}

static bool of_kind(const struct reject_name *name, const struct token *with)
{
	return word_is(with->text, with->length, name->with);
}

static void unknown_name(struct parser *p, const struct token *with)
{
	struct suggestion s;
	char what[200] = "";
	size_t used = 0;

	suggest_start(&s, p->tok.text, p->tok.kind == T_WORD ? p->tok.length : 0);
	for (const struct reject_name *name = reject_names; name->name; name++) {
		if (!of_kind(name, with))
			continue;
		suggest_offer(&s, name->name);
		used += (size_t)snprintf(what + used, sizeof(what) - used, "%s%s",
					 !used                                     ? ""
					 : name[1].name && of_kind(name + 1, with) ? ", "
										   : " or ",
					 name->name);
	}
	parser_expected(p, what);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
}

bool parse_reject(struct parser *p, struct reject *ret)
{
	struct token with;

	parser_next(p);
	take_name(&reject_names[0], ret);
	if (!parser_accept_word(p, "with"))
		return true;
	with = p->tok;
	if (parser_accept_word(p, "tcp")) {
		if (!parser_accept_word(p, "reset"))
			return parser_expected(p, "'reset' behind 'tcp'");
		*ret = (struct reject){ .kind = REJECT_WITH_TCP_RESET };
		return true;
	}
	if (!parser_accept_word(p, "icmp") && !parser_accept_word(p, "icmpv6") && !parser_accept_word(p, "icmpx"))
		return parser_expected(p, "'tcp reset', 'icmp', 'icmpv6' or 'icmpx' behind 'with'");
	parser_accept_word(p, "type");
	for (const struct reject_name *name = reject_names; name->name; name++) {
		if (of_kind(name, &with) && parser_accept_word(p, name->name)) {
			take_name(name, ret);
			return true;
		}
	}
	unknown_name(p, &with);
	return false;
}
