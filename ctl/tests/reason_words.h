/* SPDX-License-Identifier: GPL-2.0 */
/* Reasons as users know them. */
#pragma once

#include "../../bpf/reasons.h"

extern const char *const reason_words[REASON_MAX];

/* " rule 12 default 3": each reason that packets had, with how many. */
void reasons_print(const unsigned long packets[REASON_MAX]);
