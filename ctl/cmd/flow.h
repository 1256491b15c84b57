/* SPDX-License-Identifier: GPL-2.0 */
/* Flows as the command line names them: words that pick some, and which of the states of `flows { }` a flow is in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../../bpf/abi.h"
#include "../lang/policy.h"
#include "words.h"

struct run;

/* The line of FLOW_TIMES whose timeout the flow has: it says protocol and state in the words of rule files. */
enum flow_time flow_time_of(const struct flow *flow);

/* TCP, UDP and SCTP: struct flow has ports for them, not an identifier or nothing. */
bool flow_has_ports(const struct flow *flow);
/* As in a rule; family is 4 or 6. end: 0 is the origin's. */
struct value flow_address(const struct flow *flow, unsigned int end);
unsigned int flow_port(const struct flow *flow, unsigned int end);
unsigned int flow_family(const struct flow *flow);

/* `flow list` and `show flows`: all, or those that the words pick. */
int flow_list(struct run *run, char **words, size_t n);

/* ---- flow_filter.c ---- */

#define FLOW_WORDS(X)                                                                                                  \
	X(PROTO, "proto", TYPE_PROTO)                                                                                                              \
	X(SRC, "src", TYPE_ADDR) /* the origin's */                                                                      \
	X(DST, "dst", TYPE_ADDR) /* the other end's */                                                                   \
	X(SPORT, "sport", TYPE_PORT)                                                                                                              \
	X(DPORT, "dport", TYPE_PORT)                                                                                                              \
	X(STATE, "state", TYPE_MAX) /* its values are states of FLOW_TIMES */                                            \
	X(FAMILY, "family", TYPE_NFPROTO)

enum flow_word {
#define X(id, name, type) FLOW_WORD_##id,
	FLOW_WORDS(X)
#undef X
		FLOW_WORD_MAX
};

extern const struct word_list flow_words;

struct flow_filter {
	struct word_value word[FLOW_WORD_MAX];
};

/* `proto tcp dport 22`: pairs of a word and a value, each word once. enum exit_code, EXIT_USAGE with a problem. */
int flow_filter_read(struct run *run, char **words, size_t n, struct flow_filter *ret);
bool flow_filter_holds(const struct flow_filter *filter, const struct flow *flow);
void flow_filter_clear(struct flow_filter *filter);
