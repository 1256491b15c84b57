// SPDX-License-Identifier: GPL-2.0
/* The two writers: the same words from a command, text or JSON from them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../out/out.h"

static unsigned int passed, failed;

typedef int (*scene)(struct out *out);

/* Plays a scene and compares what reached standard output. */
static void play(const char *what, scene scene, bool json, int want_code, const char *want)
{
	char got[4096] = "";
	int saved = dup(STDOUT_FILENO), code;
	FILE *file = tmpfile();
	struct out *out;
	size_t n;

	fflush(stdout);
	if (saved < 0 || !file || dup2(fileno(file), STDOUT_FILENO) < 0)
		exit(1);
	out = out_new(json);
	code = out ? out_finish(out, scene(out)) : -1;
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(file);
	n = fread(got, 1, sizeof(got) - 1, file);
	got[n] = '\0';
	fclose(file);
	if (code == want_code && !strcmp(got, want)) {
		passed++;
		return;
	}
	failed++;
	printf("FAIL %s: code %d, wanted %d\n got    %s\n wanted %s\n", what, code, want_code, got, want);
}

static int nothing(struct out *out)
{
	(void)out;
	return 0;
}

static int fails(struct out *out)
{
	(void)out;
	return 1;
}

static int differs(struct out *out)
{
	out_bool(out, "changed", true);
	return 4;
}

static int nested(struct out *out)
{
	out_text(out, "two filters\n");
	out_array(out, "filters");
	for (unsigned int i = 0; i < 2; i++) {
		out_object(out, NULL);
		out_integer(out, "rules", i);
		out_real(out, "ms", 0.1);
		out_null(out, "none");
		out_string(out, "also", NULL);
		out_end(out);
	}
	out_end(out);
	out_format(out, "name", "%s-%d", "x", 7);
	return 0;
}

static int long_array(struct out *out)
{
	out_bool(out, "behind", true);
	out_array_long(out, "flows");
	for (unsigned int i = 0; i < 2; i++) {
		out_object(out, NULL);
		out_integer(out, "n", i);
		out_array(out, "of");
		out_integer(out, NULL, i);
		out_end(out);
		out_end(out);
	}
	out_string(out, NULL, "alone");
	out_end(out);
	out_array(out, "short");
	out_integer(out, NULL, 1);
	out_end(out);
	return 0;
}

static int unfinished_long(struct out *out)
{
	out_array_long(out, "flows");
	out_object(out, NULL);
	return 1;
}

static int unfinished(struct out *out)
{
	out_object(out, "a");
	out_array(out, "b");
	return 1;
}

static int bytes(struct out *out)
{
	out_string(out, "a", "t\xc3\xa4g \x1b\"\\");
	out_string(out, "b", "\xff\xc3");
	out_string(out, "c", "\xff\xc3\xa4");
	return 0;
}

static int large(struct out *out)
{
	out_integer(out, "n", 9223372036854775807u);
	return 0;
}

static int records(struct out *out)
{
	out_lines(out);
	for (unsigned int i = 1; i <= 2; i++) {
		out_integer(out, "packet", i);
		out_text(out, "packet %u\n", i);
		out_record_end(out);
	}
	return 0;
}

static int problem(struct out *out)
{
	struct diag diag;
	uint16_t file;

	diag_init(&diag);
	file = diag_add_source(&diag, "a.rules", "tcp dport 22\n", 13);
	diag_error(&diag, (struct location){ .file = file, .line = 1, .column = 5, .length = 5 }, "odd '%s'", "dport");
	diag_hint(&diag, "a hint");
	diag_other(&diag, (struct location){ .file = file, .line = 1, .column = 1, .length = 3 });
	diag_warning(&diag, (struct location){ 0 }, "no place");
	out_object(out, "half");
	out_diag(out, &diag, "closing");
	out_end(out);
	diag_clear(&diag);
	return 3;
}

static int failing_records(struct out *out)
{
	records(out);
	return problem(out);
}

static int hostile_records(struct out *out)
{
	out_lines(out);
	out_string(out, "s", "\xc3\xa4\x7f\xc2\x9b\n\xff\"\xe2\x80\xae");
	out_record_end(out);
	return 0;
}

/* What a form makes of a record. */
static void play_record(enum out_form form, const char *want)
{
	char *got = NULL;
	size_t length;
	FILE *file = open_memstream(&got, &length);
	struct out *out = file ? out_records_new(form, file) : NULL;

	if (!out)
		exit(1);
	for (unsigned int i = 0; i < 2; i++) {
		out_string(out, "name", "a\nMESSAGE=\"b\"\xff");
		out_integer(out, "n", i);
		out_null(out, "none");
		out_bool(out, "yes", true);
		out_text(out, "name %s\n", "x");
		out_record_end(out);
	}
	out_finish(out, 0);
	fclose(file);
	if (!strcmp(got, want)) {
		passed++;
	} else {
		failed++;
		printf("FAIL form %d\n got    %s\n wanted %s\n", (int)form, got, want);
	}
	free(got);
}

static void quotes(void)
{
	static const struct {
		const char *text, *quoted;
	} rows[] = {
		{ "curl", "curl" },
		{ "/usr/bin/curl-8.0", "/usr/bin/curl-8.0" },
		{ "", "\"\"" },
		{ "a b", "\"a b\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "a\nb\x1b[2J\x7f", "\"a\\x0ab\\x1b[2J\\x7f\"" },
		{ "t\xc3\xa4g", "\"t\xc3\xa4g\"" },
		{ "\xff\xc3", "\"\\xff\\xc3\"" },
		{ "\xc0\xaf \xe0\x80\xaf \xed\xa0\x80", "\"\\xc0\\xaf \\xe0\\x80\\xaf \\xed\\xa0\\x80\"" },
		{ "\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"" },
		{ "\xf0\x9f\x94\xa5", "\"\xf0\x9f\x94\xa5\"" },
		{ "a\xe2\x80\xae"
		  "b\xc2\x9b",
		  "\"a\\xe2\\x80\\xaeb\\xc2\\x9b\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = out_quote(rows[i].text);

		if (got && !strcmp(got, rows[i].quoted)) {
			passed++;
		} else {
			failed++;
			printf("FAIL quoting row %zu: %s, wanted %s\n", i, got ? got : "(nothing)", rows[i].quoted);
		}
		free(got);
	}
}

#define PROBLEMS                                                                                                       \
	"\"problems\":[{\"severity\":\"error\",\"file\":\"a.rules\",\"line\":1,\"column\":5,\"message\":\"odd "        \
	"'dport'\","                                                                                                   \
	"\"hint\":\"a hint\",\"other\":{\"file\":\"a.rules\",\"line\":1,\"column\":1}},"                               \
	"{\"severity\":\"warning\",\"file\":null,\"message\":\"no place\"}]}\n"

int main(void)
{
	play("text: nothing said, nothing printed", nothing, false, 0, "");
	play("json: nothing said is a document", nothing, true, 0, "{\"ok\":true,\"problems\":[]}\n");
	play("json: a failure", fails, true, 1, "{\"ok\":false,\"problems\":[]}\n");
	play("json: a difference is a result", differs, true, 4, "{\"ok\":true,\"changed\":true,\"problems\":[]}\n");
	play("text: members of the document are not for people", nested, false, 0, "two filters\n");
	play("json: members in their order", nested, true, 0,
	     "{\"ok\":true,\"filters\":[{\"rules\":0,\"ms\":0.1,\"none\":null,\"also\":null},"
	     "{\"rules\":1,\"ms\":0.1,\"none\":null,\"also\":null}],\"name\":\"x-7\",\"problems\":[]}\n");
	play("json: what a failure left open is closed", unfinished, true, 1,
	     "{\"ok\":false,\"a\":{\"b\":[]},\"problems\":[]}\n");
	play("text: long arrays are not for people either", long_array, false, 0, "");
	play("json: a long array stands in front", long_array, true, 0,
	     "{\"flows\":[{\"n\":0,\"of\":[0]},{\"n\":1,\"of\":[1]},\"alone\"],\"ok\":true,\"behind\":true,"
	     "\"short\":[1],\"problems\":[]}\n");
	play("json: also one that a failure cut off", unfinished_long, true, 1,
	     "{\"flows\":[{}],\"ok\":false,\"problems\":[]}\n");
	play("json: bytes that are no UTF-8", bytes, true, 0,
	     "{\"ok\":true,\"a\":\"t\xc3\xa4g \\u001B\\\"\\\\\",\"b\":\"\xef\xbf\xbd\xef\xbf\xbd\","
	     "\"c\":\"\xef\xbf\xbd\xc3\xa4\",\"problems\":[]}\n");
	play("json: the largest number", large, true, 0, "{\"ok\":true,\"n\":9223372036854775807,\"problems\":[]}\n");
	play("text: records", records, false, 0, "packet 1\npacket 2\n");
	play("json: a record a line", records, true, 0, "{\"packet\":1}\n{\"packet\":2}\n");
	play("json: strings of records are ASCII", hostile_records, true, 0,
	     "{\"s\":\"\\u00E4\\u007F\\u009B\\n\\uFFFD\\\"\\u202E\"}\n");
	play_record(OUT_FORM_TEXT, "name x\nname x\n");
	play_record(OUT_FORM_JSON, "{\"name\":\"a\\nMESSAGE=\\\"b\\\"\\uFFFD\",\"n\":0,\"none\":null,\"yes\":true}\n"
				   "{\"name\":\"a\\nMESSAGE=\\\"b\\\"\\uFFFD\",\"n\":1,\"none\":null,\"yes\":true}\n");
	play_record(OUT_FORM_JOURNAL, "MESSAGE=name x\nWEIR_NAME=a\\x0aMESSAGE=\\\"b\\\"\\xff\nWEIR_N=0\nWEIR_YES=1\n"
				      "MESSAGE=name x\nWEIR_NAME=a\\x0aMESSAGE=\\\"b\\\"\\xff\nWEIR_N=1\nWEIR_YES=1\n");
	quotes();
	play("json: problems have their places", problem, true, 3, "{\"ok\":false,\"half\":{}," PROBLEMS);
	play("json: a failure behind records", failing_records, true, 3,
	     "{\"packet\":1}\n{\"packet\":2}\n{\"ok\":false," PROBLEMS);
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
