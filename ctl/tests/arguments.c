// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"

unsigned long long number_argument(int argc, char **argv, int at, unsigned long long otherwise, const char *usage)
{
	unsigned long long n;
	char *end;

	if (at >= argc)
		return otherwise;
	errno = 0;
	n = strtoull(argv[at], &end, 10);
	if (errno || *end || end == argv[at]) {
		fprintf(stderr, "usage: %s %s\n", argv[0], usage);
		exit(2);
	}
	return n;
}
