/* SPDX-License-Identifier: GPL-2.0 */
/* What synproxy needs of the kernel and its settings. */
#pragma once

#include "kernel.h"

bool synproxy_kernel_can(void);
/* Do the settings of this network namespace let the policy's synproxy rules work? An error says what to set. */
int synproxy_check(const struct policy *policy, struct diag *diag);
/* The same for doctor. */
enum probe_state synproxy_probe(char *detail, size_t size);
