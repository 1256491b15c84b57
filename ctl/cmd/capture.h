/* SPDX-License-Identifier: GPL-2.0 */
/* Packets from a pcap or pcapng file, as frames that the programs understand. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lang/diag.h"

enum capture_link {
	CAPTURE_ETHERNET,
	CAPTURE_RAW_IP, /* frames start with the IP header */
	CAPTURE_COOKED, /* from all devices at once: the Ethernet header is made up, all but its type */
};

struct capture;

struct capture_frame {
	const uint8_t *bytes; /* until the next call */
	size_t length;        /* captured */
	size_t wire_length;   /* at least length */
	uint64_t time_ns;     /* since the capture's first packet */
};

/* "-": standard input. Negative errno with a problem where it is no capture or of a kind weir cannot judge. */
int capture_open(struct capture **ret, const char *path, struct diag *diag);
enum capture_link capture_link(const struct capture *capture);
/* 1: a frame; 0: the end; negative errno with a problem: the file is broken here. */
int capture_next(struct capture *capture, struct capture_frame *ret, struct diag *diag);
void capture_close(struct capture *capture);
