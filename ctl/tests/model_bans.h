/* SPDX-License-Identifier: GPL-2.0 */
/* What packets put into sets, for the reference model. A set is asked before the rules, so a ban is of the packets behind. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../lang/policy.h"

struct model_bans;

/* Aborts when memory ends. */
struct model_bans *model_bans_new(void);
void model_bans_free(struct model_bans *bans);

bool model_bans_have(const struct model_bans *bans, const struct set *set, unsigned int family,
		     const struct value *address, uint64_t now_ns);
/* A packet of this source got to the ban. */
void model_bans_add(struct model_bans *bans, const struct ban_statement *ban, unsigned int family,
		    const struct value *source, uint64_t now_ns);
/* The packet is judged: the next one finds what it added. */
void model_bans_end(struct model_bans *bans);
