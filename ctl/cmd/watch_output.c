// SPDX-License-Identifier: GPL-2.0
/* A record in its form, and the way there. */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../lang/suggest.h"
#include "../out/out.h"

#define SYSLOG_SOCKET  "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

#define ROTATE_AT    (64ull << 20)
#define ROTATE_LEAST 4096
#define ROTATE_COUNT 5
#define ROTATE_MOST  1000

static const char *const formats[] = {
	[WATCH_TEXT] = "text",
	[WATCH_JSON] = "json",
	[WATCH_SYSLOG] = "syslog",
	[WATCH_JOURNAL] = "journal",
};
#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

struct watch_output {
	struct watch_output_options options;
	struct watch_file *file;
	struct watch_socket *socket;
	FILE *memory; /* a record is made here */
	char *text;
	size_t room;
	struct out *out; /* and prints there */
};

/* ---- options ---- */

static int read_format(struct run *run, struct watch_output_options *ret)
{
	const char *word = run->value[OPTION_FORMAT];
	struct suggestion near;
	size_t i = 0;

	ret->json = run->value[OPTION_JSON] != NULL;
	ret->format = ret->json ? WATCH_JSON : WATCH_TEXT;
	if (!word)
		return EXIT_DONE;
	suggest_start(&near, word, strlen(word));
	for (; i < N_FORMATS && strcmp(word, formats[i]); i++)
		suggest_offer(&near, formats[i]);
	if (i == N_FORMATS) {
		diag_error(&run->diag, NOWHERE, "there is no format '%s'", word);
		if (suggest_best(&near))
			diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
		else
			diag_hint(&run->diag, "one of: text, json, syslog, journal");
		return EXIT_USAGE;
	}
	if (ret->json && i == WATCH_TEXT) {
		diag_error(&run->diag, NOWHERE, "--json and '--format text' contradict each other");
		return EXIT_USAGE;
	}
	ret->format = (enum watch_format)i;
	return EXIT_DONE;
}

/* "64M": bytes; *ret_end is behind it. false: no such number. */
static bool read_size(const char *text, uint64_t *ret, const char **ret_end)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		if (n > UINT64_MAX >> shift)
			return false;
		n <<= shift;
		end++;
	}
	*ret = n;
	*ret_end = end;
	return !errno;
}

static int read_rotate(struct run *run, struct watch_output_options *ret)
{
	const char *text = run->value[OPTION_ROTATE], *end;
	uint64_t count = ROTATE_COUNT;

	ret->rotate_at = ROTATE_AT;
	ret->rotate_count = ROTATE_COUNT;
	if (!text)
		return EXIT_DONE;
	if (!read_size(text, &ret->rotate_at, &end) || ret->rotate_at < ROTATE_LEAST ||
	    (*end && (*end != ',' || !end[1] || strspn(end + 1, "0123456789") != strlen(end + 1))) ||
	    (*end && ((count = strtoull(end + 1, NULL, 10)) == 0 || count > ROTATE_MOST))) {
		diag_error(&run->diag, NOWHERE, "'%s' is no size to rotate at", text);
		diag_hint(&run->diag, "expected bytes, from 4K, and how many old files stay, up to %d: 64M,5",
			  ROTATE_MOST);
		return EXIT_USAGE;
	}
	ret->rotate_count = (unsigned int)count;
	return EXIT_DONE;
}

int watch_output_options(struct run *run, struct watch_output_options *ret)
{
	int code = read_format(run, ret);

	ret->file = run->value[OPTION_OUTPUT];
	if (code == EXIT_DONE)
		code = read_rotate(run, ret);
	if (code != EXIT_DONE)
		return code;
	if (ret->file && ret->format != WATCH_TEXT && ret->format != WATCH_JSON) {
		diag_error(&run->diag, NOWHERE, "'--format %s' does not go to a file", formats[ret->format]);
		return EXIT_USAGE;
	}
	if (!ret->file && (run->value[OPTION_ROTATE] || run->value[OPTION_GROUP])) {
		diag_error(&run->diag, NOWHERE, "--%s needs --output FILE",
			   option_info[run->value[OPTION_ROTATE] ? OPTION_ROTATE : OPTION_GROUP].name);
		return EXIT_USAGE;
	}
	ret->shared = run->value[OPTION_GROUP] != NULL;
	return EXIT_DONE;
}

/* ---- the way ---- */

static enum out_form form_of(const struct watch_output_options *options)
{
	if (options->format == WATCH_JOURNAL)
		return OUT_FORM_JOURNAL;
	return options->format == WATCH_JSON || options->json ? OUT_FORM_JSON : OUT_FORM_TEXT;
}

int watch_output_open(struct watch_output **ret, const struct watch_output_options *options, struct diag *diag)
{
	struct watch_output *output = calloc(1, sizeof(*output));
	int r = 0;

	if (!output)
		return diag_oom(diag);
	output->options = *options;
	output->memory = open_memstream(&output->text, &output->room);
	if (output->memory)
		output->out = out_records_new(form_of(options), output->memory);
	if (!output->out)
		r = diag_oom(diag);
	else if (options->file)
		r = watch_file_open(&output->file, options->file, options->rotate_at, options->rotate_count, diag);
	else if (options->format == WATCH_SYSLOG)
		r = watch_socket_open(&output->socket, SYSLOG_SOCKET, options->stop, diag);
	else if (options->format == WATCH_JOURNAL)
		r = watch_socket_open(&output->socket, JOURNAL_SOCKET, options->stop, diag);
	if (r == 0 && options->shared)
		r = watch_file_share(output->file, diag);
	if (r) {
		watch_output_close(output);
		return r;
	}
	*ret = output;
	return 0;
}

void watch_output_close(struct watch_output *output)
{
	if (!output)
		return;
	if (output->out)
		out_finish(output->out, EXIT_DONE);
	if (output->memory)
		fclose(output->memory);
	free(output->text);
	watch_file_close(output->file);
	watch_socket_close(output->socket);
	free(output);
}

int watch_output_reopen(struct watch_output *output, struct diag *diag)
{
	return output->file ? watch_file_reopen(output->file, diag) : 0;
}

static int write_stdout(const struct watch_output *output, size_t length, struct diag *diag)
{
	int r = 0;

	for (size_t done = 0; done < length && !r;) {
		ssize_t n = -1;

		r = watch_wait(STDOUT_FILENO, output->options.stop);
		if (!r)
			n = write(STDOUT_FILENO, output->text + done, length - done);
		if (n > 0)
			done += (size_t)n;
		else if (!r && errno != EINTR && errno != EAGAIN)
			r = -errno;
	}
	if (r && r != -EPIPE)
		diag_errno(diag, -r, "cannot write to standard output");
	return r;
}

static int priority_of(const struct record *record)
{
	const struct record_field *verdict = record_find(record, "verdict"), *event = record_find(record, "event");
	bool odd = (verdict && !strcmp(verdict->text, "deny")) || (event && !strcmp(event->text, "events.lost"));

	return odd ? LOG_WARNING : LOG_INFO;
}

/* As syslog(3) does, but that a daemon which is not there is an error, and one that is slow is waited for. */
static int send_syslog(const struct watch_output *output, int priority, size_t length, struct diag *diag)
{
	time_t now = time(NULL);
	char head[80], at[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(at, sizeof(at), "%h %e %T", &tm);
	snprintf(head, sizeof(head), "<%d>%s weir[%d]: ", LOG_AUTHPRIV | priority, at, (int)getpid());
	return watch_socket_send(output->socket, head, output->text, length - 1, diag);
}

static int send_journal(const struct watch_output *output, int priority, size_t length, struct diag *diag)
{
	char head[80];

	snprintf(head, sizeof(head), "PRIORITY=%d\nSYSLOG_IDENTIFIER=weir\n", priority);
	return watch_socket_send(output->socket, head, output->text, length, diag);
}

int watch_output_say(struct watch_output *output, const struct record *record, struct diag *diag)
{
	size_t length;
	long end;

	rewind(output->memory);
	record_say(record, output->out);
	end = ftell(output->memory);
	out_flush(output->out);
	if (out_failed(output->out) || end < 1)
		return diag_oom(diag);
	length = (size_t)end;
	if (output->file)
		return watch_file_write(output->file, output->text, length, diag);
	if (output->options.format == WATCH_SYSLOG)
		return send_syslog(output, priority_of(record), length, diag);
	if (output->options.format == WATCH_JOURNAL)
		return send_journal(output, priority_of(record), length, diag);
	return write_stdout(output, length, diag);
}
