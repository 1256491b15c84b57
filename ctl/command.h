/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line: one table of commands, one of options. Dispatch, --help, shell completion and the test of
 * the man page all read these two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lang/diag.h"

struct out;

enum exit_code {
	EXIT_DONE,
	EXIT_FAILED,
	EXIT_USAGE,     /* the command line is wrong */
	EXIT_REJECTED,  /* the rules are wrong */
	EXIT_DIFFERENT, /* plan: something would change; set test: not in the set */
};

enum option_id {
	/* of every command */
	OPTION_JSON,
	OPTION_BPFFS,
	OPTION_HELP,
	/* in place of a command */
	OPTION_VERSION,
	/* of some */
	OPTION_OFFLINE,
	OPTION_AGAINST,
	OPTION_FORCE,
	OPTION_CGROUP,
	OPTION_RULES,
	OPTION_DEVICE,
	OPTION_HOOK,
	OPTION_OUTPUT,
	OPTION_FORMAT,
	OPTION_ROTATE,
	OPTION_GROUP,
	OPTION_BASELINE,
	OPTION_INTERVAL,
	OPTION_FOR,
	OPTION_OUT,
	OPTION_WIDEN,
	OPTION_MAX
};

#define OPTION_BIT(option) (1u << (option))
#define OPTIONS_GLOBAL     (OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_BPFFS) | OPTION_BIT(OPTION_HELP))

struct option_info {
	const char *name;  /* without the dashes */
	const char *value; /* what stands for the value in help texts; NULL: the option takes none */
	const char *help;
};
extern const struct option_info option_info[OPTION_MAX];

struct command;

/* One run of a command: what the command line said, and where the answers go. */
struct run {
	const struct command *command;
	struct out *out;
	struct diag diag;    /* problems; the dispatcher shows them at the end */
	const char *closing; /* what stands behind the count of errors, or NULL */
	const char *bpffs;
	const char *value[OPTION_MAX]; /* NULL: not given; "" where the option takes no value */
	char **operands;
	size_t n_operands;
};

struct command {
	const char *name;            /* one word, or two with a space */
	int (*run)(struct run *run); /* enum exit_code */
	const char *args;            /* as in help texts */
	const char *help;            /* one line */
	bool needs_root;             /* or the capabilities that stand for it (kernel/privilege.h) */
	uint32_t rootless;           /* OPTION_BIT()s: with one of them it needs no root */
	uint32_t options;            /* OPTION_BIT()s, beside the global ones */
	uint32_t required;           /* those without which it cannot run */
	size_t least, most;          /* operands */
};

#define OPERANDS_ANY ((size_t)-1)

/* Ends with an entry whose name is NULL. */
extern const struct command commands[];

int command_main(int argc, char **argv);

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);
/* "weir plan [--offline] FILE" without a newline; malloc'ed. */
char *command_usage(const struct command *command);

#define NOWHERE ((struct location){ 0 })
