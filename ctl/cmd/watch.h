/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of `watch` share: events become records, records pass a filter and go somewhere. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../kernel/kernel.h"
#include "record.h"
#include "words.h"

struct run;

/* What an event is told with: the rules that made it, and the clock. */
struct watch_scene {
	const struct running *running; /* NULL: not known, so that its numbers have no names */
	int64_t offset_ns;             /* from the monotonic clock to the calendar */
};

/* ---- watch_event.c, watch_guard.c: what a record of the ring buffer says ---- */
void event_record(struct record *ret, const struct watch_scene *scene, const struct event *event);
void guard_record(struct record *ret, const struct watch_scene *scene, const struct guard_event *event);
/* What every record begins with. */
void watch_record_start(struct record *ret, const struct watch_scene *scene, uint64_t time_ns, const char *event);

extern const char *const guard_outcome_names[GUARD_OUTCOME_MAX + 1]; /* up to NULL */

/* ---- watch_names.c ---- */
/* The user's login name, or NULL; until the next call. Asked for seldom: answers are kept for a while. */
const char *user_name(uint32_t uid);

/* ---- watch_cgroup.c: what a cgroup's path says ---- */
/* The container it is of: 64 hexadecimal digits, fewer where the name was cut; *ret_length 0: of none. */
const char *cgroup_container(const char *path, size_t *ret_length);
/* The unit of the system's manager that it is below: the first name on the way down that is no slice. */
const char *cgroup_unit(const char *path, size_t *ret_length);

/* ---- watch_lost.c: what was not reported ---- */
struct watch_losses;
/* watched: from the first packet on, so that all that is lost is news; else what was lost before is but a total. */
struct watch_losses *watch_losses_new(bool watched);
void watch_losses_free(struct watch_losses *losses);
/* Calls `say` with a record for each count that rose since the last call; now->loss goes into losses. What `say` returned,
 * if that is not 0, or -ENOMEM. */
typedef int (*record_sink)(void *context, const struct record *record);
int watch_losses_tell(struct watch_losses *losses, struct event_losses *now, uint64_t malformed,
		      const struct watch_scene *scene, uint64_t time_ns, record_sink say, void *context);

/* ---- watch_filter.c: FILTER ... ---- */
extern const struct word_list watch_words;
#define WATCH_WORDS_MOST 32
/* values: as of words_read() */
bool watch_filter_holds(const struct word_value *values, const struct record *record);

/* ---- watch_output.c: where records go ---- */
struct watch_output;
enum watch_format { WATCH_TEXT, WATCH_JSON, WATCH_SYSLOG, WATCH_JOURNAL };
struct watch_output_options {
	enum watch_format format;
	bool json;        /* also in what goes to syslog */
	const char *file; /* NULL: standard output */
	bool shared;      /* the file, with the group of this process */
	uint64_t rotate_at;
	unsigned int rotate_count;
	const volatile sig_atomic_t *stop; /* set: whoever takes records has a second, no more */
};
/* enum exit_code: what --output, --format, --rotate and --json say. */
int watch_output_options(struct run *run, struct watch_output_options *ret);
int watch_output_open(struct watch_output **ret, const struct watch_output_options *options, struct diag *diag);
void watch_output_close(struct watch_output *output);
/* Negative errno with a problem; -EPIPE without one: nobody reads any more. */
int watch_output_say(struct watch_output *output, const struct record *record, struct diag *diag);
/* The file was moved away: write to a new one of its name. */
int watch_output_reopen(struct watch_output *output, struct diag *diag);

/* ---- watch_file.c: a file that is appended to, and moved to FILE.1, FILE.2, ... when it is large ---- */
struct watch_file;
/* count: how many old ones stay. The file is made for its owner alone, and must be its owner's. */
int watch_file_open(struct watch_file **ret, const char *path, uint64_t rotate_at, unsigned int count,
		    struct diag *diag);
/* This process's group may read it, and what takes its place. */
int watch_file_share(struct watch_file *file, struct diag *diag);
void watch_file_close(struct watch_file *file);
/* A whole line, or, where that fails, nothing of it. */
int watch_file_write(struct watch_file *file, const char *line, size_t length, struct diag *diag);
int watch_file_reopen(struct watch_file *file, struct diag *diag);

/* ---- watch_socket.c: standard output, and datagrams to the daemons that keep logs ---- */
struct watch_socket;
/* Waits until fd takes something; -ETIMEDOUT: not within a second after *stop was set. */
int watch_wait(int fd, const volatile sig_atomic_t *stop);
int watch_socket_open(struct watch_socket **ret, const char *path, const volatile sig_atomic_t *stop,
		      struct diag *diag);
void watch_socket_close(struct watch_socket *to);
/* Both parts as one datagram. */
int watch_socket_send(struct watch_socket *to, const char *head, const char *rest, size_t length, struct diag *diag);
