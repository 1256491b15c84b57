// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <strings.h>

#include "model_http.h"

#define MOST 2048

struct span {
	const char *at;
	size_t n;
};

static bool is(struct span s, const char *text)
{
	return s.n == strlen(text) && !memcmp(s.at, text, s.n);
}

static bool is_any_case(struct span s, const char *text)
{
	return s.n == strlen(text) && !strncasecmp(s.at, text, s.n);
}

static bool is_one_of(struct span s, const char *const *texts)
{
	for (; *texts; texts++)
		if (is(s, *texts))
			return true;
	return false;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits and the characters of `others`, at least one. */
static bool has_only(struct span s, const char *others)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter_or_digit(s.at[i]) && (!s.at[i] || !strchr(others, s.at[i])))
			return false;
	return s.n > 0;
}

/* What stands before `stop` leaves *rest, with it. false: it is not there. */
static bool cut(struct span *rest, const char *stop, struct span *ret)
{
	const char *found = memmem(rest->at, rest->n, stop, strlen(stop));

	if (!found)
		return false;
	*ret = (struct span){ rest->at, found - rest->at };
	rest->at = found + strlen(stop);
	rest->n -= ret->n + strlen(stop);
	return true;
}

static struct span trimmed(struct span s)
{
	while (s.n && (s.at[0] == ' ' || s.at[0] == '\t')) {
		s.at++;
		s.n--;
	}
	while (s.n && (s.at[s.n - 1] == ' ' || s.at[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool is_number(struct span s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return s.n >= 1 && s.n <= most;
}

/* ---- the request line ---- */

static bool target_is_sound(struct span target)
{
	for (size_t i = 0; i < target.n; i++)
		if (target.at[i] < '!' || target.at[i] > '~')
			return false;
	return target.n && *target.at == '/';
}

static bool segment_is_odd(struct span segment, bool last)
{
	if (!segment.n)
		return !last;
	if (!has_only(segment, "-._~!$&'()*+,=:@"))
		return true;
	for (size_t i = 0; i < segment.n; i++)
		if (segment.at[i] != '.')
			return false;
	return true;
}

static bool path_is_odd(struct span path)
{
	struct span rest = { path.at + 1, path.n - 1 }, segment;

	while (cut(&rest, "/", &segment))
		if (segment_is_odd(segment, false))
			return true;
	return segment_is_odd(rest, true);
}

/* ---- header fields ---- */

enum field {
	LENGTH,
	CODING,
	EXPECT,
	FORWARDED,
	CONNECTION,
	AWS,
	AWS_TTL,
	ALIBABA,
	ALIBABA_TTL,
	FLAVOR,
	METADATA,
	AUTHORIZATION,
	FIELDS
};

static const char *const names[FIELDS] = {
	[LENGTH] = "Content-Length",
	[CODING] = "Transfer-Encoding",
	[EXPECT] = "Expect",
	[FORWARDED] = "X-Forwarded-For",
	[CONNECTION] = "Connection",
	[AWS] = "X-aws-ec2-metadata-token",
	[AWS_TTL] = "X-aws-ec2-metadata-token-ttl-seconds",
	[ALIBABA] = "X-aliyun-ecs-metadata-token",
	[ALIBABA_TTL] = "X-aliyun-ecs-metadata-token-ttl-seconds",
	[FLAVOR] = "Metadata-Flavor",
	[METADATA] = "Metadata",
	[AUTHORIZATION] = "Authorization",
};

struct fields {
	size_t times[FIELDS];
	struct span value[FIELDS];
};

static bool read_line(struct span line, struct fields *fields)
{
	struct span name, value;

	if (!cut(&line, ":", &name) || !has_only(name, "!#$%&'*+-.^_`|~"))
		return false;
	value = trimmed(line);
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
			return false;
	for (enum field f = 0; f < FIELDS; f++) {
		if (is_any_case(name, names[f])) {
			fields->times[f]++;
			fields->value[f] = value;
		}
	}
	return true;
}

/* The fields up to the end of the text, which must be that of the head. */
static bool read_fields(struct span rest, struct fields *fields)
{
	struct span line;

	while (cut(&rest, "\r\n", &line)) {
		if (!line.n)
			return rest.n == 0;
		if (!read_line(line, fields))
			return false;
	}
	return false;
}

static bool connection_is_plain(struct span value)
{
	return is_any_case(value, "close") || is_any_case(value, "keep-alive") || is_any_case(value, "upgrade") ||
	       is_any_case(value, "upgrade, http2-settings");
}

static bool fields_are_admitted(const struct fields *fields)
{
	for (enum field f = 0; f < FIELDS; f++)
		if (fields->times[f] > 1)
			return false;
	if (fields->times[CODING] || fields->times[EXPECT] || fields->times[FORWARDED])
		return false;
	if (fields->times[LENGTH] && !is(fields->value[LENGTH], "0"))
		return false;
	return !fields->times[CONNECTION] || connection_is_plain(fields->value[CONNECTION]);
}

static bool is_token(struct span value)
{
	return has_only(value, "+/=._~-");
}

static bool have_token(const struct fields *fields, unsigned int tokens)
{
	return (tokens & MODEL_HTTP_AWS && is_token(fields->value[AWS])) ||
	       (tokens & MODEL_HTTP_ALIBABA && is_token(fields->value[ALIBABA])) ||
	       (tokens & MODEL_HTTP_GCP && is(fields->value[FLAVOR], "Google")) ||
	       (tokens & MODEL_HTTP_AZURE && is_any_case(fields->value[METADATA], "true")) ||
	       (tokens & MODEL_HTTP_ORACLE && is(fields->value[AUTHORIZATION], "Bearer Oracle"));
}

static bool ask_for_token(const struct fields *fields, unsigned int tokens)
{
	return (tokens & MODEL_HTTP_AWS && is_number(fields->value[AWS_TTL], 5)) ||
	       (tokens & MODEL_HTTP_ALIBABA && is_number(fields->value[ALIBABA_TTL], 5));
}

struct model_request model_http(const char *text, size_t n, unsigned int tokens)
{
	static const char *const told[] = { "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", NULL };
	struct span rest = { text, n }, method, target, path, query, version;
	struct fields fields = { 0 };
	struct model_request r = { 0 };

	if (n > MOST || !cut(&rest, " ", &method) || !is_one_of(method, told))
		return r;
	r.method = method.at;
	r.n_method = method.n;
	if (!cut(&rest, " ", &target) || !target_is_sound(target))
		return r;
	query = target;
	if (!cut(&query, "?", &path))
		path = target;
	r.path = path.at;
	r.n_path = path.n;
	r.odd_path = path_is_odd(path);
	if (!cut(&rest, "\r\n", &version) || !(is(version, "HTTP/1.1") || is(version, "HTTP/1.0")))
		return r;
	if (!read_fields(rest, &fields) || !fields_are_admitted(&fields))
		return r;
	if (is(method, "PUT")) {
		r.session = is(target, "/latest/api/token") && ask_for_token(&fields, tokens);
		r.result = r.session ? MODEL_HTTP_TOKEN : MODEL_HTTP_BAD;
	} else if (is(method, "GET") || is(method, "HEAD")) {
		r.result = have_token(&fields, tokens) ? MODEL_HTTP_TOKEN : MODEL_HTTP_PLAIN;
	}
	return r;
}
