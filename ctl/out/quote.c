// SPDX-License-Identifier: GPL-2.0
/* Strings from outside, made harmless: programs, files and cgroups are named by whoever makes them. */
#include "writer.h"

#include <string.h>

#include "../lang/strbuf.h"

/* The character of a sequence of n bytes, its length being right. */
static uint32_t utf8_character(const unsigned char *s, size_t n)
{
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7f >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

size_t utf8_length(const char *text, size_t n)
{
	/* least character of sequences of so many bytes: a longer way to write one is none */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)text;
	size_t length;
	uint32_t c;

	if (!n || s[0] < 0x80)
		return n ? 1 : 0;
	length = s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	if (!length || length > n)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	c = utf8_character(s, length);
	return c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : length;
}

/* What a terminal would obey or an eye be misled by: controls, line ends, changes of direction, what takes no room. */
static bool is_sly(uint32_t c)
{
	static const struct {
		uint32_t lo, hi;
	} sly[] = {
		{ 0, 0x1f },        { 0x7f, 0xa0 },     { 0xad, 0xad },     { 0x61c, 0x61c },
		{ 0x180e, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0x3000, 0x3000 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffd },
	};

	for (size_t i = 0; i < sizeof(sly) / sizeof(sly[0]); i++)
		if (c >= sly[i].lo && c <= sly[i].hi)
			return true;
	return c >= 0xe0000;
}

void quote_add(struct strbuf *b, const char *text)
{
	size_t n, left = strlen(text);

	for (; left; text += n, left -= n) {
		n = utf8_length(text, left);
		if (n && !is_sly(utf8_character((const unsigned char *)text, n))) {
			if (*text == '"' || *text == '\\')
				strbuf_char(b, '\\');
			strbuf_add(b, text, n);
			continue;
		}
		n = n ? n : 1;
		for (size_t i = 0; i < n; i++)
			strbuf_format(b, "\\x%02x", (unsigned char)text[i]);
	}
}

static bool is_plain(const char *text)
{
	return *text &&
	       !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:@%+,~*")];
}

char *out_quote(const char *text)
{
	struct strbuf b = { 0 };

	if (is_plain(text)) {
		strbuf_str(&b, text);
	} else {
		strbuf_char(&b, '"');
		quote_add(&b, text);
		strbuf_char(&b, '"');
	}
	return strbuf_take(&b);
}
