/* SPDX-License-Identifier: GPL-2.0 */
/* A rule file made ready to judge frames: parsed, compiled, in the private copy of the programs. */
#pragma once

#include "../compile/compile.h"
#include "../kernel/kernel.h"
#include "../lang/policy.h"
#include "frame.h"
#include "model.h"

struct loaded {
	struct policy *policy;
	struct device_env *devices;
	struct counter_plan *counters;
	struct image *image;
	struct model_state *state; /* the model's */
	struct runner *runner;     /* kept from policy to policy, grown where it must */
	size_t most_nodes, most_refs;
};

/* 0, or a negative errno after the problems went to stderr. *loaded starts zeroed and may be reused. */
int loaded_open(struct loaded *loaded, const char *text);
void loaded_forget(struct loaded *loaded); /* all but the runner */
void loaded_close(struct loaded *loaded);

/* How a frame meets a policy. */
struct meeting {
	enum policy_hook hook;
	int device;
	int iif; /* MODEL_NONE, MODEL_ELSEWHERE or a number */
	uint32_t mark;
	int64_t skuid;
	uint64_t now_ns; /* 0: some fixed time */
	int ct;          /* enum policy_ct that the packet is said to have, or MODEL_NONE */
};

/* What the programs say, in the model's words. */
int loaded_run(struct loaded *loaded, const struct frame *frame, const struct meeting *meeting,
	       struct model_result *ret);
struct model_result loaded_model(const struct loaded *loaded, const struct frame *frame, const struct meeting *meeting,
				 struct model_counters *counters);
bool model_result_same(const struct model_result *a, const struct model_result *b);

/* Compares the programs' counters with the model's; tells of each difference. How many are the same. */
typedef void loaded_differs(void *context, const char *what);
unsigned int loaded_check_counters(struct loaded *loaded, const struct model_counters *sums, loaded_differs *differs,
				   void *context);
