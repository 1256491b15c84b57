// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>

#include "reason_words.h"

const char *const reason_words[REASON_MAX] = {
#define X(name, json, kind, sentence) json,
	REASONS(X)
#undef X
};

void reasons_print(const unsigned long packets[REASON_MAX])
{
	for (unsigned int i = 0; i < REASON_MAX; i++)
		if (packets[i])
			printf(" %s %lu", reason_words[i], packets[i]);
}
