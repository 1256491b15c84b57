/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random rule files over the whole grammar, as text. Every one is meant to be accepted by the checker.
 *
 * Filters are named STEM_xdp, STEM_tc and STEM_out: those of one stem have the same devices, policies and rules, so a
 * frame gets one verdict from all of them (as long as it comes in where it is judged).
 */
#pragma once

#include "random.h"

/* malloc'ed; aborts when memory ends. */
char *gen_policy(struct random *random);
