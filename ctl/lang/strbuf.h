/* SPDX-License-Identifier: GPL-2.0 */
/* Text that grows; malloc'ed. When memory ends it stays as it was and says so at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
	char *text;
	size_t length, capacity;
	bool failed;
};

void strbuf_add(struct strbuf *b, const char *text, size_t length);
void strbuf_str(struct strbuf *b, const char *text);
void strbuf_char(struct strbuf *b, char c);
void strbuf_number(struct strbuf *b, uint64_t number);
void strbuf_hex(struct strbuf *b, uint32_t number, unsigned int digits); /* without 0x, at least so many digits */
void strbuf_format(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_clear(struct strbuf *b);
/* The text (never NULL unless memory ended), which the caller frees; the buffer is empty then. */
char *strbuf_take(struct strbuf *b);
