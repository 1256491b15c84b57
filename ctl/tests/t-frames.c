// SPDX-License-Identifier: GPL-2.0
/* The table of hostile frames on every hook, and before the reference model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "frame_table.h"
#include "loaded.h"

static const char *const hook_names[] = { "xdp", "tc-ingress", "tc-egress" };

static const char *const reason_names[] = {
#define X(name, json, kind, sentence) #name,
	REASONS(X)
#undef X
};

static const struct guarded {
	const char *device;
	const struct frame_row *rows;
	size_t n_rows;
} guards[] = {
#define GUARD(name) { #name, rows_##name, sizeof(rows_##name) / sizeof(*rows_##name) }
	GUARD(open), GUARD(closed), GUARD(strict), GUARD(lenient), GUARD(track),
#undef GUARD
};

static unsigned int passed, failed;

static const char *table_word(enum policy_verdict verdict)
{
	return verdict == POLICY_ACCEPT ? "ACCEPT" : verdict == POLICY_DROP ? "DROP" : "REDIRECT";
}

static void expect(const struct frame_row *row, const struct guarded *guard, const char *where,
		   const struct frame *frame, const struct model_result *result)
{
	char hex[400];

	if (strcmp(row->verdict, table_word(result->verdict)) == 0 &&
	    strcmp(row->reason, reason_names[result->reason]) == 0) {
		passed++;
		return;
	}
	failed++;
	frame_hex(frame, hex, sizeof(hex));
	printf("FAIL %s: %s\n  %s: %s %s, expected %s %s\n  %zu of %zu bytes: %s\n", guard->device, row->belief, where,
	       table_word(result->verdict), reason_names[result->reason], row->verdict, row->reason, frame->length,
	       frame->wire_length, hex);
}

static int find_device(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_devices; i++)
		if (strcmp(policy->devices[i], name) == 0)
			return (int)i;
	return MODEL_NONE;
}

static void try_frame(struct loaded *loaded, const struct guarded *guard, const struct frame_row *row,
		      const struct frame *frame)
{
	struct meeting meeting = { .skuid = -1, .ct = MODEL_NONE };

	meeting.device = meeting.iif = find_device(loaded->policy, guard->device);
	/* No row knows of those before it. */
	model_state_free(loaded->state);
	loaded->state = model_state_new(loaded->policy);
	if (runner_forget(loaded->runner) < 0) {
		failed++;
		printf("FAIL cannot forget the fragments of other rows\n");
	}
	for (int hook = 0; hook < POLICY_HOOK_MAX; hook++) {
		struct model_result result;
		int r;

		meeting.hook = hook;
		result = loaded_model(loaded, frame, &meeting, NULL);
		expect(row, guard, "the model", frame, &result);
		r = loaded_run(loaded, frame, &meeting, &result);
		if (r < 0) {
			failed++;
			printf("FAIL %s: %s\n  %s: cannot run it: %s\n", guard->device, row->belief, hook_names[hook],
			       strerror(-r));
			continue;
		}
		expect(row, guard, hook_names[hook], frame, &result);
	}
}

static void try_row(struct loaded *loaded, const struct guarded *guard, const struct frame_row *row)
{
	static struct frame frame;

	frame_make(&frame, &row->frame);
	try_frame(loaded, guard, row, &frame);
}

/* A capture of no bytes at all cannot be described by a row. */
static void try_empty(struct loaded *loaded)
{
	static const struct frame_row row = { "a frame of no bytes is no frame", .verdict = DROP,
					      .reason = "TRUNCATED" };
	static struct frame frame;

	try_frame(loaded, &guards[0], &row, &frame);
}

int main(void)
{
	struct loaded loaded = { 0 };
	unsigned int rows = 0;

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (loaded_open(&loaded, frame_rules) < 0) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	for (size_t g = 0; g < sizeof(guards) / sizeof(*guards); g++)
		for (size_t i = 0; i < guards[g].n_rows; i++, rows++)
			try_row(&loaded, &guards[g], &guards[g].rows[i]);
	try_empty(&loaded);
	loaded_close(&loaded);
	printf("%u frames, each on three hooks and before the model\n", rows);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
