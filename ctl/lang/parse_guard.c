// SPDX-License-Identifier: GPL-2.0
/* `guard NAME { ... }`: who may talk to an endpoint. Its endpoints and `allow` statements have files of their own. */
#include "parse_guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "suggest.h"

bool parse_guard_list(struct parser *p, const char *what, size_t start)
{
	do {
		if (p->tok.kind != T_WORD && p->tok.kind != T_STRING && p->tok.kind != T_DEFINE &&
		    p->tok.kind != T_OPEN)
			return parser_expected(p, what);
		if (!parse_raw_values(p, &p->scratch))
			return false;
	} while (parser_accept(p, T_COMMA));
	for (size_t i = start; i < p->scratch.n; i++) {
		const struct raw_part *part = &p->scratch.parts[i];

		if (part->join == JOIN_END && !part->optional && part->length)
			continue;
		diag_error(p->l->diag, raw_place(part), "this is not one name");
		diag_hint(p->l->diag, "expected %s", what);
		return false;
	}
	if (p->scratch.n > start)
		return true;
	diag_error(p->l->diag, p->last.loc, "an empty list");
	diag_hint(p->l->diag, "expected %s", what);
	return false;
}

bool parse_guard_unknown(struct parser *p, const struct raw_part *part, const char *noun,
			 const struct named_number *words)
{
	struct suggestion s;
	char all[200] = "";

	diag_error(p->l->diag, raw_place(part), "'%.*s' is not %s", (int)(part->length < 64 ? part->length : 64),
		   part->text, noun);
	suggest_start(&s, part->text, part->length);
	for (; words->name; words++) {
		size_t used = strlen(all);

		suggest_offer(&s, words->name);
		snprintf(all + used, sizeof(all) - used, "%s%s",
			 !used           ? ""
			 : words[1].name ? ", "
					 : " or ",
			 words->name);
	}
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	else
		diag_hint(p->l->diag, "expected %s", all);
	return false;
}

/* ---- forwarded ---- */

static bool add_device(struct parser *p, struct guard_block *block, const struct raw_part *part)
{
	struct guard_statement *guard = &block->guard;
	int number = lang_device(p->l, part->text, part->length, raw_place(part));

	if (number < 0)
		return false;
	for (size_t i = 0; i < guard->n_devices; i++)
		if (guard->devices[i] == (unsigned int)number)
			return !diag_error(p->l->diag, raw_place(part), "device '%.*s' is named twice",
					   (int)part->length, part->text);
	if (guard->n_devices == GUARD_MOST_DEVICES)
		return !diag_error(p->l->diag, raw_place(part), "more than %d devices", GUARD_MOST_DEVICES);
	arena_push(p->l->arena, guard->devices, guard->n_devices, block->devices_capacity) = (unsigned int)number;
	return true;
}

static bool parse_forwarded(struct parser *p, struct guard_block *block)
{
	size_t start = p->scratch.n;
	bool ok;

	parser_next(p);
	if (!parser_state_once(p, "'forwarded'", p->last.loc, &block->forwarded))
		return false;
	if (!token_is(&p->tok, "deny") && !token_is(&p->tok, "allow"))
		return parser_expected(p, "'deny' or 'allow' behind 'forwarded'");
	block->guard.forwarded = token_is(&p->tok, "allow");
	parser_next(p);
	if (!block->guard.forwarded || !parser_accept_word(p, "from"))
		return parser_expect_end(p, "'forwarded'");
	ok = parse_guard_list(p, "a device name behind 'from'", start);
	for (size_t i = start; ok && i < p->scratch.n; i++)
		ok = add_device(p, block, &p->scratch.parts[i]);
	p->scratch.n = start;
	return ok && parser_expect_end(p, "the devices");
}

/* ---- deny, audit ---- */

static bool parse_word_of(struct parser *p, const struct named_number *words, const char *noun, const char *what,
			  uint32_t *ret)
{
	struct raw_part part = { .text = p->tok.text, .length = (uint32_t)p->tok.length, .loc = p->tok.loc };

	if (p->tok.kind != T_WORD)
		return parser_expected(p, what);
	if (!words_find_in(words, part.text, part.length, ret))
		return parse_guard_unknown(p, &part, noun, words);
	parser_next(p);
	return true;
}

static bool parse_deny(struct parser *p, struct guard_block *block)
{
	struct location loc = p->tok.loc;
	uint32_t number;

	parser_next(p);
	if (!parser_accept_word(p, "errno")) {
		parser_expected(p, "'errno' behind 'deny'");
		diag_hint(p->l->diag, "a guard denies all whom no 'allow' names; 'deny errno NAME' says how");
		return false;
	}
	if (!parser_state_once(p, "'deny'", loc, &block->deny))
		return false;
	if (!parse_word_of(p, guard_errnos, "an error that a guard can answer",
			   "the name of an error behind 'errno', as in EPERM", &number))
		return false;
	block->guard.deny_errno = (int)number;
	return parser_expect_end(p, "the error");
}

static bool parse_audit(struct parser *p, struct guard_block *block)
{
	uint32_t number;

	parser_next(p);
	if (!parser_state_once(p, "'audit'", p->last.loc, &block->audit))
		return false;
	if (!parse_word_of(p, guard_audits, "what 'audit' can say", "'denied', 'all' or 'none' behind 'audit'",
			   &number))
		return false;
	block->guard.audit = (enum guard_audit_word)number;
	return parser_expect_end(p, "'audit'");
}

/* ---- the block ---- */

static const struct statement {
	const char *word;
	bool (*parse)(struct parser *p, struct guard_block *block);
} statements[] = {
	{ "provider", parse_guard_provider },
	{ "endpoint", parse_guard_endpoint },
	{ "allow", parse_guard_allow },
	{ "forwarded", parse_forwarded },
	{ "deny", parse_deny },
	{ "audit", parse_audit },
};

static bool parse_statement(struct parser *p, struct guard_block *block)
{
	struct suggestion s;

	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
		if (token_is(&p->tok, statements[i].word))
			return statements[i].parse(p, block);
	if (p->tok.kind != T_WORD)
		return parser_expected(p, "'provider', 'endpoint', 'allow', 'forwarded', 'deny' or 'audit'");
	diag_error(p->l->diag, p->tok.loc, "'%.*s' is not a statement of a guard",
		   (int)(p->tok.length < 64 ? p->tok.length : 64), p->tok.text);
	suggest_start(&s, p->tok.text, p->tok.length);
	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++)
		suggest_offer(&s, statements[i].word);
	if (suggest_best(&s))
		diag_hint(p->l->diag, "did you mean '%s'?", suggest_best(&s));
	else
		diag_hint(p->l->diag, "expected provider, endpoint, allow, forwarded, deny or audit");
	return false;
}

static void enter_guard(struct parser *p, struct guard_statement *guard)
{
	struct lang *l = p->l;
	size_t known;

	l->guards.arena = l->arena;
	known = symtab_add(&l->guards, guard->name, strlen(guard->name), l->policy->n_guards);
	if (known != l->policy->n_guards) {
		diag_error(l->diag, guard->loc, "guard '%s' is defined twice", guard->name);
		diag_other(l->diag, l->policy->guards[known].loc);
	}
	guard->handle = hash_bytes(guard->name, strlen(guard->name), HASH_SEED);
	arena_push(l->arena, l->policy->guards, l->policy->n_guards, l->guards_capacity) = *guard;
}

bool parse_guard(struct parser *p)
{
	struct guard_block block = { .guard.deny_errno = GUARD_ERRNO };
	struct location open = p->tok.loc;
	struct token name;
	size_t errors;

	parser_next(p);
	name = p->tok;
	if (!parser_expect(p, T_WORD, "a name behind 'guard'") ||
	    !lang_name_ok(p->l, "guard", name.text, name.length, name.loc) ||
	    !parser_expect(p, T_OPEN, "'{' behind the name"))
		return false;
	block.guard.name = arena_text(p->l->arena, name.text, name.length);
	block.guard.loc = name.loc;
	errors = p->l->diag->n_errors;
	while (parser_in_block(p)) {
		if (p->tok.kind == T_END || parser_at_block_start(p)) {
			p->unclosed = parser_unclosed(p, open, "of guard '%s'", block.guard.name);
			break;
		}
		if (!parse_statement(p, &block))
			parser_skip_statement(p);
	}
	if (!block.guard.n_targets && p->l->diag->n_errors == errors) {
		diag_error(p->l->diag, block.guard.loc, "guard '%s' has no endpoint", block.guard.name);
		diag_hint(p->l->diag, "expected 'provider NAME' or 'endpoint ADDRESS:PORT' in the block");
	}
	enter_guard(p, &block.guard);
	return true;
}
