/* SPDX-License-Identifier: GPL-2.0 */
/* Does a rule file, as `learn` writes them, name who talks to what? Pure. */
#pragma once

#include <stdbool.h>

#include "../kernel/learn.h"
#include "../lang/policy.h"

/*
 * A talk is held against the rules of the filters of its direction, as a new flow: the first rule that matches says it, by
 * accept. What a talk does not say (source ports, lengths, ...) matches nothing, the default names nobody, and a rule whose
 * comment names programs is for these alone.
 */
bool baseline_names(const struct policy *policy, const struct talk *talk);
