/* SPDX-License-Identifier: GPL-2.0 */
/* What of link.c only kernel/ uses; the rest is in kernel.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* No filter of anybody hangs on the clsact qdisc of this interface. */
bool link_clsact_is_empty(uint32_t ifindex);
