/* SPDX-License-Identifier: GPL-2.0 */
/* `watch --baseline`: an event when somebody first talks to what a rule file does not name. */
#pragma once

#include "../kernel/learn.h"
#include "watch.h"

struct baseline;
/* enum exit_code. *ret is NULL where the command line asks for none; the others take that. */
int baseline_open(struct baseline **ret, struct run *run);
void baseline_close(struct baseline *baseline);
/* Says what is new. at_end: what was lost, too, although it is not its time. 0, what `say` returned, or a negative errno with a
 * problem. */
int baseline_tell(struct baseline *baseline, bool at_end, const struct watch_scene *scene, record_sink say,
		  void *context, struct diag *diag);
