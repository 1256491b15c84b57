/* SPDX-License-Identifier: GPL-2.0 */
/* Pieces of canonical text that the files print*.c share. */
#pragma once

#include "policy.h"
#include "strbuf.h"

void print_address(struct strbuf *b, const struct value *v, uint8_t family);
void print_mac(struct strbuf *b, const struct value *v);
void print_number(struct strbuf *b, enum value_type type, uint32_t number, bool names);
void print_quoted(struct strbuf *b, const char *text);
void print_tcp_flags(struct strbuf *b, uint32_t flags, const char *between);
void print_limit(struct strbuf *b, const struct limit_rate *limit);
void print_ban(struct strbuf *b, const struct ban_statement *ban);
void print_guard(struct strbuf *b, const struct policy *policy, const struct guard_statement *guard);
void print_reject(struct strbuf *b, const struct reject *reject);       /* what stands behind the word */
void print_synproxy(struct strbuf *b, const struct synproxy *synproxy); /* the same */
void print_flows(struct strbuf *b, const struct flows *flows);
void print_test(struct strbuf *b, const struct policy *policy, const struct test *test);
