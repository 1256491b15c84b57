/* SPDX-License-Identifier: GPL-2.0 */
/* Counts what a test checked, and says what failed. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int passed, failed;

static bool __attribute__((format(printf, 2, 3))) check(bool good, const char *what, ...)
{
	va_list args;

	if (good) {
		passed++;
		return true;
	}
	failed++;
	va_start(args, what);
	printf("FAIL ");
	vprintf(what, args);
	printf("\n");
	va_end(args);
	return false;
}
