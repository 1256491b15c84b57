/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "kernel.h"

/* Numbers that were free before: they must be cleared before packets count there. */
struct fresh {
	uint32_t *at;
	size_t n, capacity;
};

/* running may be NULL. fresh->at is the caller's to free. */
int counter_plan_keeping(struct counter_plan **ret, struct fresh *fresh, const struct policy *policy,
			 const struct running *running);
