// SPDX-License-Identifier: GPL-2.0
/* `filter NAME { ... }`: statements about the filter, and its rules in order. */
#include <string.h>

#include "fields.h"
#include "parse.h"
#include "words.h"

/* ---- rules ---- */

static struct item *item_push(struct parser *p, struct rule *rule, enum item_kind kind)
{
	struct item *item = &arena_push(p->l->arena, p->items, rule->n_items, p->items_capacity);

	*item = (struct item){ .kind = kind };
	return item;
}

static bool parse_counter(struct parser *p, struct rule *rule)
{
	struct token name;
	bool named;

	parser_next(p);
	named = parser_accept_word(p, "name") || p->tok.kind == T_STRING;
	name = p->tok;
	if (named && name.kind != T_WORD && name.kind != T_STRING)
		return parser_expected(p, "the counter's name");
	if (name.kind == T_WORD && !named && (token_is(&name, "packets") || token_is(&name, "bytes"))) {
		diag_error(p->l->diag, name.loc, "a rule file states no values of counters");
		return false;
	}
	if (!named && (name.kind != T_WORD || words_reserved(name.text, name.length) ||
		       field_is_first_word(name.text, name.length))) {
		item_push(p, rule, ITEM_COUNTER)->counter.named = -1;
		return true;
	}
	if (words_reserved(name.text, name.length) || field_is_first_word(name.text, name.length)) {
		diag_error(p->l->diag, name.loc, "'%.*s' is a word of the rule language and cannot name a counter",
			   (int)name.length, name.text);
		return false;
	}
	if (!lang_name_ok(p->l, "counter", name.text, name.length, name.loc))
		return false;
	parser_next(p);
	item_push(p, rule, ITEM_COUNTER)->counter.named = (int)lang_counter(p->l, name.text, name.length);
	return true;
}

static bool parse_log(struct parser *p, struct rule *rule)
{
	const char *prefix;
	int number = -1;

	parser_next(p);
	if (parser_accept_word(p, "prefix")) {
		if (!parse_text(p, "a text in double quotes behind 'prefix'", &prefix))
			return false;
		number = (int)lang_prefix(p->l, prefix, strlen(prefix));
	}
	if (token_is(&p->tok, "level") || token_is(&p->tok, "group") || token_is(&p->tok, "flags") ||
	    token_is(&p->tok, "snaplen") || token_is(&p->tok, "queue-threshold")) {
		diag_error(p->l->diag, p->tok.loc, "'log %.*s' is not supported", (int)p->tok.length, p->tok.text);
		diag_hint(p->l->diag, "expected 'log' or 'log prefix \"text\"'");
		return false;
	}
	item_push(p, rule, ITEM_LOG)->log.prefix = number;
	return true;
}

static bool parse_limit_item(struct parser *p, struct rule *rule)
{
	struct limit_rate limit = { 0 };
	struct condition condition;

	if (!parse_limit(p, &limit))
		return false;
	for (size_t i = 0; i < limit.n_fields; i++)
		if (imply_key_field(p->l, p->items, rule->n_items, &limit, i, &condition))
			item_push(p, rule, ITEM_CONDITION)->condition = condition;
	item_push(p, rule, ITEM_LIMIT)->limit = limit;
	return true;
}

static bool parse_ban_item(struct parser *p, struct rule *rule)
{
	struct ban_statement ban = { 0 };

	if (!parse_ban(p, &ban))
		return false;
	item_push(p, rule, ITEM_BAN)->ban = ban;
	return true;
}

struct rule_state {
	struct location verdict; /* file 0: none yet */
	struct location comment;
};

static bool parse_verdict(struct parser *p, struct rule *rule, struct rule_state *state)
{
	struct location loc = p->tok.loc, device;

	if (parser_accept_word(p, "accept")) {
		rule->verdict = POLICY_ACCEPT;
	} else if (parser_accept_word(p, "drop")) {
		rule->verdict = POLICY_DROP;
	} else if (parser_accept_word(p, "continue")) {
		rule->verdict = POLICY_NONE;
	} else if (token_is(&p->tok, "reject")) {
		if (!parse_reject(p, &rule->reject))
			return false;
		rule->verdict = POLICY_REJECT;
		loc = parser_span(p, loc);
	} else if (token_is(&p->tok, "synproxy")) {
		if (!parse_synproxy(p, &rule->synproxy))
			return false;
		rule->verdict = POLICY_SYNPROXY;
		loc = rule->synproxy.loc;
	} else {
		bool fwd = token_is(&p->tok, "fwd");

		parser_next(p);
		if (!parser_accept_word(p, "to") && fwd)
			return parser_expected(p, "'to' behind 'fwd'");
		if (!parse_device(p, &rule->redirect, &device))
			return false;
		rule->verdict = POLICY_REDIRECT;
	}
	state->verdict = loc;
	return true;
}

static bool is_verdict(const struct token *token)
{
	return token_is(token, "accept") || token_is(token, "drop") || token_is(token, "continue") ||
	       token_is(token, "reject") || token_is(token, "synproxy") || token_is(token, "redirect") ||
	       token_is(token, "fwd");
}

static bool parse_comment(struct parser *p, struct rule *rule, struct rule_state *state)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (state->comment.file) {
		diag_error(p->l->diag, loc, "a rule has one comment");
		diag_other(p->l->diag, state->comment);
		return false;
	}
	state->comment = loc;
	return parse_text(p, "a text in double quotes behind 'comment'", &rule->comment);
}

static bool parse_item(struct parser *p, struct rule *rule, struct rule_state *state)
{
	struct condition condition;

	if (p->tok.kind == T_BAD)
		return parser_expected(p, state->verdict.file ? "the end of the line"
							      : "a match, a statement or a verdict");
	if (token_is(&p->tok, "comment"))
		return parse_comment(p, rule, state);
	if (state->verdict.file) {
		diag_error(p->l->diag, p->tok.loc, "nothing but a comment can stand behind the verdict");
		diag_other(p->l->diag, state->verdict);
		diag_hint(p->l->diag, "expected the end of the line");
		return false;
	}
	if (is_verdict(&p->tok))
		return parse_verdict(p, rule, state);
	if (token_is(&p->tok, "counter"))
		return parse_counter(p, rule);
	if (token_is(&p->tok, "log"))
		return parse_log(p, rule);
	if (token_is(&p->tok, "limit"))
		return parse_limit_item(p, rule);
	if (token_is(&p->tok, "ban"))
		return parse_ban_item(p, rule);
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "a match, 'counter', 'log', 'limit', 'ban' or a verdict");
	if (!parse_condition(p, &condition))
		return false;
	item_push(p, rule, ITEM_CONDITION)->condition = condition;
	return true;
}

/* In front of everything else, as in nft: a counter does not see the packets that the verdict is not for. */
static void add_implied(struct parser *p, struct rule *rule, struct location loc)
{
	struct condition condition;
	size_t n = 0;

	while (n < rule->n_items && p->items[n].kind == ITEM_CONDITION)
		n++;
	if (!imply_verdict(p->l, p->items, n, rule, loc, &condition))
		return;
	item_push(p, rule, ITEM_CONDITION);
	memmove(p->items + 1, p->items, (rule->n_items - 1) * sizeof(*p->items));
	p->items[0] = (struct item){ .kind = ITEM_CONDITION, .condition = condition };
}

bool parse_rule(struct parser *p, struct rule *ret)
{
	struct rule rule = { .loc = p->tok.loc };
	struct rule_state state = { 0 };
	size_t errors = p->l->diag->n_errors;
	bool acts = false;

	while (!parser_at_end_of_statement(p))
		if (!parse_item(p, &rule, &state))
			return false;
	rule.loc = parser_span(p, rule.loc);
	for (size_t i = 0; i < rule.n_items; i++)
		acts |= p->items[i].kind != ITEM_CONDITION && p->items[i].kind != ITEM_LIMIT;
	if (!acts && !state.verdict.file && p->l->diag->n_errors == errors) {
		diag_error(p->l->diag, rule.loc, "this rule does nothing");
		diag_hint(p->l->diag, "expected accept, drop, reject, synproxy, redirect, counter, log or ban");
		return true;
	}
	if (rule.verdict == POLICY_REJECT || rule.verdict == POLICY_SYNPROXY)
		add_implied(p, &rule, state.verdict);
	rule.items = arena_copy(p->l->arena, p->items, rule.n_items * sizeof(*rule.items));
	*ret = rule;
	return true;
}

/* ---- statements ---- */

static bool stated(struct parser *p, struct location *there, struct location here, const char *what)
{
	if (there->file) {
		diag_error(p->l->diag, here, "'%s' is stated twice", what);
		diag_other(p->l->diag, *there);
		return false;
	}
	*there = here;
	return true;
}

static bool parse_hook(struct parser *p, struct filter *filter, struct filter_entry *entry)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (parser_accept_word(p, "egress")) {
		filter->hook = POLICY_TC_EGRESS;
	} else if (parser_accept_word(p, "ingress")) {
		filter->hook = POLICY_XDP;
		if (parser_accept_word(p, "tc"))
			filter->hook = POLICY_TC_INGRESS;
		else if (parser_accept_word(p, "generic"))
			filter->generic = true;
	} else {
		/* One problem is enough: do not say that the hook is missing, too. */
		if (!entry->hook_loc.file)
			entry->hook_loc = loc;
		parser_expected(p, "'ingress', 'ingress generic', 'ingress tc' or 'egress'");
		return false;
	}
	return stated(p, &entry->hook_loc, parser_span(p, loc), "hook") && parser_expect_end(p, "the hook");
}

static bool parse_devices(struct parser *p, struct filter *filter, struct filter_entry *entry)
{
	struct location loc = p->tok.loc;
	size_t start = p->scratch.n;
	struct symtab seen = { .arena = p->l->arena };
	bool ok, first_time = !entry->device_loc.file;

	parser_next(p);
	if (first_time)
		entry->device_loc = loc;
	do {
		ok = parse_raw_values(p, &p->scratch);
	} while (ok && parser_accept(p, T_COMMA));
	if (!ok) {
		p->scratch.n = start;
		return false;
	}
	if (!first_time) {
		p->scratch.n = start;
		return stated(p, &entry->device_loc, loc, "device");
	}
	for (size_t i = start; i < p->scratch.n; i++) {
		const struct raw_part *part = &p->scratch.parts[i];
		struct filter_device device = { .optional = part->optional, .loc = raw_place(part) };
		size_t known;
		int number;

		if (part->join != JOIN_END) {
			diag_error(p->l->diag, device.loc, "one device name is wanted here");
			continue;
		}
		number = lang_device(p->l, part->text, part->length, device.loc);
		if (number < 0)
			continue;
		device.device = (unsigned int)number;
		known = symtab_add(&seen, p->l->policy->devices[number], part->length, filter->n_devices);
		if (known != filter->n_devices) {
			diag_error(p->l->diag, device.loc, "device '%.*s' is named twice", (int)part->length,
				   part->text);
			diag_other(p->l->diag, filter->devices[known].loc);
			continue;
		}
		arena_push(p->l->arena, filter->devices, filter->n_devices, entry->devices_capacity) = device;
	}
	if (p->scratch.n == start)
		diag_error(p->l->diag, loc, "an empty list of devices");
	p->scratch.n = start;
	return parser_expect_end(p, "the devices");
}

static bool parse_accept_or_drop(struct parser *p, struct location *there, enum policy_verdict *ret, const char *what)
{
	struct location loc = p->tok.loc;
	enum policy_verdict verdict;

	parser_next(p);
	if (token_is(&p->tok, "accept") || token_is(&p->tok, "drop")) {
		verdict = token_is(&p->tok, "accept") ? POLICY_ACCEPT : POLICY_DROP;
		parser_next(p);
		if (!stated(p, there, parser_span(p, loc), what))
			return false;
		*ret = verdict;
		return parser_expect_end(p, what);
	}
	if (!there->file)
		*there = loc;
	parser_expected(p, "'accept' or 'drop'");
	if (!strcmp(what, "default") && token_is(&p->tok, "reject"))
		diag_hint(p->l->diag, "a last rule can say it: reject");
	return false;
}

static bool parse_fragments(struct parser *p, struct filter *filter, struct filter_entry *entry)
{
	static const enum policy_fragments ways[] = { FRAGMENTS_DROP, FRAGMENTS_ACCEPT, FRAGMENTS_TRACK };
	struct location loc = p->tok.loc;

	parser_next(p);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (!token_is(&p->tok, policy_fragments_word(ways[i])))
			continue;
		parser_next(p);
		if (!stated(p, &entry->fragments_loc, parser_span(p, loc), "fragments"))
			return false;
		filter->fragments = ways[i];
		return parser_expect_end(p, "'fragments'");
	}
	if (!entry->fragments_loc.file)
		entry->fragments_loc = loc;
	return parser_expected(p, "'drop', 'accept' or 'track'");
}

static bool parse_counters(struct parser *p, struct filter *filter, struct filter_entry *entry)
{
	struct location loc = p->tok.loc;

	parser_next(p);
	if (!token_is(&p->tok, "on") && !token_is(&p->tok, "off"))
		return parser_expected(p, "'on' or 'off'");
	filter->rule_counters = token_is(&p->tok, "on");
	parser_next(p);
	return stated(p, &entry->counters_loc, parser_span(p, loc), "counters") && parser_expect_end(p, "'counters'");
}

/* `device a, b` is a statement; `device a drop` is a rule. What stands behind the names tells. */
static bool is_device_statement(const struct parser *p)
{
	struct parser ahead = *p;

	parser_next(&ahead);
	for (;;) {
		if (ahead.tok.kind == T_OPEN) {
			while (ahead.tok.kind != T_CLOSE && ahead.tok.kind != T_END)
				parser_next(&ahead);
		} else if (ahead.tok.kind != T_WORD && ahead.tok.kind != T_STRING && ahead.tok.kind != T_DEFINE) {
			/* `device` alone: the statement's error says more than a match's. */
			return parser_at_end_of_statement(&ahead);
		}
		parser_next(&ahead);
		parser_accept_word(&ahead, "optional");
		if (!parser_accept(&ahead, T_COMMA))
			return parser_at_end_of_statement(&ahead);
	}
}

static bool parse_statement(struct parser *p, struct filter *filter, struct filter_entry *entry)
{
	struct rule rule = { 0 };

	if (p->tok.kind == T_WORD) {
		if (token_is(&p->tok, "hook"))
			return parse_hook(p, filter, entry);
		if (token_is(&p->tok, "device") && is_device_statement(p))
			return parse_devices(p, filter, entry);
		if (token_is(&p->tok, "default"))
			return parse_accept_or_drop(p, &entry->default_loc, &filter->default_verdict, "default");
		if (token_is(&p->tok, "malformed"))
			return parse_accept_or_drop(p, &entry->malformed_loc, &filter->malformed, "malformed");
		if (token_is(&p->tok, "fragments"))
			return parse_fragments(p, filter, entry);
		if (token_is(&p->tok, "counters"))
			return parse_counters(p, filter, entry);
		if (token_is(&p->tok, "define"))
			return parse_define(p);
		if (token_is(&p->tok, "include")) {
			diag_error(p->l->diag, p->tok.loc, "'include' stands outside of blocks");
			return false;
		}
	}
	if (!parse_rule(p, &rule))
		return false;
	arena_push(p->l->arena, filter->rules, filter->n_rules, entry->rules_capacity) = rule;
	return true;
}

static void enter_filter(struct parser *p, const struct filter *filter, const struct filter_entry *entry)
{
	struct lang *l = p->l;
	size_t known;

	l->filters.arena = l->arena;
	known = symtab_add(&l->filters, filter->name, strlen(filter->name), l->policy->n_filters);
	if (known != l->policy->n_filters) {
		diag_error(l->diag, filter->loc, "filter '%s' is defined twice", filter->name);
		diag_other(l->diag, l->policy->filters[known].loc);
	}
	/* A second one of the name is checked all the same. */
	arena_push(l->arena, l->policy->filters, l->policy->n_filters, l->filters_capacity) = *filter;
	arena_push(l->arena, l->filter_entries, l->n_filter_entries, l->filter_entries_capacity) = *entry;
}

bool parse_filter(struct parser *p)
{
	struct filter filter = { .malformed = POLICY_DROP, .fragments = FRAGMENTS_DROP, .rule_counters = true };
	struct filter_entry entry = { 0 };
	struct location open = p->tok.loc;
	struct token name;

	parser_next(p);
	name = p->tok;
	if (!parser_expect(p, T_WORD, "a name behind 'filter'"))
		return false;
	if (!lang_name_ok(p->l, "filter", name.text, name.length, name.loc) ||
	    !parser_expect(p, T_OPEN, "'{' behind the name"))
		return false;
	filter.name = arena_text(p->l->arena, name.text, name.length);
	filter.loc = name.loc;
	while (parser_in_block(p)) {
		if (p->tok.kind == T_END || parser_at_block_start(p)) {
			/* As if the } were there, so that the next block is read as one. */
			p->unclosed = entry.unclosed = parser_unclosed(p, open, "of filter '%s'", filter.name);
			break;
		}
		if (!parse_statement(p, &filter, &entry))
			parser_skip_statement(p);
	}
	enter_filter(p, &filter, &entry);
	return true;
}
