/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random conversations between a few hosts, as a firewall sees them: what TCP, UDP, SCTP, ICMP and others say in order, with
 * losses, repetitions and lies, and time that sometimes jumps to where flows end. And small random policies about them.
 */
#pragma once

#include "../lang/policy.h"
#include "frame.h"
#include "random.h"

#define SEQUENCE_DEVICES 2 /* dev0, dev1 */
#define SEQUENCE_SLOTS   14
#define SEQUENCE_NO_SLOT SEQUENCE_SLOTS

/* malloc'ed text; some rule asks for ct state. Aborts when memory ends. */
char *gen_sequence_policy(struct random *random);

/* A packet at one hook. */
struct sighting {
	struct frame frame;
	bool out; /* egress, else ingress */
	unsigned int device;
	int from; /* egress: the device by which it came, or -1: it is of this host */
	uint64_t now_ns;
	unsigned int slot; /* packets of one slot have the same ends; SEQUENCE_NO_SLOT: of no conversation */
	char text[160];    /* what it is, for people */
};

struct sequence;

/* times: how long flows stay, so that packets come just before and behind it; the caller's, and must outlive it. */
struct sequence *sequence_new(struct random *random, const struct flows *times);
void sequence_free(struct sequence *sequence);
/* *ret is the same at each call: a packet that is forwarded is seen a second time as it was. */
void sequence_next(struct sequence *sequence, struct sighting *ret);
