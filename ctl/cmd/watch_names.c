// SPDX-License-Identifier: GPL-2.0
/* Login names of numbers. A directory of users may be far away and slow: each is asked for once in a while. */
#include "watch.h"

#include <pwd.h>
#include <stdio.h>
#include <time.h>

#define NAMES   256
#define SECONDS 60 /* that an answer holds */

static struct known {
	uint32_t uid;
	time_t until;
	char name[64]; /* "": there is none */
} names[NAMES];

const char *user_name(uint32_t uid)
{
	struct known *known = &names[uid % NAMES];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (known->uid != uid || now.tv_sec >= known->until) {
		const struct passwd *user = getpwuid(uid);

		*known = (struct known){ .uid = uid, .until = now.tv_sec + SECONDS };
		snprintf(known->name, sizeof(known->name), "%s", user ? user->pw_name : "");
	}
	return *known->name ? known->name : NULL;
}
