/* SPDX-License-Identifier: GPL-2.0 */
/* What the reference model notes of datagrams whose fragments come, under `fragments track`: which of their units came. */
#pragma once

#include "model_packet.h"

struct model_fragments;

struct model_fragments *model_fragments_new(void); /* aborts when memory ends, as all here */
void model_fragments_free(struct model_fragments *fragments);

struct model_met {
	enum reason reason; /* REASON_RULE: the rules judge it, then comes model_fragments_note() */
	enum policy_verdict verdict;
	int redirect; /* number in policy.devices, or MODEL_NONE */
};

struct model_met model_fragments_meet(struct model_fragments *fragments, const struct packet *packet);
/* The first fragment got this. */
void model_fragments_note(struct model_fragments *fragments, const struct packet *packet,
			  const struct model_result *result);
