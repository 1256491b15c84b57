// SPDX-License-Identifier: GPL-2.0
/* watch: the events of `log` statements, until interrupted. */
#include "cmd.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../command.h"
#include "../out/out.h"
#include "rules.h"

struct watch {
	struct run *run;
	struct weir_root *names; /* whose rules the numbers in events mean; opened again when another generation runs */
	int64_t offset_ns;       /* from the monotonic clock to the calendar */
};

static volatile int stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The rules an event was made by, or NULL: numbers of another generation must not be given names of this one. */
static const struct running *rules_of(struct watch *watch, uint64_t generation)
{
	const struct running *running = watch->names ? root_running(watch->names) : NULL;
	struct diag ignored;

	if (running && running->generation >= generation)
		return running->generation == generation ? running : NULL;
	if (watch->names)
		root_close(watch->names);
	watch->names = NULL;
	diag_init(&ignored);
	if (root_open(&watch->names, watch->run->bpffs, ROOT_READ, &ignored))
		watch->names = NULL;
	else
		root_unlock(watch->names);
	diag_clear(&ignored);
	running = watch->names ? root_running(watch->names) : NULL;
	return running && running->generation == generation ? running : NULL;
}

/* ---- one event ---- */

static void say_time(struct watch *watch, uint64_t time_ns)
{
	int64_t at_ns = (int64_t)time_ns + watch->offset_ns;
	time_t at = at_ns / 1000000000;
	char text[64];
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	out_format(watch->run->out, "time", "%s.%06dZ", text, (int)(at_ns % 1000000000 / 1000));
	out_text(watch->run->out, "%s.%06dZ", text, (int)(at_ns % 1000000000 / 1000));
}

/* A part of the packet, printed as rules write it. */
static void say_value(struct watch *watch, const struct running *running, const char *key, enum value_type type,
		      uint8_t family, struct value value)
{
	struct set one = { .n_types = 1, .type = { type } };
	struct range range = { .family = family, .prefix_len = 255, .lo = value, .hi = value };
	static const struct policy none;
	char *text;

	if (type == TYPE_ADDR)
		range.prefix_len = family == 4 ? 32 : 128;
	text = element_print(running ? running->policy : &none, &one, &range);
	if (!text)
		return;
	out_string(watch->run->out, key, text);
	out_text(watch->run->out, " %s %s", key, text);
	free(text);
}

static void say_number(struct watch *watch, const char *key, uint32_t number)
{
	out_integer(watch->run->out, key, number);
	out_text(watch->run->out, " %s %u", key, number);
}

static struct value words(const uint32_t *key, enum key_word first, unsigned int n)
{
	struct value value = { 0 };

	for (unsigned int i = 0; i < n; i++)
		value.w[i] = key[first + i];
	return value;
}

static void say_transport(struct watch *watch, const struct running *running, const uint32_t *key)
{
	switch (key[KEY_L4]) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		say_number(watch, "sport", key[KEY_SPORT]);
		say_number(watch, "dport", key[KEY_DPORT]);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		say_value(watch, running, "type", key[KEY_L4] == IPPROTO_ICMP ? TYPE_ICMP : TYPE_ICMPV6, 0,
			  (struct value){ { key[KEY_ICMP] >> 8 } });
		say_number(watch, "code", key[KEY_ICMP] & 0xff);
		break;
	default:
		break;
	}
	if (key[KEY_L4] == IPPROTO_TCP)
		say_value(watch, running, "flags", TYPE_TCPFLAGS, 0, words(key, KEY_TCPFLAGS, 1));
}

static void say_headers(struct watch *watch, const struct running *running, const uint32_t *key)
{
	uint8_t family = (uint8_t)key[KEY_FAMILY];

	if (key[KEY_PRESENT] & PRESENT_LINK) {
		say_value(watch, running, "smac", TYPE_MAC, 0, words(key, KEY_SMAC0, 2));
		say_value(watch, running, "dmac", TYPE_MAC, 0, words(key, KEY_DMAC0, 2));
	}
	if (key[KEY_PRESENT] & PRESENT_VLAN0)
		say_number(watch, "vlan", key[KEY_VLAN0] & 0xfff);
	if (key[KEY_PRESENT] & PRESENT_VLAN1)
		say_number(watch, "vlan_inner", key[KEY_VLAN1] & 0xfff);
	if (!family) {
		say_value(watch, running, "ether_type", TYPE_ETYPE, 0, words(key, KEY_ETYPE, 1));
		return;
	}
	say_value(watch, running, "saddr", TYPE_ADDR, family, words(key, KEY_SADDR0, 4));
	say_value(watch, running, "daddr", TYPE_ADDR, family, words(key, KEY_DADDR0, 4));
	if (key[KEY_PROTO] < 256)
		say_value(watch, running, "proto", TYPE_PROTO, 0, words(key, KEY_PROTO, 1));
	if (key[KEY_PRESENT] & PRESENT_FRAGMENT) {
		out_bool(watch->run->out, "fragment", true);
		out_text(watch->run->out, " fragment");
	}
	say_transport(watch, running, key);
}

static void say_rule(struct watch *watch, const struct running *running, const struct event *event)
{
	const struct policy *policy = running ? running->policy : NULL;
	const struct filter *filter =
		policy && event->filter < policy->n_filters ? &policy->filters[event->filter] : NULL;
	const char *prefix =
		policy && event->prefix < policy->n_log_prefixes ? policy->log_prefixes[event->prefix] : NULL;
	struct out *out = watch->run->out;

	out_string(out, "filter", filter ? filter->name : NULL);
	out_text(out, " %s", filter ? filter->name : "?");
	if (filter && event->rule < filter->n_rules) {
		struct location loc = filter->rules[event->rule].loc;
		const char *file = policy_location_file(policy, loc);

		out_format(out, "rule", "%s:%u", file, loc.line);
		out_text(out, " %s:%u", file, loc.line);
	} else {
		out_null(out, "rule");
	}
	out_string(out, "prefix", prefix);
	if (prefix)
		out_text(out, " \"%s\"", prefix);
}

static int on_event(void *context, const struct event *event)
{
	struct watch *watch = context;
	const struct running *running = rules_of(watch, event->generation);
	struct out *out = watch->run->out;
	char device[64];

	if (link_name(event->ifindex, device))
		snprintf(device, sizeof(device), "%u", event->ifindex);
	say_time(watch, event->time_ns);
	out_integer(out, "generation", event->generation);
	out_string(out, "hook", hook_name((enum hook)event->hook));
	out_string(out, "device", device);
	out_text(out, " %s %s", hook_name((enum hook)event->hook), device);
	say_rule(watch, running, event);
	say_number(watch, "length", event->length);
	say_headers(watch, running, event->key);
	out_text(out, "\n");
	out_record_end(out);
	out_flush(out);
	return out_failed(out);
}

int cmd_watch(struct run *run)
{
	struct watch watch = { .run = run };
	struct sigaction action = { .sa_handler = on_signal };
	const struct running *running;
	struct weir_root *root = NULL;
	int code, rc;

	out_lines(run->out);
	code = running_open(run, &root, &running);
	if (code != EXIT_DONE)
		return code;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	watch.offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	rc = root_unlock(root);
	if (rc)
		diag_errno(&run->diag, -rc, "cannot let go of the lock");
	else
		rc = root_watch(root, on_event, &watch, &stop, &run->diag);
	if (watch.names)
		root_close(watch.names);
	root_close(root);
	return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}
