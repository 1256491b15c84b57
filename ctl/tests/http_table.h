/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to guarded endpoints, and what they are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model_http.h"

#define A   MODEL_HTTP_AWS
#define G   MODEL_HTTP_GCP
#define Z   MODEL_HTTP_AZURE
#define L   MODEL_HTTP_ALIBABA
#define O   MODEL_HTTP_ORACLE
#define ALL (A | G | Z | L | O)

#define BAD   MODEL_HTTP_BAD
#define PLAIN MODEL_HTTP_PLAIN
#define WITH  MODEL_HTTP_TOKEN

#define R(text)            .bytes = text, .n = sizeof(text) - 1
#define GET(path, headers) R("GET " path " HTTP/1.1\r\n" headers "\r\n")
#define PUT(path, headers) R("PUT " path " HTTP/1.1\r\n" headers "\r\n")
#define AWS_PUT(ttl)       PUT("/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: " ttl "\r\n")
#define TOKEN              "AQAEAJ-jq_Cfw0WQ5tr/+p3T~x.ldg=="
#define TOKEN_LINE         "X-aws-ec2-metadata-token: " TOKEN "\r\n"
#define HOST               "Host: 169.254.169.254\r\n"

static const struct request_row {
	const char *what;
	const char *bytes;
	size_t n;
	unsigned int tokens;
	enum model_http_result result;
	const char *path; /* NULL: none is told */
	bool odd;
} rows[] = {
	/* whole and plain */
	{ "the least there is", GET("/", ""), ALL, PLAIN, "/", 0 },
	{ "with a host", GET("/latest/meta-data/", HOST), ALL, PLAIN, "/latest/meta-data/", 0 },
	{ "HTTP/1.0", R("GET / HTTP/1.0\r\n\r\n"), ALL, PLAIN, "/", 0 },
	{ "HEAD", R("HEAD /x HTTP/1.1\r\n" HOST "\r\n"), ALL, PLAIN, "/x", 0 },
	{ "curl", GET("/latest/user-data", HOST "User-Agent: curl/8.14.1\r\nAccept: */*\r\n"), A, PLAIN,
	  "/latest/user-data", 0 },
	{ "a JDK, which offers HTTP/2",
	  GET("/a", "Connection: Upgrade, HTTP2-Settings\r\nContent-Length: 0\r\n" HOST
		    "HTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n"),
	  A, PLAIN, "/a", 0 },
	{ "keep-alive", GET("/a", "Connection: Keep-Alive\r\n"), A, PLAIN, "/a", 0 },
	{ "close", GET("/a", "connection: close\r\n"), A, PLAIN, "/a", 0 },
	{ "an empty value", GET("/", "Accept:\r\n"), A, PLAIN, "/", 0 },
	{ "a value of spaces", GET("/", "Accept: \t \r\n"), A, PLAIN, "/", 0 },
	{ "a value with tabs", GET("/", "Accept:\ta\tb\t\r\n"), A, PLAIN, "/", 0 },
	{ "a value above ASCII", GET("/", "User-Agent: caf\xc3\xa9\r\n"), A, PLAIN, "/", 0 },
	{ "a query, which is not told", GET("/a?key=secret&b=%2e/../;", ""), A, PLAIN, "/a", 0 },
	{ "a '?' in a query", GET("/a?b?c", ""), A, PLAIN, "/a", 0 },
	/* tokens */
	{ "AWS", GET("/latest/meta-data/", HOST TOKEN_LINE), A, WITH, "/latest/meta-data/", 0 },
	{ "AWS, HEAD", R("HEAD /a HTTP/1.1\r\n" TOKEN_LINE "\r\n"), A, WITH, "/a", 0 },
	{ "AWS, in small letters", GET("/a", "x-aws-ec2-metadata-token: " TOKEN "\r\n"), A, WITH, "/a", 0 },
	{ "AWS, in capitals, without a space", GET("/a", "X-AWS-EC2-METADATA-TOKEN:" TOKEN "\r\n"), A, WITH, "/a", 0 },
	{ "AWS, with spaces around", GET("/a", "X-aws-ec2-metadata-token: \t" TOKEN " \t \r\n"), A, WITH, "/a", 0 },
	{ "AWS, first and last header", GET("/a", TOKEN_LINE HOST), A, WITH, "/a", 0 },
	{ "AWS, where it is not one", GET("/a", TOKEN_LINE), ALL & ~A, PLAIN, "/a", 0 },
	{ "AWS, empty", GET("/a", "X-aws-ec2-metadata-token:\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, empty but for spaces", GET("/a", "X-aws-ec2-metadata-token: \t \r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, two words", GET("/a", "X-aws-ec2-metadata-token: ab cd\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, a character of no token", GET("/a", "X-aws-ec2-metadata-token: ab,cd\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, above ASCII", GET("/a", "X-aws-ec2-metadata-token: ab\xe9\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, a name with a letter less", GET("/a", "X-aws-ec2-metadata-toke: ab\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, a name with a letter more", GET("/a", "X-aws-ec2-metadata-token2: ab\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, underscores", GET("/a", "X_aws_ec2_metadata_token: ab\r\n"), A, PLAIN, "/a", 0 },
	{ "AWS, in the path", GET("/a/X-aws-ec2-metadata-token:ab", ""), A, PLAIN, "/a/X-aws-ec2-metadata-token:ab",
	  0 },
	{ "AWS, in the query", GET("/a?X-aws-ec2-metadata-token:ab", ""), A, PLAIN, "/a", 0 },
	{ "AWS, in a value", GET("/a", "A: X-aws-ec2-metadata-token: ab\r\n"), A, PLAIN, "/a", 0 },
	{ "Alibaba", GET("/a", "X-aliyun-ecs-metadata-token: " TOKEN "\r\n"), L, WITH, "/a", 0 },
	{ "Google", GET("/computeMetadata/v1/", "Metadata-Flavor: Google\r\n"), G, WITH, "/computeMetadata/v1/", 0 },
	{ "Google, the name in small letters", GET("/a", "metadata-flavor:Google\r\n"), G, WITH, "/a", 0 },
	{ "Google, the value in small letters", GET("/a", "Metadata-Flavor: google\r\n"), G, PLAIN, "/a", 0 },
	{ "Google, and more", GET("/a", "Metadata-Flavor: Google2\r\n"), G, PLAIN, "/a", 0 },
	{ "Azure", GET("/metadata/instance?api-version=2021-02-01", "Metadata: true\r\n"), Z, WITH,
	  "/metadata/instance", 0 },
	{ "Azure, True", GET("/a", "metadata:True\r\n"), Z, WITH, "/a", 0 },
	{ "Azure, false", GET("/a", "Metadata: false\r\n"), Z, PLAIN, "/a", 0 },
	{ "Oracle", GET("/opc/v2/", "Authorization: Bearer Oracle\r\n"), O, WITH, "/opc/v2/", 0 },
	{ "Oracle, somebody else's", GET("/a", "Authorization: Bearer Oracles\r\n"), O, PLAIN, "/a", 0 },
	{ "the token of another cloud", GET("/a", "Metadata: true\r\n"), G, PLAIN, "/a", 0 },
	/* asking for one */
	{ "AWS asks", AWS_PUT("21600"), A, WITH, "/latest/api/token", 0 },
	{ "AWS asks, and has no body",
	  PUT("/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds:1\r\nContent-Length: 0\r\n"), A, WITH,
	  "/latest/api/token", 0 },
	{ "Alibaba asks", PUT("/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 60\r\n"), L, WITH,
	  "/latest/api/token", 0 },
	{ "Alibaba's question to AWS", PUT("/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 60\r\n"), A,
	  BAD, "/latest/api/token", 0 },
	{ "AWS asks where nobody has tokens", AWS_PUT("60"), G | Z | O, BAD, "/latest/api/token", 0 },
	{ "AWS asks without a time", PUT("/latest/api/token", HOST), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks, no number", AWS_PUT("6o"), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks, a colon", AWS_PUT("6:0"), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks, a slash", AWS_PUT("6/0"), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks, six digits", AWS_PUT("100000"), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks, an empty time", AWS_PUT(""), A, BAD, "/latest/api/token", 0 },
	{ "AWS asks elsewhere", PUT("/latest/api/tokens", "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"), A, BAD,
	  "/latest/api/tokens", 0 },
	{ "AWS asks with a query", PUT("/latest/api/token?a", "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"), A, BAD,
	  "/latest/api/token", 0 },
	{ "a PUT of anything else, with a token", PUT("/a", TOKEN_LINE), A, BAD, "/a", 0 },
	/* the three holes that an earlier parser had, and their neighbours */
	{ "a bare LF before a header", GET("/a", "A: b\n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a bare LF behind two words", GET("/a", "A: b c\n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a bare LF behind a space", GET("/a", "A: b \n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a bare LF behind words and a space", GET("/a", "A: b c \n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a bare LF for a value", GET("/a", "A:\n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a bare LF in a name", GET("/a", "A\n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a CR alone behind a value", GET("/a", "A: b\r" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a CR alone behind the request line", R("GET /a HTTP/1.1\r" TOKEN_LINE "\r\n"), A, BAD, "/a", 0 },
	{ "a bare LF behind the request line", R("GET /a HTTP/1.1\n" TOKEN_LINE "\r\n"), A, BAD, "/a", 0 },
	{ "a CR inside a name", GET("/a", "X-aws-ec2-metadata\r-token: ab\r\n"), A, BAD, "/a", 0 },
	{ "a CR behind a name", GET("/a", "X-aws-ec2-metadata-token\r: ab\r\n"), A, BAD, "/a", 0 },
	{ "a CR inside a value", GET("/a", "X-aws-ec2-metadata-token: a\rb\r\n"), A, BAD, "/a", 0 },
	{ "two CRs", GET("/a", "A: b\r\r\n" TOKEN_LINE), A, BAD, "/a", 0 },
	{ "a CR in the path", GET("/a\rb", ""), A, BAD, NULL, 0 },
	{ "LF alone all over", R("GET /a HTTP/1.1\nX-aws-ec2-metadata-token: ab\n\n"), A, BAD, "/a", 0 },
	{ "an end of LF LF", R("GET /a HTTP/1.1\r\n" TOKEN_LINE "\n\n"), A, BAD, "/a", 0 },
	{ "an end of CR LF LF", R("GET /a HTTP/1.1\r\n" TOKEN_LINE "\n"), A, BAD, "/a", 0 },
	{ "an empty line in front", R("\r\nGET /a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	/* the request line */
	{ "one line alone", R("GET /a HTTP/1.1\r\n"), A, BAD, "/a", 0 },
	{ "HTTP/0.9", R("GET /a\r\n"), A, BAD, NULL, 0 },
	{ "HTTP/0.9 with a version", R("GET /a HTTP/0.9\r\n\r\n"), A, BAD, "/a", 0 },
	{ "HTTP/2", R("GET /a HTTP/2\r\n\r\n"), A, BAD, "/a", 0 },
	{ "HTTP/2 preface", R("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), A, BAD, NULL, 0 },
	{ "HTTP/1.2", R("GET /a HTTP/1.2\r\n\r\n"), A, BAD, "/a", 0 },
	{ "HTTP/1.10", R("GET /a HTTP/1.10\r\n\r\n"), A, BAD, "/a", 0 },
	{ "http/1.1", R("GET /a http/1.1\r\n\r\n"), A, BAD, "/a", 0 },
	{ "a space behind the version", R("GET /a HTTP/1.1 \r\n\r\n"), A, BAD, "/a", 0 },
	{ "no version", R("GET /a \r\n\r\n"), A, BAD, "/a", 0 },
	{ "two spaces", R("GET  /a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "two spaces behind the path", R("GET /a  HTTP/1.1\r\n\r\n"), A, BAD, "/a", 0 },
	{ "a space in the path", GET("/a b", ""), A, BAD, "/a", 0 },
	{ "a tab for a space", R("GET\t/a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "a small method", R("get /a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "a method that is longer", R("GETS /a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "no method", R(" /a HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "POST", R("POST /a HTTP/1.1\r\n" TOKEN_LINE "\r\n"), A, BAD, "/a", 0 },
	{ "DELETE", R("DELETE /a HTTP/1.1\r\n" TOKEN_LINE "\r\n"), A, BAD, "/a", 0 },
	{ "OPTIONS *", R("OPTIONS * HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "CONNECT", R("CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
	{ "an absolute form", GET("http://169.254.169.254/a", ""), A, BAD, NULL, 0 },
	{ "no slash", GET("a", ""), A, BAD, NULL, 0 },
	{ "above ASCII in the path", GET("/caf\xc3\xa9", ""), A, BAD, NULL, 0 },
	{ "above ASCII in the query", GET("/a?\xc3\xa9", ""), A, BAD, NULL, 0 },
	{ "a NUL in the path", GET("/a\0b", ""), A, BAD, NULL, 0 },
	{ "a DEL in the path", GET("/a\x7f", ""), A, BAD, NULL, 0 },
	/* paths that servers read in several ways */
	{ "a percent sign", GET("/latest/%6deta-data/", ""), A, PLAIN, "/latest/%6deta-data/", 1 },
	{ "two slashes", GET("/latest//meta-data", ""), A, PLAIN, "/latest//meta-data", 1 },
	{ "two slashes in front", GET("//latest", ""), A, PLAIN, "//latest", 1 },
	{ "a dot", GET("/latest/./x", ""), A, PLAIN, "/latest/./x", 1 },
	{ "two dots", GET("/latest/../x", ""), A, PLAIN, "/latest/../x", 1 },
	{ "two dots at the end", GET("/latest/..", ""), A, PLAIN, "/latest/..", 1 },
	{ "two dots before a query", GET("/latest/..?x", ""), A, PLAIN, "/latest/..", 1 },
	{ "two dots and a parameter", GET("/latest/..;a/x", ""), A, PLAIN, "/latest/..;a/x", 1 },
	{ "a backslash", GET("/latest\\..\\x", ""), A, PLAIN, "/latest\\..\\x", 1 },
	{ "a fragment", GET("/latest#x", ""), A, PLAIN, "/latest#x", 1 },
	{ "names with dots", GET("/.x/..y/z../a.b", ""), A, PLAIN, "/.x/..y/z../a.b", 0 },
	{ "all that a path may have", GET("/aZ09-._~!$&'()*+,=:@/", ""), A, PLAIN, "/aZ09-._~!$&'()*+,=:@/", 0 },
	/* header fields */
	{ "a space before the colon", GET("/a", "X-aws-ec2-metadata-token : ab\r\n"), A, BAD, "/a", 0 },
	{ "a folded line", GET("/a", "A: b\r\n X-aws-ec2-metadata-token: ab\r\n"), A, BAD, "/a", 0 },
	{ "a folded line with a tab", GET("/a", "A: b\r\n\tc\r\n"), A, BAD, "/a", 0 },
	{ "a token on a line of its own", GET("/a", "X-aws-ec2-metadata-token:\r\n ab\r\n"), A, BAD, "/a", 0 },
	{ "no colon", GET("/a", "X-aws-ec2-metadata-token\r\n"), A, BAD, "/a", 0 },
	{ "no name", GET("/a", ": ab\r\n"), A, BAD, "/a", 0 },
	{ "a space in front", GET("/a", " A: b\r\n"), A, BAD, "/a", 0 },
	{ "a name in brackets", GET("/a", "(A): b\r\n"), A, BAD, "/a", 0 },
	{ "a name with a NUL", GET("/a", "A\0B: b\r\n"), A, BAD, "/a", 0 },
	{ "a name above ASCII", GET("/a", "\xc3\xa9: b\r\n"), A, BAD, "/a", 0 },
	{ "a value with a NUL", GET("/a", "A: b\0c\r\n"), A, BAD, "/a", 0 },
	{ "a value with a DEL", GET("/a", "A: b\x7f\r\n"), A, BAD, "/a", 0 },
	{ "a value with an escape", GET("/a", "A: b\x1b[2J\r\n"), A, BAD, "/a", 0 },
	{ "two tokens", GET("/a", TOKEN_LINE TOKEN_LINE), A, BAD, "/a", 0 },
	{ "two tokens, one empty, other case", GET("/a", TOKEN_LINE "x-aws-ec2-metadata-token:\r\n"), A, BAD, "/a", 0 },
	{ "two flavors", GET("/a", "Metadata-Flavor: Google\r\nMetadata-Flavor: Google\r\n"), G, BAD, "/a", 0 },
	{ "a body", R("GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), A, BAD, "/a", 0 },
	{ "a body to come", GET("/a", TOKEN_LINE "Content-Length: 5\r\n"), A, BAD, "/a", 0 },
	{ "Content-Length of 00", GET("/a", "Content-Length: 00\r\n"), A, BAD, "/a", 0 },
	{ "Content-Length of +0", GET("/a", "Content-Length: +0\r\n"), A, BAD, "/a", 0 },
	{ "Content-Length, a list", GET("/a", "Content-Length: 0, 5\r\n"), A, BAD, "/a", 0 },
	{ "Content-Length, empty", GET("/a", "Content-Length:\r\n"), A, BAD, "/a", 0 },
	{ "Content-Length twice", GET("/a", "Content-Length: 0\r\nContent-Length: 5\r\n"), A, BAD, "/a", 0 },
	{ "chunked", GET("/a", "Transfer-Encoding: chunked\r\n"), A, BAD, "/a", 0 },
	{ "chunked and a length", GET("/a", "Content-Length: 0\r\ntransfer-encoding:\tchunked\r\n"), A, BAD, "/a", 0 },
	{ "identity", GET("/a", "Transfer-Encoding: identity\r\n"), A, BAD, "/a", 0 },
	{ "Expect", GET("/a", "Expect: 100-continue\r\n"), A, BAD, "/a", 0 },
	{ "forwarded by a proxy", GET("/a", TOKEN_LINE "X-Forwarded-For: 192.0.2.1\r\n"), A, BAD, "/a", 0 },
	{ "a proxy is told to drop the token", GET("/a", TOKEN_LINE "Connection: X-aws-ec2-metadata-token\r\n"), A, BAD,
	  "/a", 0 },
	{ "the same, behind others", GET("/a", TOKEN_LINE "Connection: close, X-aws-ec2-metadata-token\r\n"), A, BAD,
	  "/a", 0 },
	/* more than one, less than one */
	{ "pipelined", R("GET /a HTTP/1.1\r\n" TOKEN_LINE "\r\nGET /b HTTP/1.1\r\n\r\n"), A, BAD, "/a", 0 },
	{ "pipelined, both with a token",
	  R("GET /a HTTP/1.1\r\n" TOKEN_LINE "\r\nGET /b HTTP/1.1\r\n" TOKEN_LINE "\r\n"), A, BAD, "/a", 0 },
	{ "a line too many", R("GET /a HTTP/1.1\r\n\r\n\r\n"), A, BAD, "/a", 0 },
	{ "a byte behind it", R("GET /a HTTP/1.1\r\n\r\nX"), A, BAD, "/a", 0 },
	{ "a NUL behind it", R("GET /a HTTP/1.1\r\n\r\n\0"), A, BAD, "/a", 0 },
	{ "what follows a first half", R("aws-ec2-metadata-token: ab\r\n\r\n"), A, BAD, NULL, 0 },
	{ "a first half that ends in a value", R("GET /a HTTP/1.1\r\nA: "), A, BAD, "/a", 0 },
	{ "TLS", R("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), A, BAD, NULL, 0 },
	{ "a secret that is no request", R("hunter2 /x HTTP/1.1\r\n\r\n"), A, BAD, NULL, 0 },
};
