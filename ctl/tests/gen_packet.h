/* SPDX-License-Identifier: GPL-2.0 */
/* Random frames: mostly such as rules from the pool hit, the rest hostile. */
#pragma once

#include "frame.h"
#include "random.h"

void gen_packet(struct frame *ret, struct random *random);
