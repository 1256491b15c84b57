// SPDX-License-Identifier: GPL-2.0
#include "strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool strbuf_room(struct strbuf *b, size_t length)
{
	size_t wanted = b->capacity ? b->capacity : 64;
	char *grown;

	if (b->failed)
		return false;
	if (b->length + length < b->capacity)
		return true;
	while (wanted <= b->length + length)
		wanted *= 2;
	grown = realloc(b->text, wanted);
	if (!grown) {
		b->failed = true;
		return false;
	}
	b->text = grown;
	b->capacity = wanted;
	return true;
}

void strbuf_add(struct strbuf *b, const char *text, size_t length)
{
	if (!strbuf_room(b, length))
		return;
	if (length)
		memcpy(b->text + b->length, text, length);
	b->length += length;
	b->text[b->length] = '\0';
}

void strbuf_str(struct strbuf *b, const char *text)
{
	strbuf_add(b, text, strlen(text));
}

void strbuf_char(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_number(struct strbuf *b, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	strbuf_add(b, digits + at, sizeof(digits) - at);
}

void strbuf_hex(struct strbuf *b, uint32_t number, unsigned int least)
{
	char digits[8];
	size_t at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[number & 15];
		number >>= 4;
	} while (number || sizeof(digits) - at < least);
	strbuf_add(b, digits + at, sizeof(digits) - at);
}

void strbuf_format(struct strbuf *b, const char *format, ...)
{
	char small[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n < sizeof(small)) {
		strbuf_add(b, small, (size_t)n);
		return;
	}
	if (!strbuf_room(b, (size_t)n))
		return;
	va_start(args, format);
	vsnprintf(b->text + b->length, (size_t)n + 1, format, args);
	va_end(args);
	b->length += (size_t)n;
}

void strbuf_clear(struct strbuf *b)
{
	free(b->text);
	*b = (struct strbuf){ 0 };
}

char *strbuf_take(struct strbuf *b)
{
	char *text;

	strbuf_add(b, "", 0);
	text = b->text;
	if (b->failed) {
		free(text);
		text = NULL;
	}
	*b = (struct strbuf){ 0 };
	return text;
}
