/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reference model: what a checked policy means for one packet, told in the plainest way, rule by rule.
 *
 * It reads the frame by itself and shares no code with compile/ or bpf/, so that a difference between the two is a
 * mistake in one of them. Only the names of the reasons are common.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/reasons.h"
#include "../lang/policy.h"

#define MODEL_NONE      (-1) /* no filter, no rule, no device */
#define MODEL_ELSEWHERE (-2) /* a device that the policy does not name */
#define MODEL_IMPLICIT  (-3) /* a filter: that of a tracked device, in the direction for which the rules have none */

struct model_frame {
	enum policy_hook hook;
	int device; /* number in policy.devices */
	const uint8_t *bytes;
	size_t length;      /* bytes at hand */
	size_t wire_length; /* bytes of the frame, at least `length` */
	int iif;            /* egress: number in policy.devices, MODEL_ELSEWHERE, or MODEL_NONE: made by this host */
	uint32_t mark;
	int64_t skuid;   /* -1: no socket */
	uint64_t now_ns; /* never less than that of the packet before */
	int ct;          /* enum policy_ct: said of the packet, and the flow table is left alone; MODEL_NONE: ask it */
};

struct model_result {
	enum policy_verdict verdict;
	enum reason reason;
	int filter;   /* number in policy.filters, or MODEL_NONE */
	int rule;     /* number in the filter's rules, or MODEL_NONE */
	int redirect; /* number in policy.devices, or MODEL_NONE */
	int ct;       /* enum policy_ct, or MODEL_NONE: its flow was not looked for. The programs do not tell. */
};

/* What packets leave behind for those after them: flows, what limits have counted, parts of datagrams. */
struct model_state {
	struct model_flows *flows;
	struct model_limits *limits;
	struct model_bans *bans;
	struct model_fragments *fragments;
};

struct model_state *model_state_new(const struct policy *policy); /* which must outlive it */
void model_state_free(struct model_state *state);

struct model_count {
	uint64_t packets, bytes; /* bytes of whole frames */
};

/* Sums of what the packets did; arrays as long as the policy needs, see model_counters_new(). */
struct model_counters {
	struct model_count (*reason)[REASON_MAX]; /* per filter */
	struct model_count **rule;                /* per filter and rule: packets that it decided */
	struct model_count **own;                 /* per filter and rule: its `counter` statement */
	struct model_count *named;                /* per policy.counters */
	size_t n_filters;
};

struct model_counters *model_counters_new(const struct policy *policy);
void model_counters_free(struct model_counters *counters);

/* counters may be NULL. */
struct model_result model_judge(const struct policy *policy, const struct model_frame *frame, struct model_state *state,
				struct model_counters *counters);

/* "drop (rule) by filter 0 rule 3" */
void model_print(const struct policy *policy, const struct model_result *result, char *text, size_t size);
