// SPDX-License-Identifier: GPL-2.0
/* Canonical text of guards. */
#include <stdlib.h>
#include <string.h>

#include "lex.h"
#include "print.h"

static void print_target(struct strbuf *b, const struct guard_target *target)
{
	const struct range *addr = &target->addr;
	bool six = addr->family == 6 && target->port;

	strbuf_str(b, six ? "[" : "");
	print_address(b, &addr->lo, addr->family);
	strbuf_str(b, six ? "]" : "");
	if (addr->prefix_len != (addr->family == 4 ? 32 : 128))
		strbuf_format(b, "/%u", addr->prefix_len);
	if (target->port)
		strbuf_format(b, ":%u", target->port);
}

char *guard_target_print(const struct guard_target *target)
{
	struct strbuf b = { 0 };

	print_target(&b, target);
	return strbuf_take(&b);
}

/* Names that the lexer reads as one word. */
static void print_name(struct strbuf *b, const char *name)
{
	bool plain = strcmp(name, ".") && strcmp(name, "-") && *name != '/';

	for (const char *at = name; *at; at++)
		plain &= lex_is_word_char((unsigned char)*at);
	if (plain)
		strbuf_str(b, name);
	else
		print_quoted(b, name);
}

static bool by_number(const struct guard_allow *allow)
{
	return allow->kind == GUARD_ALLOW_USER || allow->kind == GUARD_ALLOW_GROUP;
}

static void print_allow(struct strbuf *b, const struct guard_allow *allow, bool number)
{
	strbuf_format(b, "allow %s ", guard_principal_word(allow->kind));
	if (by_number(allow))
		print_name(b, allow->name);
	else
		print_quoted(b, allow->name);
	if (allow->token)
		strbuf_str(b, " token required");
	if (allow->path) {
		strbuf_str(b, " path ");
		print_quoted(b, allow->path);
	}
	if (number && by_number(allow) && (*allow->name < '0' || *allow->name > '9'))
		strbuf_format(b, " # %u", allow->id);
}

static void print_forwarded(struct strbuf *b, const struct policy *policy, const struct guard_statement *guard)
{
	strbuf_str(b, guard->forwarded ? "forwarded allow" : "forwarded deny");
	for (size_t i = 0; i < guard->n_devices; i++) {
		strbuf_str(b, i ? ", " : " from ");
		print_quoted(b, policy->devices[guard->devices[i]]);
	}
}

/* A provider's endpoints are one statement: the others of the same one are part of it. */
static bool goes_on(const struct guard_statement *guard, size_t i)
{
	return i && guard->targets[i].provider && guard->targets[i].provider == guard->targets[i - 1].provider;
}

char **guard_lines(const struct policy *policy, const struct guard_statement *guard, bool numbers, size_t *ret_n)
{
	char **lines = calloc(guard->n_targets + guard->n_allows + 4, sizeof(*lines));
	struct strbuf b = { 0 };
	size_t n = 0;
	bool whole = lines != NULL;

#define LINE_ENDS() (lines[n] = strbuf_take(&b), whole &= lines[n++] != NULL)
	for (size_t i = 0; whole && i < guard->n_targets; i++) {
		const struct guard_target *target = &guard->targets[i];

		if (goes_on(guard, i))
			continue;
		strbuf_str(&b, target->provider ? "provider " : "endpoint ");
		if (target->provider)
			strbuf_str(&b, target->provider);
		else
			print_target(&b, target);
		if (!target->provider && target->tokens)
			strbuf_format(&b, " token %s", guard_token_word((enum guard_token)target->tokens));
		LINE_ENDS();
	}
	for (size_t i = 0; whole && i < guard->n_allows; i++) {
		print_allow(&b, &guard->allows[i], numbers);
		LINE_ENDS();
	}
	if (whole) {
		print_forwarded(&b, policy, guard);
		LINE_ENDS();
		strbuf_format(&b, "deny errno %s", guard_errno_word(guard->deny_errno));
		LINE_ENDS();
		strbuf_format(&b, "audit %s", guard_audit_text(guard->audit));
		LINE_ENDS();
	}
#undef LINE_ENDS
	if (whole) {
		*ret_n = n;
		return lines;
	}
	guard_lines_free(lines, n);
	return NULL;
}

void guard_lines_free(char **lines, size_t n)
{
	for (size_t i = 0; lines && i < n; i++)
		free(lines[i]);
	free(lines);
}

void print_guard(struct strbuf *b, const struct policy *policy, const struct guard_statement *guard)
{
	size_t n;
	char **lines = guard_lines(policy, guard, false, &n);

	if (!lines) {
		b->failed = true;
		return;
	}
	strbuf_format(b, "guard %s {\n", guard->name);
	for (size_t i = 0; i < n; i++)
		strbuf_format(b, "\t%s\n", lines[i]);
	strbuf_str(b, "}\n\n");
	guard_lines_free(lines, n);
}
