/* SPDX-License-Identifier: GPL-2.0 */
/* Packets that the data path answers, and the answers it should give, built without anything of bpf/. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/* A frame, and where its parts are. */
struct packet {
	uint8_t bytes[FRAME_MOST];
	size_t length;
	size_t ip;
	size_t l4;
};

/* raw: without its link header. */
void packet_make(struct packet *ret, const struct frame_spec *spec, bool raw);

/*
 * Back to where p came from: link and IP header, tos only of IPv4, and behind them `payload` zeroes, which the caller
 * fills. Where those are.
 */
uint8_t *packet_answer(struct packet *ret, const struct packet *p, unsigned int proto, unsigned int tos,
		       size_t payload);

void packet_show(const char *what, const struct packet *p);
