/* SPDX-License-Identifier: GPL-2.0 */
/* Rules as text at hand. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct diag;
struct policy;

/* As policy_parse_file(), of a file named "-"; there is no other, of users only root, of groups only wheel (10). *ret: NULL where it fails. Begins diag. */
int policy_of_text(struct policy **ret, const char *text, size_t length, struct diag *diag);

int only_root(void *context, const char *name, uint32_t *ret_uid);
int only_wheel(void *context, const char *name, uint32_t *ret_gid);
