/* SPDX-License-Identifier: GPL-2.0 */
/* The commands, one file for each noun or verb. They return enum exit_code. */
#pragma once

struct run;

int cmd_check(struct run *run);
int cmd_plan(struct run *run);
int cmd_apply(struct run *run);
int cmd_down(struct run *run);
int cmd_show(struct run *run);
int cmd_set_add(struct run *run);
int cmd_set_del(struct run *run);
int cmd_set_test(struct run *run);
int cmd_set_load(struct run *run);
int cmd_set_flush(struct run *run);
int cmd_set_list(struct run *run);
int cmd_flow_list(struct run *run);
int cmd_flow_del(struct run *run);
int cmd_test(struct run *run);
int cmd_explain(struct run *run);
int cmd_learn(struct run *run);
int cmd_watch(struct run *run);
int cmd_agent(struct run *run);
int cmd_doctor(struct run *run);
int cmd_verifier(struct run *run);
int cmd_completion(struct run *run);
int cmd_help(struct run *run);
int cmd_version(struct run *run);
