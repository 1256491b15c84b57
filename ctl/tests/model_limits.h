/* SPDX-License-Identifier: GPL-2.0 */
/* The limits of the reference model: for each `limit` statement and each key, the time up to which is paid (GCRA). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "../lang/policy.h"

#define MODEL_LIMIT_WORDS (4 * CONCAT_MAX)

struct model_limits;

/* Aborts when memory ends. */
struct model_limits *model_limits_new(void);
void model_limits_free(struct model_limits *limits);

/*
 * Is a packet within the limit? If so, it is charged. `limit` is named by where it is in the policy; the key is the
 * values of its fields, masked, 0 where they are not there.
 */
bool model_limits_within(struct model_limits *limits, const struct limit_rate *limit,
			 const uint32_t key[MODEL_LIMIT_WORDS], uint64_t bytes, uint64_t now_ns);
