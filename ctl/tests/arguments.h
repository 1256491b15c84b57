/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers on a test's command line. */
#pragma once

/* The argument at this place, or `otherwise` where there is none. Says how the test is used, and ends it, where it is no
 * number. */
unsigned long long number_argument(int argc, char **argv, int at, unsigned long long otherwise, const char *usage);
