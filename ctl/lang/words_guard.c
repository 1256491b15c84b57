// SPDX-License-Identifier: GPL-2.0
/* The words of guards, and the numbers behind them. */
#include <errno.h>

#include "words.h"

/* What connect() and sendmsg() may answer without a program taking it for something that passes by. */
const struct named_number guard_errnos[] = {
	{ "ECONNREFUSED", ECONNREFUSED },
	{ "EPERM", EPERM },
	{ "EACCES", EACCES },
	{ "EHOSTUNREACH", EHOSTUNREACH },
	{ "ENETUNREACH", ENETUNREACH },
	{ "EADDRNOTAVAIL", EADDRNOTAVAIL },
	{ "ETIMEDOUT", ETIMEDOUT },
	{ "ECONNRESET", ECONNRESET },
	{ NULL, 0 },
};

const struct named_number guard_tokens[] = {
	{ "aws", TOKEN_AWS },         { "gcp", TOKEN_GCP },       { "azure", TOKEN_AZURE },
	{ "alibaba", TOKEN_ALIBABA }, { "oracle", TOKEN_ORACLE }, { NULL, 0 },
};

const struct named_number guard_principals[] = {
	{ "user", GUARD_ALLOW_USER },
	{ "group", GUARD_ALLOW_GROUP },
	{ "cgroup", GUARD_ALLOW_CGROUP },
	{ "service", GUARD_ALLOW_SERVICE },
	{ NULL, 0 },
};

const struct named_number guard_audits[] = {
	{ "denied", GUARD_WORD_DENIED },
	{ "all", GUARD_WORD_ALL },
	{ "none", GUARD_WORD_NONE },
	{ NULL, 0 },
};

static const char *name_of(const struct named_number *word, uint32_t number)
{
	for (; word->name; word++)
		if (word->number == number)
			break;
	return word->name;
}

const char *guard_principal_word(enum guard_principal_kind kind)
{
	return name_of(guard_principals, kind);
}

const char *guard_audit_text(enum guard_audit_word audit)
{
	return name_of(guard_audits, audit);
}

const char *guard_errno_word(int error)
{
	return name_of(guard_errnos, (uint32_t)error);
}

const char *guard_token_word(enum guard_token token)
{
	return name_of(guard_tokens, token);
}
