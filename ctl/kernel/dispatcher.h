/* SPDX-License-Identifier: GPL-2.0 */
#pragma once

#include "root.h"

/* Negative errno; the library's words are in load_log_tail(). */

/* Is a component of this instance on the interface's dispatcher? */
bool dispatcher_holds(uint32_t ifindex, const struct instance *instance);
/* Puts one there; one that is there stays. */
int dispatcher_add(const struct instance *instance, uint32_t ifindex, bool generic, struct diag *diag);
/* Takes it off; none there is no error. */
int dispatcher_remove(uint32_t ifindex, const struct instance *instance);
