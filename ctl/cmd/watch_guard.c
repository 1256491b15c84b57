// SPDX-License-Identifier: GPL-2.0
/* What a guard reports: who asked for an endpoint, and what became of it. Every key is there, null where it is not known. */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#include "../lang/strbuf.h"

static const struct {
	const char *name;
	bool denied;
} outcomes[GUARD_OUTCOME_MAX] = {
#define X(name, json, kind, text) [GUARD_DID_##name] = { json, GUARD_KIND_##kind == GUARD_KIND_D },
	GUARD_OUTCOMES(X)
#undef X
};

const char *const guard_outcome_names[GUARD_OUTCOME_MAX + 1] = {
#define X(name, json, kind, text) [GUARD_DID_##name] = json,
	GUARD_OUTCOMES(X)
#undef X
};

static void number_or_nothing(struct record *ret, const char *key, bool known, uint64_t number)
{
	if (known)
		record_number(ret, key, number);
	else
		record_nothing(ret, key);
}

/* ---- which rule ---- */

static void say_guard(struct record *ret, const struct watch_scene *scene, const struct guard_event *event)
{
	const struct policy *policy = scene->running ? scene->running->policy : NULL;
	const struct guard_statement *guard =
		policy && event->guard < policy->n_guards ? &policy->guards[event->guard] : NULL;
	struct location loc = { 0 };

	ret->look = LOOK_BARE;
	record_text(ret, "guard", guard ? guard->name : NULL);
	/* Nothing of the file denies but the guard itself. */
	if (guard)
		loc = event->rule < guard->n_allows ? guard->allows[event->rule].loc : guard->loc;
	if (guard)
		record_format(ret, "rule", "%s:%u", policy_location_file(policy, loc), loc.line);
	else
		record_nothing(ret, "rule");
	ret->look = LOOK_PAIR;
}

static void say_verdict(struct record *ret, const struct guard_event *event)
{
	static const char *const layers[GUARD_LAYER_MAX] = { [GUARD_CALL] = "call", [GUARD_PACKET] = "packet" };
	bool known = event->outcome < GUARD_OUTCOME_MAX;

	ret->look = LOOK_NOT; /* the event's name says it */
	record_text(ret, "verdict", known ? outcomes[event->outcome].denied ? "deny" : "allow" : NULL);
	ret->look = LOOK_PAIR;
	record_text(ret, "outcome", known ? outcomes[event->outcome].name : NULL);
	record_text(ret, "layer", event->layer < GUARD_LAYER_MAX ? layers[event->layer] : NULL);
}

/* ---- who ---- */

#define NOBODY 0xffffffffu

static void say_user(struct record *ret, const char *name_key, const char *key, bool known, uint32_t uid)
{
	known &= uid != NOBODY;
	record_text(ret, name_key, known ? user_name(uid) : NULL);
	number_or_nothing(ret, key, known, uid);
}

/*
 * Names from the last one upwards, as a path. *ret_cut: not all of it is there; "..." stands for what may be missing, since a
 * name that just fits looks like one that was cut.
 */
static char *join(const char parts[GUARD_PARTS][GUARD_PART], bool *ret_cut)
{
	struct strbuf path = { 0 };
	size_t n = 0;

	while (n < GUARD_PARTS && parts[n][0])
		n++;
	*ret_cut = n == GUARD_PARTS;
	if (*ret_cut)
		strbuf_str(&path, "...");
	for (size_t i = n; i--;) {
		size_t length = strnlen(parts[i], GUARD_PART - 1);

		strbuf_char(&path, '/');
		strbuf_add(&path, parts[i], length);
		if (length == GUARD_PART - 1) {
			strbuf_str(&path, "...");
			*ret_cut = true;
		}
	}
	return strbuf_take(&path);
}

static void say_program(struct record *ret, const struct guard_event *event, bool known)
{
	bool cut;
	char *path;

	number_or_nothing(ret, "pid", known || event->has & GUARD_HAS_STAMP, event->pid);
	number_or_nothing(ret, "ppid", known, event->ppid);
	if (known)
		record_bytes(ret, "program", event->comm, sizeof(event->comm));
	else
		record_nothing(ret, "program");
	path = join(event->exe, &cut);
	record_text(ret, "path", known && path && *path ? path : NULL);
	free(path);
}

static void say_part(struct record *ret, const char *key, const char *text, size_t length)
{
	if (length)
		record_bytes(ret, key, text, length);
	else
		record_nothing(ret, key);
}

static void say_cgroup(struct record *ret, const struct guard_event *event, bool known)
{
	const char *part;
	size_t length;
	char *path;
	bool cut;

	known &= event->cgroup_id != 0;
	path = join(event->cgroup, &cut);
	if (known && path && cut) {
		char *whole = cgroup_path(event->cgroup_id);

		if (whole) {
			free(path);
			path = whole;
		}
	}
	if (!known || !path) {
		record_nothing(ret, "cgroup");
		record_nothing(ret, "container_id");
		record_nothing(ret, "service");
	} else {
		record_text(ret, "cgroup", *path ? path : "/");
		part = cgroup_container(path, &length);
		say_part(ret, "container_id", part, length);
		part = cgroup_unit(path, &length);
		say_part(ret, "service", part, length);
	}
	free(path);
}

/* Of a packet, the socket's owner is who sent it; the process is known if its call connected the socket. */
static void say_who(struct record *ret, const struct guard_event *event)
{
	bool task = event->has & GUARD_HAS_TASK, owner = event->has & GUARD_HAS_OWNER;

	say_user(ret, "user", "uid", task || owner, task ? event->uid : event->owner);
	number_or_nothing(ret, "euid", task || event->has & GUARD_HAS_STAMP, event->euid);
	number_or_nothing(ret, "gid", task, event->gid);
	say_user(ret, "login", "login_uid", task, event->login_uid);
	number_or_nothing(ret, "session", task && event->session != NOBODY, event->session);
	number_or_nothing(ret, "owner_uid", owner, event->owner);
	say_program(ret, event, task);
	say_cgroup(ret, event, task);
	number_or_nothing(ret, "netns", event->netns, event->netns);
}

/* ---- what ---- */

static void say_address(struct record *ret, const char *key, const struct guard_event *event, const uint32_t addr[4])
{
	struct value value;

	memcpy(value.w, addr, sizeof(value.w));
	if (value.w[0] | value.w[1] | value.w[2] | value.w[3])
		record_value(ret, key, TYPE_ADDR, event->family, value);
	else
		record_nothing(ret, key);
}

static void say_packet(struct record *ret, const struct guard_event *event)
{
	number_or_nothing(ret, "socket", event->cookie, event->cookie);
	record_value(ret, "proto", TYPE_PROTO, 0, (struct value){ { event->proto } });
	ret->look = LOOK_NOT;
	record_number(ret, "version", event->family);
	ret->look = LOOK_PAIR;
	say_address(ret, "src_addr", event, event->saddr);
	number_or_nothing(ret, "src_port", event->sport, event->sport);
	say_address(ret, "dst_addr", event, event->daddr);
	number_or_nothing(ret, "dst_port", event->dport, event->dport);
}

static void say_device(struct record *ret, const char *key, uint32_t ifindex)
{
	char name[64];

	if (!ifindex)
		record_nothing(ret, key);
	else if (link_name(ifindex, name))
		record_format(ret, key, "%u", ifindex);
	else
		record_text(ret, key, name);
}

static void say_request(struct record *ret, const struct guard_event *event)
{
	if (event->has & GUARD_HAS_HTTP) {
		record_bytes(ret, "method", event->method, sizeof(event->method));
		record_bytes(ret, "request_path", event->path, sizeof(event->path));
	} else {
		record_nothing(ret, "method");
		record_nothing(ret, "request_path");
	}
}

void guard_record(struct record *ret, const struct watch_scene *scene, const struct guard_event *event)
{
	bool denied = event->outcome >= GUARD_OUTCOME_MAX || outcomes[event->outcome].denied;

	watch_record_start(ret, scene, event->time_ns, denied ? "guard.deny" : "guard.allow");
	ret->look = LOOK_NOT;
	record_number(ret, "generation", event->generation);
	say_guard(ret, scene, event);
	say_verdict(ret, event);
	say_who(ret, event);
	say_packet(ret, event);
	say_device(ret, "device", event->ifindex);
	say_device(ret, "from_device", event->iif);
	say_request(ret, event);
	if (!event->untold)
		ret->look = LOOK_NOT;
	record_number(ret, "untold", event->untold);
}
