// SPDX-License-Identifier: GPL-2.0
/* The ring buffer that `log` statements and guards report through, and the counts of what found no room there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "root.h"

struct event_reader {
	struct ring_buffer *ring;
	int fd;     /* of the map */
	int claim;  /* the directory of the links, locked: a ring buffer has one reader */
	int result; /* of the handler */
	uint64_t malformed;
	event_handler handler; /* of this events_read() */
	void *context;
};

bool event_is_whole(const void *record, size_t size)
{
	static const size_t sizes[] = {
		[EVENT_LOG] = sizeof(struct event),
		[EVENT_GUARD] = sizeof(struct guard_event),
	};
	uint32_t kind;

	if (size < sizeof(kind))
		return false;
	memcpy(&kind, record, sizeof(kind));
	return kind < sizeof(sizes) / sizeof(sizes[0]) && size == sizes[kind];
}

static int on_record(void *context, void *data, size_t size)
{
	struct event_reader *reader = context;

	if (!event_is_whole(data, size)) {
		reader->malformed++;
		return 0;
	}
	reader->result = reader->handler(reader->context, data, size);
	return reader->result ? -ECANCELED : 0;
}

/* The kernel keeps one place in the ring for all who read it: two would take each other's records. */
static int claim(struct event_reader *reader, const struct weir_root *root, struct diag *diag)
{
	reader->claim = openat(root->lock, "links", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reader->claim < 0)
		return diag_errno(diag, errno, "cannot open '%s/links'", root->path);
	if (!flock(reader->claim, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return diag_errno(diag, errno, "cannot lock '%s/links'", root->path);
	diag_error(diag, (struct location){ 0 }, "cannot watch: another process reads the events of '%s'", root->path);
	diag_hint(diag, "there is one reader at a time; let it write to a file (--output), and read that");
	return -EBUSY;
}

int events_open(struct event_reader **ret, const struct weir_root *root, struct diag *diag)
{
	struct event_reader *reader;
	int r;

	if (!root->instance)
		return diag_errno(diag, ENOENT, "cannot watch: nothing is loaded");
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return diag_oom(diag);
	reader->fd = -1;
	r = claim(reader, root, diag);
	if (r == 0) {
		load_log_reset();
		reader->fd = fcntl(root->instance->events, F_DUPFD_CLOEXEC, 3);
		reader->ring = ring_buffer__new(reader->fd, on_record, reader, NULL);
		if (!reader->ring)
			r = diag_errno(diag, errno, "cannot open the ring buffer");
	}
	if (r) {
		events_close(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

void events_close(struct event_reader *reader)
{
	if (!reader)
		return;
	ring_buffer__free(reader->ring);
	if (reader->fd >= 0)
		close(reader->fd);
	if (reader->claim >= 0)
		close(reader->claim);
	free(reader);
}

int events_read(struct event_reader *reader, int timeout_ms, event_handler handler, void *context, struct diag *diag)
{
	int r;

	reader->handler = handler;
	reader->context = context;
	reader->result = 0;
	r = ring_buffer__poll(reader->ring, timeout_ms);
	if (reader->result)
		return reader->result;
	return r < 0 && r != -EINTR ? diag_errno(diag, -r, "cannot read the ring buffer") : 0;
}

uint64_t events_malformed(const struct event_reader *reader)
{
	return reader->malformed;
}

bool events_ended(const struct event_reader *reader)
{
	struct stat st;

	return fstat(reader->claim, &st) || !st.st_nlink;
}

bool root_is_current(const struct weir_root *root)
{
	struct stat ours, there;
	char number[16];

	snprintf(number, sizeof(number), "%u", root->instance->number);
	return !fstat(root->lock, &ours) && !stat(root->path, &there) && ours.st_ino == there.st_ino &&
	       !fstatat(root->lock, number, &there, 0) &&
	       root->instance->memory.control->generation == root->running.generation;
}

/* ---- what was lost ---- */

/* fd: -1 where the rules have no guards. */
static int rates_read(int fd, struct event_losses *ret)
{
	struct guard_rate_key key, *last = NULL;

	if (fd < 0)
		return 0;
	ret->loss = calloc(GUARD_RATES + 1, sizeof(*ret->loss));
	if (!ret->loss)
		return -ENOMEM;
	/* Programs add identities meanwhile, so the walk may begin again: it ends when the list is full, too. */
	while (ret->n <= GUARD_RATES && !bpf_map_get_next_key(fd, last, &key)) {
		struct guard_rate rate;

		if (!bpf_map_lookup_elem(fd, &key, &rate) && rate.lost)
			ret->loss[ret->n++] = (struct guard_loss){ key, rate.lost };
		last = &key;
	}
	return 0;
}

int root_losses(struct weir_root *root, struct event_losses *ret, struct diag *diag)
{
	struct event_losses losses = { .generation = root->running.generation };
	struct counter logs, guards;
	int r = root_counters(root, COUNTER_EVENTS_LOST, 1, &logs, diag);

	if (r == 0)
		r = root_counters(root, COUNTER_GUARD_LOST, 1, &guards, diag);
	if (r)
		return r;
	losses.logs = logs.packets;
	losses.guards = guards.packets;
	if (losses.guards && rates_read(root->instance->guard_rates, &losses))
		return diag_oom(diag);
	*ret = losses;
	return 0;
}
