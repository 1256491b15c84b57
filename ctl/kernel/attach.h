/* SPDX-License-Identifier: GPL-2.0 */
/* What the files that attach programs share: the files under ROOT/links. */
#pragma once

#include "root.h"

/* Of each entry point, as names of such files begin. */
extern const char *const attach_names[ENTRY_MAX];

void pin_path(char path[600], const struct weir_root *root, const char *name);
/* A program's file as a note of where it is attached; replaces one of the same name in one step. */
int pin_note(const struct weir_root *root, const char *name, int program);
/* Takes the place of a file of that name. Closes the link, which is gone if it cannot be pinned. */
int pin_link(const struct weir_root *root, const char *name, int link);
bool pin_is(const struct pin *pin, const char *kind);

/* attach_tc.c */
int tc_add(const struct weir_root *root, enum entry entry, uint32_t ifindex, const char *device, struct diag *diag);
bool pin_is_clsact(const struct pin *pin);
/* Takes the filter away, and what was made for it. */
int cls_remove(const struct weir_root *root, const struct pin *pin);
int cls_move(const struct weir_root *root, const struct pin *pin, const struct instance *to);
bool cls_alive(const struct pin *pin);
