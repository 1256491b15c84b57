/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel maps of sets that are not in the pool: made, filled, read. */
#pragma once

#include "kernel.h"

/* The maps of one set, its ring behind them; -1 where it needs none. */
struct inner {
	int fd[SET_OUTER_MAX];
};
extern const struct inner inner_none;

/* A set's slot, and which of the maps (bit per enum set_map) it has there; none: it is in the pool. */
struct slot {
	uint16_t number;
	uint8_t maps;
};

extern const char *const set_map_names[SET_OUTER_MAX];

/* Makes the maps that the set's type uses, with room for `image` and for what may be added later, and fills them. */
int inner_create(struct inner *ret, const struct set *set, const struct set_image *image, struct diag *diag);
/* The ring alone, for a set that packets begin to write to. */
int inner_create_ring(struct inner *ret, const struct set *set, struct diag *diag);
void inner_close(struct inner *inner);
/* Puts n sets into the outer maps at their slots. */
int inner_publish(const int outer[SET_OUTER_MAX], const uint16_t *slots, const struct inner *inner, size_t n,
		  struct diag *diag);
/* Empties slots, waits until no packet reads them. */
int inner_forget(const int outer[SET_OUTER_MAX], const struct slot *slots, size_t n, struct diag *diag);
/* The maps of a set at a slot. */
int inner_open(struct inner *ret, const struct set *set, const int outer[SET_OUTER_MAX], uint16_t slot,
	       struct diag *diag);

/*
 * Elements, by keys as in struct set_image. Those that have expired are passed over, and deleted where the
 * command changes the set.
 */
int inner_image(struct set_image *ret, struct inner *inner, const struct set *set);
int inner_purge(struct inner *inner, const struct set *set);
/* 1 added, 2 was there and has its time anew, 0 was there, or a negative errno. */
int inner_add(int fd, enum set_map map, const void *key, const struct set_value *value);
/* 1 deleted, 0 was not there, or a negative errno. */
int inner_del(int fd, enum set_map map, const void *key);
/* Is there an element that a packet with this value finds? key: of a single value. */
bool inner_matches(int fd, enum set_map map, const void *key);
