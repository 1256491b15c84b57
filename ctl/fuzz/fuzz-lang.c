// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer: any bytes as a rule file. Rejected ones must have a place; good ones must print to a text that parses
 * and prints the same. Build with clang-19 -fsanitize=fuzzer,address,undefined and the library; use lang.dict.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/policy.h"

struct input {
	const uint8_t *data;
	size_t size;
	size_t reads;
};

#define READS_MOST 16 /* an input that includes itself in many ways would only cost time */

/* "-" is the input; element files are its second half, so that they are fuzzed too; includes are missing. */
static int input_read(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	struct input *input = context;
	size_t length = strcmp(path, "-") ? input->size / 2 : input->size;

	if (input->reads++ >= READS_MOST || strstr(path, "missing") || strstr(path, ".rules"))
		return -ENOENT;
	*ret_text = malloc(length + 1);
	if (!*ret_text)
		return -ENOMEM;
	memcpy(*ret_text, input->data + input->size - length, length);
	*ret_length = length;
	return 0;
}

/* Of users and groups: some are there. */
static int input_lookup(void *context, const char *name, uint32_t *ret)
{
	(void)context;
	if (strlen(name) % 2)
		return -ENOENT;
	*ret = (uint32_t)strlen(name);
	return 0;
}

static int parse(struct policy **ret, const void *data, size_t size, struct diag *diag)
{
	struct input input = { .data = data, .size = size };
	struct lang_env env = {
		.context = &input, .read_file = input_read, .lookup_user = input_lookup, .lookup_group = input_lookup
	};

	diag_init(diag);
	return policy_parse_file(ret, "-", &env, diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL, *again = NULL;
	struct diag diag;
	char *text, *printed, *reprinted;
	int r = parse(&policy, data, size, &diag);

	text = diag_text(&diag, "done");
	if (!text || (r < 0 && (!diag.n_errors || !diag.problems[0].message[0])))
		abort();
	free(text);
	diag_clear(&diag);
	if (r < 0)
		return 0;
	printed = policy_print(policy);
	r = parse(&again, printed, strlen(printed), &diag);
	if (r < 0)
		abort();
	reprinted = policy_print(again);
	if (strcmp(printed, reprinted))
		abort();
	free(printed);
	free(reprinted);
	policy_free(policy);
	policy_free(again);
	diag_clear(&diag);
	return 0;
}
