// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "model_fragments.h"

#define UNITS      8192 /* of 8 bytes */
#define MOST_RUNS  4
#define MOST_BYTES 65535
#define TIMEOUT    (30000000000ull >> 24) /* ticks of 2^24 ns */

struct datagram {
	struct datagram *next;
	/* which one */
	enum policy_hook hook;
	int device;
	unsigned int family, proto;
	uint8_t address[32]; /* source, destination */
	uint32_t id;
	/* what became of it */
	uint64_t begun; /* tick */
	bool dropped, complete;
	enum policy_verdict verdict;
	int redirect;
	bool came[UNITS];
	unsigned int end; /* unit behind the last one; 0: not known yet */
};

struct model_fragments {
	struct datagram *first;
};

static uint64_t tick_of(const struct packet *p)
{
	return p->frame->now_ns >> 24;
}

static void identify(struct datagram *d, const struct packet *p)
{
	unsigned int bytes = p->family == 4 ? 8 : 32;
	size_t at = p->l3 + (p->family == 4 ? 12 : 8);

	memset(d, 0, sizeof(*d));
	d->hook = p->frame->hook;
	d->device = p->frame->device;
	d->family = p->family;
	d->proto = p->family == 4 ? byte_at(p, p->l3 + 9) : 0;
	d->id = p->fragment.id;
	for (unsigned int i = 0; i < bytes; i++)
		d->address[i] = byte_at(p, at + i);
	d->begun = tick_of(p);
}

static bool same(const struct datagram *a, const struct datagram *b)
{
	return a->hook == b->hook && a->device == b->device && a->family == b->family && a->proto == b->proto &&
	       a->id == b->id && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* Forgets those whose time is over on the way. NULL: nothing is noted of it. */
static struct datagram *find(struct model_fragments *fragments, const struct packet *p)
{
	static struct datagram wanted;
	struct datagram **at = &fragments->first, *found = NULL;

	identify(&wanted, p);
	while (*at) {
		struct datagram *d = *at;

		if (tick_of(p) - d->begun >= TIMEOUT) {
			*at = d->next;
			free(d);
			continue;
		}
		if (same(d, &wanted))
			found = d;
		at = &d->next;
	}
	return found;
}

static struct datagram *begin(struct model_fragments *fragments, const struct packet *p)
{
	struct datagram *d = malloc(sizeof(*d));

	if (!d)
		abort();
	identify(d, p);
	d->next = fragments->first;
	fragments->first = d;
	return d;
}

static size_t bytes_of(const struct packet *p)
{
	return p->end - p->fragment.data;
}

/* It can be no part of any datagram. */
static bool is_bad(const struct packet *p)
{
	size_t whole = p->end - p->l3 + 8 * p->fragment.offset;

	if (p->family == 6)
		whole -= 40 + 8; /* as the payload length of the whole would say */
	return p->fragment.nested || bytes_of(p) == 0 || (p->fragment.more && bytes_of(p) % 8) || whole > MOST_BYTES;
}

static unsigned int count_runs(const struct datagram *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < UNITS; i++)
		n += d->came[i] && (i == 0 || !d->came[i - 1]);
	return n;
}

/* Adds the packet's units. REASON_FRAGMENT: they fit. */
static enum reason add(struct datagram *d, const struct packet *p)
{
	unsigned int from = p->fragment.offset, to = from + (bytes_of(p) + 7) / 8, highest = 0;

	for (unsigned int i = 0; i < UNITS; i++)
		if (d->came[i])
			highest = i + 1;
	for (unsigned int i = from; i < to; i++)
		if (d->came[i])
			return REASON_FRAGMENT_OVERLAP;
	if (d->end && (to > d->end || !p->fragment.more))
		return REASON_FRAGMENT_OVERLAP;
	if (!p->fragment.more && to < highest)
		return REASON_FRAGMENT_OVERLAP;
	memset(&d->came[from], true, to - from);
	if (count_runs(d) > MOST_RUNS)
		return REASON_FRAGMENT_GAPS;
	if (!p->fragment.more)
		d->end = to;
	if (d->end && count_runs(d) == 1)
		d->complete = true; /* it has the first fragment */
	return REASON_FRAGMENT;
}

static struct model_met refuse(struct datagram *d, enum reason reason)
{
	if (!d->complete)
		d->dropped = true;
	return (struct model_met){ reason, POLICY_DROP, MODEL_NONE };
}

static struct model_met let_rules_judge(struct datagram *d, const struct packet *p)
{
	d->complete = false;
	d->end = 0;
	memset(d->came, 0, sizeof(d->came));
	add(d, p);
	d->begun = tick_of(p);
	return (struct model_met){ .reason = REASON_RULE };
}

struct model_met model_fragments_meet(struct model_fragments *fragments, const struct packet *p)
{
	struct datagram *d = find(fragments, p);
	bool later = p->fragment.offset, anew = !d;
	enum reason reason;

	if (!d)
		d = begin(fragments, p);
	if (d->dropped)
		return refuse(d, REASON_FRAGMENT);
	if (is_bad(p))
		return refuse(d, REASON_BAD_FRAGMENT);
	if (!later)
		return anew || d->complete ? let_rules_judge(d, p) : refuse(d, REASON_FRAGMENT_OVERLAP);
	if (anew)
		return refuse(d, REASON_FRAGMENT_EARLY);
	reason = add(d, p);
	if (reason != REASON_FRAGMENT)
		return refuse(d, reason);
	return (struct model_met){ REASON_FRAGMENT, d->verdict, d->redirect };
}

void model_fragments_note(struct model_fragments *fragments, const struct packet *p, const struct model_result *result)
{
	struct datagram *d = find(fragments, p);

	if (!d)
		abort();
	d->verdict = result->verdict;
	d->redirect = result->redirect;
	d->dropped = result->verdict != POLICY_ACCEPT && result->verdict != POLICY_REDIRECT;
}

struct model_fragments *model_fragments_new(void)
{
	struct model_fragments *fragments = calloc(1, sizeof(*fragments));

	if (!fragments)
		abort();
	return fragments;
}

void model_fragments_free(struct model_fragments *fragments)
{
	if (!fragments)
		return;
	while (fragments->first) {
		struct datagram *next = fragments->first->next;

		free(fragments->first);
		fragments->first = next;
	}
	free(fragments);
}
