/* SPDX-License-Identifier: GPL-2.0 */
/* The inner maps of a set: made, filled, read. */
#pragma once

#include "kernel.h"

/* The five maps of one set; -1 where the element type needs none. */
struct inner {
	int fd[SET_MAP_MAX];
};

extern const char *const set_map_names[SET_MAP_MAX];
size_t set_key_bytes(enum set_map map);

/* Makes the maps that the set's type uses, with room for `image` and for what may be added later, and fills them. */
int inner_create(struct inner *ret, const struct set *set, const struct set_image *image, struct diag *diag);
void inner_close(struct inner *inner);
/* Puts n sets into the outer maps at their slots. */
int inner_publish(const int outer[SET_MAP_MAX], const uint16_t *slots, const struct inner *inner, size_t n,
		  struct diag *diag);
/* Empties slots, waits until no packet reads them. */
int inner_forget(const int outer[SET_MAP_MAX], const uint16_t *slots, size_t n, struct diag *diag);
/* The maps of a set at a slot. */
int inner_open(struct inner *ret, const struct set *set, const int outer[SET_MAP_MAX], uint16_t slot,
	       struct diag *diag);
/* All keys of a map; *ret malloc'ed. */
int inner_keys(void **ret, size_t *ret_n, int fd, enum set_map map);
