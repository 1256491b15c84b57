// SPDX-License-Identifier: GPL-2.0
/*
 * What no record says: `log` events without room in the ring, and what guards did not report, by identity. Told as records
 * of the same stream, so that the records and these counts are all that happened.
 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>

struct watch_losses {
	bool started; /* there was a call before */
	uint64_t generation, logs, malformed;
	struct guard_loss *loss; /* by identity, sorted */
	size_t n;
	/* of guards, but of no identity: two counts that are not read at once differ by what happens in between, so what is
	 * told is what two calls saw */
	uint64_t rest, rest_told;
};

struct watch_losses *watch_losses_new(bool watched)
{
	struct watch_losses *losses = calloc(1, sizeof(*losses));

	if (losses)
		losses->started = watched;
	return losses;
}

void watch_losses_free(struct watch_losses *losses)
{
	if (losses)
		free(losses->loss);
	free(losses);
}

static int by_identity(const void *a, const void *b)
{
	const struct guard_rate_key *x = &((const struct guard_loss *)a)->who,
				    *y = &((const struct guard_loss *)b)->who;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (x->guard != y->guard)
		return x->guard < y->guard ? -1 : 1;
	return x->denied < y->denied ? -1 : x->denied > y->denied;
}

struct telling {
	const struct watch_losses *losses;
	const struct watch_scene *scene;
	const struct policy *policy; /* whose guards the numbers are; NULL: not known */
	uint64_t time_ns;
	record_sink say;
	void *context;
};

static bool has_identity(const struct guard_loss *loss)
{
	return loss->who.uid != GUARD_RATE_OTHERS;
}

/* who: NULL where it is not known, or nobody's. */
static int tell(const struct telling *telling, const char *lost, const struct guard_loss *who, uint64_t before,
		uint64_t total)
{
	const struct policy *policy = telling->policy;
	struct record record;

	if (total <= before)
		return 0;
	watch_record_start(&record, telling->scene, telling->time_ns, "events.lost");
	record_text(&record, "lost", lost);
	record.look = LOOK_PAIR;
	record_text(&record, "guard",
		    who && policy && who->who.guard < policy->n_guards ? policy->guards[who->who.guard].name : NULL);
	record.look = LOOK_NOT;
	record_text(&record, "verdict", !who ? NULL : who->who.denied ? "deny" : "allow");
	record.look = LOOK_PAIR;
	record_text(&record, "user", who ? user_name(who->who.uid) : NULL);
	if (who)
		record_number(&record, "uid", who->who.uid);
	else
		record_nothing(&record, "uid");
	record_number(&record, "count", telling->losses->started ? total - before : 0);
	record_number(&record, "total", total);
	return telling->say(telling->context, &record);
}

static int tell_identities(const struct telling *telling, const struct event_losses *now)
{
	const struct watch_losses *losses = telling->losses;
	int rc = 0;

	for (size_t i = 0; i < now->n && rc == 0; i++) {
		const struct guard_loss *loss = &now->loss[i], *old = NULL;

		if (losses->n)
			old = bsearch(loss, losses->loss, losses->n, sizeof(*loss), by_identity);
		rc = has_identity(loss) ? tell(telling, loss->who.denied ? "guard.deny" : "guard.allow", loss,
					       old ? old->lost : 0, loss->lost)
					: tell(telling, NULL, NULL, old ? old->lost : 0, loss->lost);
	}
	return rc;
}

static uint64_t rest_of(const struct event_losses *now)
{
	uint64_t named = 0;

	for (size_t i = 0; i < now->n; i++)
		named += now->loss[i].lost;
	return now->guards > named ? now->guards - named : 0;
}

int watch_losses_tell(struct watch_losses *losses, struct event_losses *now, uint64_t malformed,
		      const struct watch_scene *scene, uint64_t time_ns, record_sink say, void *context)
{
	/* Guards may have had other numbers when something was lost, unless the same rules ran all the time. */
	bool same = losses->generation == now->generation && scene->running &&
		    scene->running->generation == now->generation;
	struct telling telling = { losses, scene, same ? scene->running->policy : NULL, time_ns, say, context };
	uint64_t rest = rest_of(now), sure = rest < losses->rest ? rest : losses->rest;
	int rc;

	if (now->n)
		qsort(now->loss, now->n, sizeof(*now->loss), by_identity);
	if (!losses->started)
		sure = rest;
	rc = tell(&telling, "filter.log", NULL, losses->logs, now->logs);
	if (!rc)
		rc = tell(&telling, "malformed", NULL, losses->malformed, malformed);
	if (!rc)
		rc = tell_identities(&telling, now);
	if (!rc)
		rc = tell(&telling, NULL, NULL, losses->rest_told, sure);
	free(losses->loss);
	*losses = (struct watch_losses){
		.started = true,
		.generation = now->generation,
		.logs = now->logs,
		.malformed = malformed,
		.loss = now->loss,
		.n = now->n,
		.rest = rest,
		.rest_told = sure > losses->rest_told ? sure : losses->rest_told,
	};
	now->loss = NULL;
	now->n = 0;
	return rc;
}
