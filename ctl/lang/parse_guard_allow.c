// SPDX-License-Identifier: GPL-2.0
/* `allow user|group|cgroup|service NAME [token required] [path "/PATH"]` */
#include <errno.h>
#include <string.h>

#include "parse_guard.h"

static const char *shown(struct parser *p, const struct raw_part *part)
{
	return arena_text(p->l->arena, part->text, part->length < 64 ? part->length : 64);
}

/* ---- users and groups ---- */

#define ID_NONE UINT32_MAX /* (uid_t)-1: nobody has it */

static bool resolve(struct parser *p, const struct raw_part *part, struct guard_allow *allow)
{
	const struct lang_env *env = p->l->env;
	int (*lookup)(void *, const char *, uint32_t *) = !env                              ? NULL
							  : allow->kind == GUARD_ALLOW_USER ? env->lookup_user
											    : env->lookup_group;
	const char *noun = guard_principal_word(allow->kind);
	int r = -ENOSYS;

	if (value_number(part->text, part->length, &allow->id)) {
		if (allow->id != ID_NONE)
			return true;
		return !diag_error(p->l->diag, allow->loc, "no %s has the number %u", noun, ID_NONE);
	}
	if (part->length > GUARD_NAME_MOST)
		r = -ENOENT;
	else if (lookup)
		r = lookup(env->context, allow->name, &allow->id);
	if (r >= 0)
		return true;
	if (r == -ENOENT || r == -ENOSYS) {
		diag_error(p->l->diag, allow->loc, "'%s' is not a %s", shown(p, part), noun);
		diag_hint(p->l->diag,
			  r == -ENOENT ? "no such %s on this machine; a number always works"
				       : "expected the number of a %s",
			  noun);
		return false;
	}
	diag_error(p->l->diag, allow->loc, "cannot look up %s '%s': %s", noun, shown(p, part), strerror(-r));
	diag_hint(p->l->diag, "a number always works");
	return false;
}

/* ---- cgroups ---- */

#define CGROUP_MOUNT "/sys/fs/cgroup"

static bool bad_cgroup(struct parser *p, const struct guard_allow *allow, const char *what, const char *hint)
{
	diag_error(p->l->diag, allow->loc, "%s", what);
	diag_hint(p->l->diag, "%s", hint);
	return false;
}

static bool check_cgroup(struct parser *p, struct guard_allow *allow)
{
	static const char expected[] = "expected a path as in /proc/PID/cgroup: \"/system.slice/nginx.service\"";
	const char *name = allow->name;
	size_t levels = 0, length;

	if (*name != '/')
		return bad_cgroup(p, allow, "the path of a cgroup begins with '/'", expected);
	if (!strncmp(name, CGROUP_MOUNT, strlen(CGROUP_MOUNT)))
		return bad_cgroup(p, allow, "the path of a cgroup starts at the root of the cgroups, not of the files",
				  "leave out " CGROUP_MOUNT);
	if (!name[1]) {
		diag_warning(p->l->diag, allow->loc, "every process is in cgroup '/' or below it: this allows all");
		return true;
	}
	for (; *name; name += length) {
		length = strcspn(++name, "/");
		if (!length)
			return bad_cgroup(p, allow, "an empty name in the path of a cgroup", expected);
		if ((length == 1 && *name == '.') || (length == 2 && !memcmp(name, "..", 2)))
			return bad_cgroup(p, allow, "'.' and '..' are not names of cgroups", expected);
		if (length > GUARD_NAME_MOST)
			return !diag_error(p->l->diag, allow->loc, "a cgroup's name is longer than %d bytes",
					   GUARD_NAME_MOST);
		if (++levels > GUARD_CGROUP_MOST)
			return !diag_error(p->l->diag, allow->loc, "the path has more than %d names",
					   GUARD_CGROUP_MOST);
	}
	return true;
}

/* ---- services ---- */

/* Kinds of units, and what to say of those that are never between a slice and a process. */
static const struct {
	const char *suffix, *hint;
} units[] = {
	{ ".service", NULL },
	{ ".scope", NULL },
	{ ".socket", NULL },
	{ ".mount", NULL },
	{ ".swap", NULL },
	{ ".slice", "write 'allow cgroup' and the path of the slice: what is below it is allowed, too" },
	{ ".timer", "name the service that it starts" },
	{ ".path", "name the service that it starts" },
	{ ".target", "name a service" },
	{ ".device", "name a service" },
	{ ".automount", "name the mount" },
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), end = strlen(suffix);

	return length > end && !strcmp(name + length - end, suffix);
}

static const char *with_service(struct parser *p, const char *name)
{
	size_t length = strlen(name);
	char *whole = arena_alloc(p->l->arena, length + sizeof(".service"));

	memcpy(whole, name, length);
	strcpy(whole + length, ".service");
	return whole;
}

static bool is_unit_name(const char *name)
{
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || strchr(":-_.\\@", *name)))
			return false;
	return true;
}

static bool check_service(struct parser *p, struct guard_allow *allow)
{
	const char *hint = NULL;
	bool known = false;

	if (!is_unit_name(allow->name)) {
		diag_error(p->l->diag, allow->loc, "'%s' is not the name of a unit", allow->name);
		diag_hint(p->l->diag, *allow->name == '/'
					      ? "the path of a cgroup stands behind 'allow cgroup'"
					      : "expected a name as systemctl shows it, as in \"nginx.service\"");
		return false;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(*units) && !known; i++) {
		known = has_suffix(allow->name, units[i].suffix);
		hint = known ? units[i].hint : NULL;
	}
	if (!known)
		allow->name = with_service(p, allow->name);
	if (hint) {
		diag_error(p->l->diag, allow->loc, "'%s' has no processes of its own", allow->name);
		diag_hint(p->l->diag, "%s", hint);
		return false;
	}
	if (strlen(allow->name) <= GUARD_NAME_MOST)
		return true;
	return !diag_error(p->l->diag, allow->loc, "the name of a unit is longer than %d bytes", GUARD_NAME_MOST);
}

/* ---- what it asks of a request ---- */

static bool bad_path(struct parser *p, struct location loc, const char *what, const char *hint)
{
	diag_error(p->l->diag, loc, "%s", what);
	if (hint)
		diag_hint(p->l->diag, "%s", hint);
	return false;
}

/* A name of the path that servers may take for another path. */
static bool has_dots(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/.")) != NULL; at++) {
		const char *end = at + (at[2] == '.' ? 3 : 2);

		if (*end == '/' || !*end)
			return true;
	}
	return false;
}

/* Only what has one spelling: the data path compares bytes. */
static bool check_path(struct parser *p, struct location loc, const char *path)
{
	if (*path != '/')
		return bad_path(p, loc, "the path of a request begins with '/'", NULL);
	if (strchr(path, '%'))
		return bad_path(p, loc, "'%' in a path",
				"paths are compared byte by byte, and a request with '%' in its path is denied");
	if (strpbrk(path, "?#"))
		return bad_path(p, loc, "a path ends where '?' or '#' begins", "what stands behind it is not compared");
	if (strstr(path, "//") || has_dots(path))
		return bad_path(p, loc, "'//', '/./' and '/../' in a path",
				"a request that has them is denied: write the path without");
	if (strchr(path, '*'))
		return bad_path(p, loc, "'*' in a path", "a path with '/' at its end stands for all below it");
	for (const char *at = path; *at; at++)
		if (*at <= ' ' || *at > '~')
			return bad_path(p, loc, "a path is made of printed ASCII characters", NULL);
	return true;
}

static bool parse_token(struct parser *p, struct guard_allow *allow, struct location *there)
{
	parser_next(p);
	if (!parser_state_once(p, "'token'", p->last.loc, there))
		return false;
	if (!parser_accept_word(p, "required"))
		return parser_expected(p, "'required' behind 'token'");
	allow->token = true;
	return true;
}

static bool parse_path(struct parser *p, struct guard_allow *allow, struct location *there)
{
	struct location loc;

	parser_next(p);
	if (!parser_state_once(p, "'path'", p->last.loc, there))
		return false;
	loc = p->tok.loc;
	_Static_assert(GUARD_PATH_MOST == TEXT_MOST, "parse_text() holds paths to their length");
	return parse_text(p, "a path in double quotes behind 'path'", &allow->path) && check_path(p, loc, allow->path);
}

static bool parse_request(struct parser *p, struct guard_allow *allow)
{
	struct location token = { 0 }, path = { 0 };

	while (!parser_at_end_of_statement(p)) {
		if (token_is(&p->tok, "token")) {
			if (!parse_token(p, allow, &token))
				return false;
		} else if (token_is(&p->tok, "path")) {
			if (!parse_path(p, allow, &path))
				return false;
		} else {
			return parser_expected(p, "'token required', 'path' or the end of the line");
		}
	}
	return true;
}

/* ---- the statement ---- */

static bool read_principal(struct parser *p, const struct raw_part *part, struct guard_allow *allow)
{
	allow->loc = raw_place(part);
	allow->name = arena_text(p->l->arena, part->text, part->length);
	switch (allow->kind) {
	case GUARD_ALLOW_CGROUP:
		return check_cgroup(p, allow);
	case GUARD_ALLOW_SERVICE:
		return check_service(p, allow);
	default:
		return resolve(p, part, allow);
	}
}

static bool add_allow(struct parser *p, struct guard_block *block, const struct guard_allow *allow)
{
	if (block->guard.n_allows == GUARD_MOST_ALLOWS) {
		diag_error(p->l->diag, allow->loc, "more than %d identities are allowed", GUARD_MOST_ALLOWS);
		diag_hint(p->l->diag, "name a group or a cgroup that all of them are in");
		return false;
	}
	arena_push(p->l->arena, block->guard.allows, block->guard.n_allows, block->allows_capacity) = *allow;
	return true;
}

static bool parse_kind(struct parser *p, enum guard_principal_kind *ret)
{
	struct raw_part part = { .text = p->tok.text, .length = (uint32_t)p->tok.length, .loc = p->tok.loc };
	uint32_t kind;

	if (p->tok.kind != T_WORD)
		return parser_expected(p, "'user', 'group', 'cgroup' or 'service' behind 'allow'");
	if (!words_find_in(guard_principals, part.text, part.length, &kind))
		return parse_guard_unknown(p, &part, "a kind of identity", guard_principals);
	parser_next(p);
	*ret = (enum guard_principal_kind)kind;
	return true;
}

static const char *const kind_expected[] = {
	[GUARD_ALLOW_USER] = "a user's name or number",
	[GUARD_ALLOW_GROUP] = "a group's name or number",
	[GUARD_ALLOW_CGROUP] = "the path of a cgroup in double quotes",
	[GUARD_ALLOW_SERVICE] = "the name of a service",
};

bool parse_guard_allow(struct parser *p, struct guard_block *block)
{
	struct guard_allow asks = { 0 };
	size_t start = p->scratch.n, n;
	bool ok;

	parser_next(p);
	if (!parse_kind(p, &asks.kind))
		return false;
	ok = parse_guard_list(p, kind_expected[asks.kind], start);
	n = p->scratch.n;
	ok = ok && parse_request(p, &asks);
	for (size_t i = start; ok && i < n; i++) {
		struct guard_allow allow = asks;

		ok = read_principal(p, &p->scratch.parts[i], &allow) && add_allow(p, block, &allow);
	}
	p->scratch.n = start;
	return ok;
}
