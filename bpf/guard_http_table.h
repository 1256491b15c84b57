/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an HTTP request to a guarded endpoint may look like: which byte may follow which, and the words that mean
 * something. What is not here is refused.
 */
#pragma once

#include <linux/types.h>

enum http_class {
	HTTP_NEVER, /* controls */
	HTTP_CR,
	HTTP_LF,
	HTTP_SP,
	HTTP_TAB,
	HTTP_HIGH, /* above ASCII: in values alone */
	/* Visible characters, by where else they may be than in values: names (tchar, RFC 9110), paths (pchar, RFC 3986), tokens. */
	HTTP_WORD,  /* names, paths, tokens */
	HTTP_DOT,   /* the same */
	HTTP_MARK,  /* names, paths */
	HTTP_EQUAL, /* paths, tokens */
	HTTP_SLASH, /* the same */
	HTTP_COMMA, /* paths */
	HTTP_COLON, /* the same; behind a name */
	HTTP_QUESTION,
	HTTP_HASH,  /* names; in a path it is odd */
	HTTP_DELIM, /* nowhere; in a path it is odd */
	HTTP_CLASS_MAX
};

static const __u8 http_class[256] = {
	['\t'] = HTTP_TAB,  ['\n'] = HTTP_LF,           ['\r'] = HTTP_CR,           [' '] = HTTP_SP,
	['!'] = HTTP_MARK,  ['"'] = HTTP_DELIM,         ['#'] = HTTP_HASH,          ['$'] = HTTP_MARK,
	['%'] = HTTP_HASH,  ['&' ... '\''] = HTTP_MARK, ['(' ... ')'] = HTTP_COMMA, ['*'] = HTTP_MARK,
	['+'] = HTTP_WORD,  [','] = HTTP_COMMA,         ['-'] = HTTP_WORD,          ['.'] = HTTP_DOT,
	['/'] = HTTP_SLASH, ['0' ... '9'] = HTTP_WORD,  [':'] = HTTP_COLON,         [';'] = HTTP_DELIM, /* "/..;/" */
	['<'] = HTTP_DELIM, ['='] = HTTP_EQUAL,         ['>'] = HTTP_DELIM,         ['?'] = HTTP_QUESTION,
	['@'] = HTTP_COMMA, ['A' ... 'Z'] = HTTP_WORD,  ['[' ... ']'] = HTTP_DELIM, ['^'] = HTTP_HASH,
	['_'] = HTTP_WORD,  ['`'] = HTTP_HASH,          ['a' ... 'z'] = HTTP_WORD,  ['{'] = HTTP_DELIM,
	['|'] = HTTP_HASH,  ['}'] = HTTP_DELIM,         ['~'] = HTTP_WORD,          [0x80 ... 0xff] = HTTP_HIGH,
};

enum http_state {
	HTTP_REFUSED,
	HTTP_IN_METHOD,
	HTTP_AT_TARGET,
	HTTP_AT_SEGMENT, /* of a path: behind a slash */
	HTTP_IN_DOTS,    /* nothing but dots in this segment */
	HTTP_IN_SEGMENT,
	HTTP_IN_QUERY,
	HTTP_AT_VERSION,
	HTTP_IN_VERSION,
	HTTP_AT_LF, /* of a line */
	HTTP_AT_LINE,
	HTTP_IN_NAME,
	HTTP_AT_VALUE,
	HTTP_IN_TOKEN,       /* of a value, only characters of tokens so far */
	HTTP_IN_TOKEN_SPACE, /* behind that */
	HTTP_IN_VALUE,       /* any other value */
	HTTP_IN_VALUE_SPACE, /* behind a part of it */
	HTTP_AT_LAST_LF,     /* of the head */
	HTTP_WHOLE,          /* nothing may follow */
	HTTP_STATE_MAX = 32  /* a power of two */
};

/* What a step does, in this order. */
#define HTTP_DO_FROM    (1u << 5) /* the text begins at this byte */
#define HTTP_DO_TO      (1u << 6) /* it ends before this byte */
#define HTTP_DO_ODD     (1u << 7)
#define HTTP_DO_METHOD  (1u << 8)
#define HTTP_DO_TARGET  (1u << 9)
#define HTTP_DO_VERSION (1u << 10)
#define HTTP_DO_NAME    (1u << 11)
#define HTTP_DO_TOKEN   (1u << 12) /* the value has only characters of tokens */
#define HTTP_DO_HEADER  (1u << 13)
#define HTTP_DO_FIELD                                                                                                  \
	(HTTP_DO_METHOD | HTTP_DO_TARGET | HTTP_DO_VERSION | HTTP_DO_NAME | HTTP_DO_TOKEN | HTTP_DO_HEADER)

/* What may stand where: the classes of each, going on in the same way. */
#define HTTP_NAMES(step)     [HTTP_WORD] = step, [HTTP_DOT] = step, [HTTP_MARK] = step, [HTTP_HASH] = step
#define HTTP_NO_NAMES(step)  [HTTP_COMMA] = step, [HTTP_COLON] = step, [HTTP_QUESTION] = step, [HTTP_DELIM] = step
#define HTTP_TOKENS(step)    [HTTP_WORD] = step, [HTTP_DOT] = step, [HTTP_EQUAL] = step, [HTTP_SLASH] = step
#define HTTP_NO_TOKENS(step) [HTTP_MARK] = step, [HTTP_HASH] = step, [HTTP_HIGH] = step, HTTP_NO_NAMES(step)
#define HTTP_SPACES(step)    [HTTP_SP] = step, [HTTP_TAB] = step
#define HTTP_SEGMENT(step)                                                                                             \
	[HTTP_WORD] = step, [HTTP_MARK] = step, [HTTP_EQUAL] = step, [HTTP_COMMA] = step, [HTTP_COLON] = step
#define HTTP_ODD(step) [HTTP_HASH] = step, [HTTP_DELIM] = step

static const __u16 http_next[HTTP_STATE_MAX][HTTP_CLASS_MAX] = {
	[HTTP_IN_METHOD] = {
		[HTTP_WORD] = HTTP_IN_METHOD,
		[HTTP_SP] = HTTP_AT_TARGET | HTTP_DO_TO | HTTP_DO_METHOD,
	},
	[HTTP_AT_TARGET] = {
		[HTTP_SLASH] = HTTP_AT_SEGMENT | HTTP_DO_FROM,
	},
	[HTTP_AT_SEGMENT] = {
		HTTP_SEGMENT(HTTP_IN_SEGMENT),
		HTTP_ODD(HTTP_IN_SEGMENT | HTTP_DO_ODD),
		[HTTP_DOT] = HTTP_IN_DOTS,
		[HTTP_SLASH] = HTTP_AT_SEGMENT | HTTP_DO_ODD,
		[HTTP_QUESTION] = HTTP_IN_QUERY | HTTP_DO_TO,
		[HTTP_SP] = HTTP_AT_VERSION | HTTP_DO_TO | HTTP_DO_TARGET,
	},
	[HTTP_IN_DOTS] = {
		HTTP_SEGMENT(HTTP_IN_SEGMENT),
		HTTP_ODD(HTTP_IN_SEGMENT | HTTP_DO_ODD),
		[HTTP_DOT] = HTTP_IN_DOTS,
		[HTTP_SLASH] = HTTP_AT_SEGMENT | HTTP_DO_ODD,
		[HTTP_QUESTION] = HTTP_IN_QUERY | HTTP_DO_TO | HTTP_DO_ODD,
		[HTTP_SP] = HTTP_AT_VERSION | HTTP_DO_TO | HTTP_DO_ODD | HTTP_DO_TARGET,
	},
	[HTTP_IN_SEGMENT] = {
		HTTP_SEGMENT(HTTP_IN_SEGMENT),
		HTTP_ODD(HTTP_IN_SEGMENT | HTTP_DO_ODD),
		[HTTP_DOT] = HTTP_IN_SEGMENT,
		[HTTP_SLASH] = HTTP_AT_SEGMENT,
		[HTTP_QUESTION] = HTTP_IN_QUERY | HTTP_DO_TO,
		[HTTP_SP] = HTTP_AT_VERSION | HTTP_DO_TO | HTTP_DO_TARGET,
	},
	[HTTP_IN_QUERY] = {
		HTTP_NAMES(HTTP_IN_QUERY),
		HTTP_NO_NAMES(HTTP_IN_QUERY),
		[HTTP_EQUAL] = HTTP_IN_QUERY,
		[HTTP_SLASH] = HTTP_IN_QUERY,
		[HTTP_SP] = HTTP_AT_VERSION | HTTP_DO_TARGET,
	},
	[HTTP_AT_VERSION] = {
		[HTTP_WORD] = HTTP_IN_VERSION | HTTP_DO_FROM,
	},
	[HTTP_IN_VERSION] = {
		[HTTP_WORD] = HTTP_IN_VERSION,
		[HTTP_SLASH] = HTTP_IN_VERSION,
		[HTTP_DOT] = HTTP_IN_VERSION,
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_TO | HTTP_DO_VERSION,
	},
	[HTTP_AT_LF] = {
		[HTTP_LF] = HTTP_AT_LINE,
	},
	[HTTP_AT_LINE] = {
		HTTP_NAMES(HTTP_IN_NAME | HTTP_DO_FROM),
		[HTTP_CR] = HTTP_AT_LAST_LF,
	},
	[HTTP_IN_NAME] = {
		HTTP_NAMES(HTTP_IN_NAME),
		[HTTP_COLON] = HTTP_AT_VALUE | HTTP_DO_TO | HTTP_DO_NAME,
	},
	[HTTP_AT_VALUE] = {
		HTTP_TOKENS(HTTP_IN_TOKEN | HTTP_DO_FROM),
		HTTP_NO_TOKENS(HTTP_IN_VALUE | HTTP_DO_FROM),
		HTTP_SPACES(HTTP_AT_VALUE),
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_HEADER,
	},
	[HTTP_IN_TOKEN] = {
		HTTP_TOKENS(HTTP_IN_TOKEN),
		HTTP_NO_TOKENS(HTTP_IN_VALUE),
		HTTP_SPACES(HTTP_IN_TOKEN_SPACE | HTTP_DO_TO),
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_TO | HTTP_DO_TOKEN | HTTP_DO_HEADER,
	},
	[HTTP_IN_TOKEN_SPACE] = {
		HTTP_TOKENS(HTTP_IN_VALUE),
		HTTP_NO_TOKENS(HTTP_IN_VALUE),
		HTTP_SPACES(HTTP_IN_TOKEN_SPACE),
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_TOKEN | HTTP_DO_HEADER,
	},
	[HTTP_IN_VALUE] = {
		HTTP_TOKENS(HTTP_IN_VALUE),
		HTTP_NO_TOKENS(HTTP_IN_VALUE),
		HTTP_SPACES(HTTP_IN_VALUE_SPACE | HTTP_DO_TO),
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_TO | HTTP_DO_HEADER,
	},
	[HTTP_IN_VALUE_SPACE] = {
		HTTP_TOKENS(HTTP_IN_VALUE),
		HTTP_NO_TOKENS(HTTP_IN_VALUE),
		HTTP_SPACES(HTTP_IN_VALUE_SPACE),
		[HTTP_CR] = HTTP_AT_LF | HTTP_DO_HEADER,
	},
	[HTTP_AT_LAST_LF] = {
		[HTTP_LF] = HTTP_WHOLE,
	},
};

_Static_assert(HTTP_CLASS_MAX == 16 && HTTP_WHOLE < HTTP_STATE_MAX, "indices of http_next are masked");

/* Methods that are let through, and others that a record may name: what stands there in any other segment may be a secret. */
#define HTTP_VERBS(X)                                                                                                  \
	X(GET)                                                                                                              \
	X(HEAD)                                                                                                              \
	X(PUT)                                                                                                              \
	X(POST)                                                                                                              \
	X(DELETE)                                                                                                              \
	X(PATCH)                                                                                                              \
	X(OPTIONS)                                                                                                              \
	X(TRACE)

enum http_verb {
	HTTP_NO_VERB,
#define X(name) HTTP_VERB_##name,
	HTTP_VERBS(X)
#undef X
};

/*
 * Header fields that mean something here; each may stand once. X(NAME, "name", kind)
 * kind: M the request is refused where the value is none of HTTP_VALUES; T it counts where the value is right
 */
#define HTTP_HEADERS(X)                                                                                                \
	X(CONTENT_LENGTH, "content-length", M)                                                                                                              \
	X(TRANSFER_ENCODING, "transfer-encoding", M)                                                                                                              \
	X(EXPECT, "expect", M)                                                                                                              \
	X(X_FORWARDED_FOR, "x-forwarded-for", M)                                                                                                              \
	X(CONNECTION, "connection", M)                                                                                                              \
	X(AWS, "x-aws-ec2-metadata-token", T)                                                                                                              \
	X(AWS_TTL, "x-aws-ec2-metadata-token-ttl-seconds", T)                                                                                                              \
	X(ALIBABA, "x-aliyun-ecs-metadata-token", T)                                                                                                              \
	X(ALIBABA_TTL, "x-aliyun-ecs-metadata-token-ttl-seconds", T)                                                                                                              \
	X(GCP, "metadata-flavor", T)                                                                                                              \
	X(AZURE, "metadata", T)                                                                                                              \
	X(ORACLE, "authorization", T)

enum http_header {
	HTTP_NO_HEADER,
#define X(name, text, kind) HTTP_HEADER_##name,
	HTTP_HEADERS(X)
#undef X
};

#define HTTP_KIND_M 1u
#define HTTP_KIND_T 0u
enum http_must {
#define X(name, text, kind) | HTTP_KIND_##kind << HTTP_HEADER_##name
	HTTP_MUST = 0 HTTP_HEADERS(X)
#undef X
};

/* X(HEADER, "value", ANY_CASE or AS_IS) */
#define HTTP_VALUES(X)                                                                                                 \
	X(CONTENT_LENGTH, "0", HTTP_AS_IS)                                                                                                              \
	X(CONNECTION, "close", HTTP_ANY_CASE)                                                                                                              \
	X(CONNECTION, "keep-alive", HTTP_ANY_CASE)                                                                                                              \
	X(CONNECTION, "upgrade", HTTP_ANY_CASE)                                                                                                              \
	X(CONNECTION, "upgrade, http2-settings", HTTP_ANY_CASE)                                                                                                              \
	X(GCP, "Google", HTTP_AS_IS)                                                                                                              \
	X(AZURE, "true", HTTP_ANY_CASE)                                                                                                              \
	X(ORACLE, "Bearer Oracle", HTTP_AS_IS)

/* Or'ed to a byte. It makes letters small; what else it changes into a letter, '-' or ',' the table has refused. */
#define HTTP_AS_IS      0
#define HTTP_ANY_CASE   0x20
#define HTTP_TTL_DIGITS 5
