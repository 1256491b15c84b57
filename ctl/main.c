// SPDX-License-Identifier: GPL-2.0
/* weir: a firewall whose rule file becomes XDP and TC programs. The table of its commands. */
#include "command.h"
#include "cmd/cmd.h"

/* clang-format off */
const struct command commands[] = {
	{ "check", cmd_check, "FILE", "parse and check a rule file; say its size and cost", .least = 1, .most = 1 },
	{ "plan", cmd_plan, "FILE", "show what apply would change", .needs_root = true,
	  .rootless = OPTION_BIT(OPTION_OFFLINE) | OPTION_BIT(OPTION_AGAINST),
	  .options = OPTION_BIT(OPTION_OFFLINE) | OPTION_BIT(OPTION_AGAINST), .least = 1, .most = 1 },
	{ "apply", cmd_apply, "FILE", "replace the running rules in one step", .needs_root = true,
	  .options = OPTION_BIT(OPTION_FORCE) | OPTION_BIT(OPTION_CGROUP), .least = 1, .most = 1 },
	{ "down", cmd_down, "", "take everything of ours away, and only that", .needs_root = true },
	{ "show", cmd_show, "[rules|sets|counters|devices|reasons|guards|flows [FILTER...]]", "show what runs, with counters",
	  .needs_root = true, .most = OPERANDS_ANY },
	{ "set add", cmd_set_add, "NAME [ELEMENT...|-]", "add elements to a running set", .needs_root = true,
	  .least = 1, .most = OPERANDS_ANY },
	{ "set del", cmd_set_del, "NAME [ELEMENT...|-]", "delete elements from a running set", .needs_root = true,
	  .least = 1, .most = OPERANDS_ANY },
	{ "set test", cmd_set_test, "NAME [ELEMENT...|-]", "say whether a packet's value would be found in a set",
	  .needs_root = true, .least = 1, .most = OPERANDS_ANY },
	{ "set load", cmd_set_load, "NAME FILE", "replace the content of a running set in one step",
	  .needs_root = true, .least = 2, .most = 2 },
	{ "set flush", cmd_set_flush, "NAME", "empty a running set", .needs_root = true, .least = 1, .most = 1 },
	{ "set list", cmd_set_list, "[NAME]", "list the sets, or the elements of one", .needs_root = true, .most = 1 },
	{ "flow list", cmd_flow_list, "[FILTER...]", "list the flows, or some: proto tcp dport 22 state established",
	  .needs_root = true, .most = OPERANDS_ANY },
	{ "flow del", cmd_flow_del, "all|FILTER...", "end flows: their next packets belong to none",
	  .needs_root = true, .least = 1, .most = OPERANDS_ANY },
	{ "test", cmd_test, "FILE", "run the test blocks of a rule file; touches no interface", .needs_root = true,
	  .least = 1, .most = 1 },
	{ "explain", cmd_explain, "CAPTURE", "say which rule decides on each packet of a pcap or pcapng file",
	  .needs_root = true,
	  .options = OPTION_BIT(OPTION_RULES) | OPTION_BIT(OPTION_DEVICE) | OPTION_BIT(OPTION_HOOK),
	  .required = OPTION_BIT(OPTION_DEVICE) | OPTION_BIT(OPTION_HOOK), .least = 1, .most = 1 },
	{ "learn", cmd_learn, "", "propose rules for what is seen for a while", .needs_root = true,
	  .options = OPTION_BIT(OPTION_FOR) | OPTION_BIT(OPTION_OUT) | OPTION_BIT(OPTION_FORCE) |
		     OPTION_BIT(OPTION_DEVICE) | OPTION_BIT(OPTION_CGROUP) | OPTION_BIT(OPTION_WIDEN),
	  .required = OPTION_BIT(OPTION_FOR) | OPTION_BIT(OPTION_OUT) },
	{ "watch", cmd_watch, "[FILTER...]", "tell the events of log statements and guards as they happen",
	  .needs_root = true,
	  .options = OPTION_BIT(OPTION_OUTPUT) | OPTION_BIT(OPTION_FORMAT) | OPTION_BIT(OPTION_ROTATE) |
		     OPTION_BIT(OPTION_GROUP) | OPTION_BIT(OPTION_BASELINE) | OPTION_BIT(OPTION_CGROUP),
	  .most = OPERANDS_ANY },
	{ "agent", cmd_agent, "", "keep the running rules up to date with devices and names, until told to stop",
	  .needs_root = true, .options = OPTION_BIT(OPTION_INTERVAL) },
	{ "doctor", cmd_doctor, "", "say what this kernel can do and what is attached where", .most = 0 },
	{ "verifier", cmd_verifier, "", "print how many instructions the verifier walks for each program",
	  .needs_root = true },
	{ "completion", cmd_completion, "bash", "print a completion script for a shell", .least = 1, .most = 1 },
	{ "help", cmd_help, "[COMMAND]", "list the commands, or explain one", .most = 2 },
	{ "version", cmd_version, "", "print the version", .most = 0 },
	{ 0 },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return command_main(argc, argv);
}
