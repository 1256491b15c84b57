/* SPDX-License-Identifier: GPL-2.0 */
/* show: the guards of the running rules. */
#pragma once

#include "../kernel/kernel.h"

struct out;

/* counters: all of the running rules. 0 or -ENOMEM. */
int guards_say(struct out *out, const struct running *running, const struct counter *counters,
	       const struct attachment *attachments, size_t n_attachments);
