/* SPDX-License-Identifier: GPL-2.0 */
/* What keeps running rules up to date with the devices of this network namespace. */
#pragma once

#include "kernel.h"

/*
 * Devices that rules name and that were made anew get back what they lost, as an apply of the same rules would give it;
 * those that left are forgotten until they come again. *ret_changed: something was done.
 */
int root_follow(struct weir_root *root, bool *ret_changed, struct diag *diag);

/* That a device came, left or changed: `fd` becomes readable. */
struct link_events;
int link_events_open(struct link_events **ret, struct diag *diag);
void link_events_close(struct link_events *events);
int link_events_fd(const struct link_events *events);
/* Forgets all that came so far. */
void link_events_drain(struct link_events *events);
