// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/policy.h"
#include "policy_text.h"

struct text {
	const char *bytes;
	size_t length;
};

static int read_text(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	const struct text *text = context;

	if (strcmp(path, "-"))
		return -ENOENT;
	*ret_text = malloc(text->length + 1);
	if (!*ret_text)
		return -ENOMEM;
	memcpy(*ret_text, text->bytes, text->length);
	*ret_length = text->length;
	return 0;
}

int only_root(void *context, const char *name, uint32_t *ret_uid)
{
	(void)context;
	if (strcmp(name, "root"))
		return -ENOENT;
	*ret_uid = 0;
	return 0;
}

/* "broken" is one whom nobody can be asked about. */
int only_wheel(void *context, const char *name, uint32_t *ret_gid)
{
	(void)context;
	if (!strcmp(name, "broken"))
		return -EIO;
	if (strcmp(name, "wheel"))
		return -ENOENT;
	*ret_gid = 10;
	return 0;
}

int policy_of_text(struct policy **ret, const char *text, size_t length, struct diag *diag)
{
	struct text context = { text, length };
	struct lang_env env = {
		.context = &context, .read_file = read_text, .lookup_user = only_root, .lookup_group = only_wheel
	};

	diag_init(diag);
	*ret = NULL;
	return policy_parse_file(ret, "-", &env, diag);
}
