// SPDX-License-Identifier: GPL-2.0
/*
 * What watch says of events, made by hand here: against the lines of ctl/tests/watch.ok in each form, for what the filter
 * picks, what is told of losses, and how files are written. UPDATE=1 writes watch.ok anew: read the diff.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "../cmd/watch.h"
#include "../command.h"
#include "../out/out.h"
#include "check.h"

#define GOLDEN "ctl/tests/watch.ok"
#define NO     0xffffffffu
#define ID     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID40   "0123456789abcdef0123456789abcdef01234567"
#define LONG47 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeee"
#define FAR    4000000000u /* no interface, no user */

/* ---- the rules ---- */

static struct source sources[] = { { .name = "/etc/edge.rules" }, { .name = "odd name\x1b.rules" } };
static struct rule filter_rules[] = { { .loc = { .file = 1, .line = 14 } } };
static struct filter filters[] = { { .name = "edge", .rules = filter_rules, .n_rules = 1 } };
static struct guard_allow allows[] = { { .loc = { .file = 1, .line = 4 } }, { .loc = { .file = 2, .line = 5 } } };
static struct guard_statement guards[] = {
	{ .name = "metadata", .loc = { .file = 1, .line = 3 }, .allows = allows, .n_allows = 2 },
	{ .name = "db", .loc = { .file = 1, .line = 9 } },
};
static const char *prefixes[] = { "ssh \"login\"" };
static const struct policy policy = {
	.filters = filters,
	.n_filters = 1,
	.guards = guards,
	.n_guards = 2,
	.log_prefixes = prefixes,
	.n_log_prefixes = 1,
	.sources = sources,
	.n_sources = 2,
};
static const struct running running = { .generation = 7, .policy = &policy };
static const struct watch_scene known = { &running, 1767225600000000000 }, unknown = { NULL, 1767225600000000000 };

/* ---- events ---- */

/* clang-format off */
#define V4(a, b, c, d)         { (uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d) }
#define TO_METADATA4           .family = 4, .daddr = V4(169, 254, 169, 254), .dport = 80
#define TO_METADATA6           .family = 6, .daddr = { 0xfd000ec2, 0, 0, 0x254 }, .dport = 80
#define FROM4                  .saddr = V4(10, 0, 0, 2), .sport = 40001
#define CALL(did, by)          .kind = EVENT_GUARD, .generation = 7, .time_ns = 1234567890, .rule = (by), \
                               .layer = GUARD_CALL, .outcome = GUARD_DID_##did, .proto = IPPROTO_TCP
#define PACKET(did, by, of)    .kind = EVENT_GUARD, .generation = 7, .time_ns = 999999999, .rule = (by), \
                               .layer = GUARD_PACKET, .outcome = GUARD_DID_##did, .proto = (of), .ifindex = FAR
#define PROCESS(name)          .has = GUARD_HAS_TASK, .uid = FAR, .euid = 0, .gid = 100, .login_uid = NO, .session = NO, \
                               .pid = 812, .ppid = 1, .netns = 4026531840, .comm = name
#define ROW(text, ...)         { .name = text, .event = { __VA_ARGS__ } }
#define OTHER_RULES(text, ...) { .name = text, .event = { __VA_ARGS__ }, .other_rules = true }

static const struct guard_row {
	const char *name;
	struct guard_event event;
	bool other_rules;
} guard_rows[] = {
	ROW("a call that is denied",
	    CALL(DENY, RULE_NONE), TO_METADATA4, PROCESS("curl"), .exe = { "curl", "bin", "usr" }, .cgroup_id = 1,
	    .cgroup = { "app.service", "system.slice" }),
	ROW("a call that is allowed, of somebody who logged in",
	    CALL(ALLOW, 1), TO_METADATA6, .saddr = { 0xfd000000, 0, 0, 1 }, .sport = 40000, .has = GUARD_HAS_TASK,
	    .login_uid = 0, .session = 3, .pid = 4, .ppid = 3, .netns = 1, .cookie = 77, .comm = "sh", .exe = { "sh" }),
	ROW("hostile names",
	    CALL(DENY, RULE_NONE), TO_METADATA4, PROCESS("a\n\"b\" u 0\xff"),
	    .exe = { "x\x1b[2J\\", "\xe2\x80\xae\xc2\x9b", "verdict allow", "caf\xc3\xa9" }, .cgroup_id = 1,
	    .cgroup = { "\n{\"event\":\"guard.allow\"}", "\x7f\xc0\xaf" }),
	ROW("names without an end, a path that is cut",
	    CALL(DENY, RULE_NONE), TO_METADATA4, PROCESS({ "0123456789abcdef" }),
	    .exe = { LONG47, "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" }, .cgroup_id = UINT64_MAX,
	    .cgroup = { "docker-" ID40, "system.slice" }),
	ROW("a container",
	    CALL(DENY_FORWARDED, RULE_NONE), TO_METADATA4, PROCESS("python3"), .cgroup_id = UINT64_MAX,
	    .cgroup = { "cri-containerd-0123456789abcdef0123456789abcdef", "kubepods.slice" }),
	ROW("the root cgroup, no file", CALL(DENY, RULE_NONE), TO_METADATA4, PROCESS("kworker/0:1"), .cgroup_id = 1),
	ROW("a request that is allowed",
	    PACKET(REQUEST, 0, IPPROTO_TCP), TO_METADATA4, FROM4, .owner = FAR, .pid = 812, .euid = 33,
	    .has = GUARD_HAS_OWNER | GUARD_HAS_STAMP | GUARD_HAS_HTTP, .cookie = 78, .netns = 4026531840, .method = "PUT",
	    .path = "/latest/api/token"),
	ROW("a request without a token, after others that were not told",
	    PACKET(NO_TOKEN, RULE_NONE, IPPROTO_TCP), TO_METADATA4, FROM4, .owner = FAR, .untold = 4711,
	    .has = GUARD_HAS_OWNER | GUARD_HAS_HTTP, .method = "GET", .path = "/latest/\x01\""),
	ROW("a wrong path",
	    PACKET(PATH, RULE_NONE, IPPROTO_TCP), TO_METADATA6, .has = GUARD_HAS_OWNER | GUARD_HAS_HTTP,
	    .method = { "GETGETGE" }, .path = "/"),
	ROW("no request", PACKET(BAD_REQUEST, RULE_NONE, IPPROTO_TCP), TO_METADATA4, .has = GUARD_HAS_OWNER),
	ROW("forwarded, allowed", PACKET(FORWARDED, RULE_NONE, IPPROTO_TCP), TO_METADATA4, FROM4, .iif = FAR),
	ROW("forwarded, denied", PACKET(DENY_FORWARDED, RULE_NONE, IPPROTO_TCP), TO_METADATA4, .iif = FAR),
	ROW("an answer of the kernel", PACKET(CONTROL, RULE_NONE, IPPROTO_TCP), TO_METADATA4),
	ROW("a fragment", PACKET(FRAGMENT, RULE_NONE, IPPROTO_UDP), .family = 4, .daddr = V4(169, 254, 169, 254)),
	ROW("without an owner", PACKET(NO_OWNER, RULE_NONE, IPPROTO_ICMPV6), .family = 6, .daddr = { 0, 0, 0, 1 }),
	ROW("a broken table", PACKET(TABLE, RULE_NONE, IPPROTO_TCP), TO_METADATA4, .guard = 1),
	ROW("a guard that the rules do not have", CALL(DENY, RULE_NONE), TO_METADATA4, .guard = 2),
	OTHER_RULES("other rules", CALL(DENY, RULE_NONE), TO_METADATA4),
	ROW("an outcome and a layer of another version", .kind = EVENT_GUARD, .outcome = 200, .layer = 9, .family = 4),
};
/* clang-format on */
#define N_GUARD_ROWS (sizeof(guard_rows) / sizeof(guard_rows[0]))

/* clang-format off */
#define LOGGED(by, with)       .kind = EVENT_LOG, .generation = 7, .time_ns = 5000, .ifindex = FAR, .length = 60, \
                               .rule = (by), .prefix = (with)
#define HAS(family, l4, proto) [KEY_FAMILY] = (family), [KEY_L4] = (l4), [KEY_PROTO] = (proto)
#define ENDS                   [KEY_SADDR0] = 0xc0000207, [KEY_DADDR0] = 0xcb007101

static const struct log_row {
	const char *name;
	struct event event;
	bool other_rules;
} log_rows[] = {
	ROW("a packet of TCP",
	    LOGGED(0, 0), .key = { HAS(4, IPPROTO_TCP, IPPROTO_TCP), ENDS, [KEY_SPORT] = 40000, [KEY_DPORT] = 22,
				   [KEY_TCPFLAGS] = 2, [KEY_PRESENT] = PRESENT_LINK, [KEY_SMAC0] = 0x02000000,
				   [KEY_SMAC1] = 1 }),
	ROW("a fragment of UDP, no rule, no prefix",
	    LOGGED(RULE_NONE, RULE_NONE), .key = { HAS(4, 0xffff, IPPROTO_UDP), ENDS, [KEY_VLAN0] = 0x2005,
						   [KEY_PRESENT] = PRESENT_FRAGMENT | PRESENT_VLAN0 }),
	ROW("ICMPv6",
	    LOGGED(0, 0), .hook = HOOK_TC_EGRESS, .key = { HAS(6, IPPROTO_ICMPV6, IPPROTO_ICMPV6), ENDS,
							   [KEY_ICMP] = 128 << 8 }),
	OTHER_RULES("ARP, of rules that are gone", LOGGED(0, 0), .key = { [KEY_ETYPE] = 0x0806 }),
};
/* clang-format on */
#define N_LOG_ROWS (sizeof(log_rows) / sizeof(log_rows[0]))

static void guard_row_record(struct record *ret, const struct guard_row *row)
{
	guard_record(ret, row->other_rules ? &unknown : &known, &row->event);
}

static void log_row_record(struct record *ret, const struct log_row *row)
{
	event_record(ret, row->other_rules ? &unknown : &known, &row->event);
}

/* The record of the row of that name. */
static void record_of(struct record *ret, const char *name)
{
	for (size_t i = 0; i < N_GUARD_ROWS; i++)
		if (!strcmp(guard_rows[i].name, name)) {
			guard_row_record(ret, &guard_rows[i]);
			return;
		}
	for (size_t i = 0; i < N_LOG_ROWS; i++)
		if (!strcmp(log_rows[i].name, name)) {
			log_row_record(ret, &log_rows[i]);
			return;
		}
	check(false, "there is no row '%s'", name);
	record_clear(ret);
}

/* ---- forms ---- */

/* malloc'ed */
static char *record_as(const struct record *record, enum out_form form)
{
	char *text = NULL;
	size_t room;
	FILE *memory = open_memstream(&text, &room);
	struct out *out = memory ? out_records_new(form, memory) : NULL;

	if (!out)
		exit(1);
	record_say(record, out);
	out_finish(out, 0);
	fclose(memory);
	return text;
}

/* Nothing of what others named may be seen by a terminal, end a line or begin a key. */
static void check_harmless(const char *name, const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		if ((*at < ' ' && *at != '\n') || *at == 0x7f)
			check(false, "%s: a control character: %s", name, text);
}

static void check_json(const char *name, const char *text, bool guard)
{
	static const char *const keys[] = {
		"time",     "event",     "generation",  "guard",        "rule",         "verdict",
		"outcome",  "layer",     "user",        "uid",          "euid",         "gid",
		"login",    "login_uid", "session",     "owner_uid",    "pid",          "ppid",
		"program",  "path",      "cgroup",      "container_id", "service",      "netns",
		"socket",   "proto",     "version",     "src_addr",     "src_port",     "dst_addr",
		"dst_port", "device",    "from_device", "method",       "request_path", "untold",
	};
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	check(json_is_object(object), "%s: no JSON: %s: %s", name, error.text, text);
	check(strchr(text, '\n') == text + strlen(text) - 1, "%s: not one line: %s", name, text);
	for (size_t i = 0; guard && i < sizeof(keys) / sizeof(keys[0]); i++)
		check(json_object_get(object, keys[i]), "%s: no key '%s'", name, keys[i]);
	check(!guard || json_object_size(object) == sizeof(keys) / sizeof(keys[0]), "%s: %zu keys", name,
	      json_object_size(object));
	json_decref(object);
}

static void print_forms(FILE *into, const char *name, const struct record *record, bool guard)
{
	char *text = record_as(record, OUT_FORM_TEXT), *json = record_as(record, OUT_FORM_JSON),
	     *journal = record_as(record, OUT_FORM_JOURNAL);

	fprintf(into, "---- %s\n%s%s%s", name, text, json, journal);
	check_harmless(name, text);
	check_harmless(name, json);
	check_harmless(name, journal);
	check(strchr(text, '\n') == text + strlen(text) - 1, "%s: not one line: %s", name, text);
	check_json(name, json, guard);
	free(text);
	free(json);
	free(journal);
}

static char *read_file(const char *path)
{
	char *text = calloc(1, 1 << 20);
	FILE *file = fopen(path, "re");

	if (file && text && fread(text, 1, (1 << 20) - 1, file) == 0)
		text[0] = '\0';
	if (file)
		fclose(file);
	return text;
}

static void first_difference(const char *is, const char *wanted)
{
	while (*is && *wanted) {
		size_t a = strcspn(is, "\n"), b = strcspn(wanted, "\n");

		if (a != b || memcmp(is, wanted, a)) {
			printf(" is     %.*s\n wanted %.*s\n", (int)a, is, (int)b, wanted);
			return;
		}
		is += a + (is[a] == '\n');
		wanted += b + (wanted[b] == '\n');
	}
	printf(" one is longer\n is     %s\n wanted %s\n", is, wanted);
}

static void test_forms(void)
{
	char *is = NULL, *wanted = read_file(GOLDEN);
	static struct record record;
	size_t room;
	FILE *into = open_memstream(&is, &room);

	for (size_t i = 0; i < N_GUARD_ROWS; i++) {
		guard_row_record(&record, &guard_rows[i]);
		print_forms(into, guard_rows[i].name, &record, true);
	}
	for (size_t i = 0; i < N_LOG_ROWS; i++) {
		log_row_record(&record, &log_rows[i]);
		print_forms(into, log_rows[i].name, &record, false);
	}
	fclose(into);
	if (getenv("UPDATE")) {
		into = fopen(GOLDEN, "we");
		fputs(is, into);
		fclose(into);
	} else if (!check(!strcmp(is, wanted), "%s differs", GOLDEN)) {
		first_difference(is, wanted);
	}
	free(is);
	free(wanted);
}

/* Each outcome has its name, and is denied or not. */
static void test_outcomes(void)
{
#define X(id, json, kind, sentence)                                                                                    \
	{                                                                                                              \
		struct guard_event event = { CALL(id, RULE_NONE), TO_METADATA4 };                                      \
		static struct record record;                                                                           \
                                                                                                                       \
		guard_record(&record, &known, &event);                                                                 \
		check(!strcmp(record_find(&record, "outcome")->text, json) &&                                          \
			      !strcmp(record_find(&record, "verdict")->text, #kind[0] == 'D' ? "deny" : "allow") &&    \
			      !strcmp(record_find(&record, "event")->text,                                             \
				      #kind[0] == 'D' ? "guard.deny" : "guard.allow"),                                 \
		      "outcome %s", json);                                                                             \
	}
	GUARD_OUTCOMES(X)
#undef X
}

static void test_room(void)
{
	static struct record record;
	char *text = malloc(RECORD_TEXT * 2);

	memset(text, 'x', RECORD_TEXT * 2 - 1);
	text[RECORD_TEXT * 2 - 1] = '\0';
	record_clear(&record);
	record_text(&record, "a", "first");
	record_text(&record, "b", text);
	record_text(&record, "c", "behind");
	check(!strcmp(record_find(&record, "a")->text, "first") &&
		      strlen(record_find(&record, "b")->text) == RECORD_TEXT - 7 && !*record_find(&record, "c")->text,
	      "what finds no room in a record is cut");
	record_clear(&record);
	for (size_t i = 0; i < 2 * RECORD_FIELDS; i++)
		record_number(&record, "n", i);
	check(record.n < RECORD_FIELDS, "a record has so many fields, no more");
	free(text);
}

/* ---- records of the ring ---- */

static void test_whole(void)
{
	struct event event = { .kind = EVENT_LOG };
	struct guard_event guard = { .kind = EVENT_GUARD };
	uint32_t strange = EVENT_GUARD + 1;

	check(event_is_whole(&event, sizeof(event)), "an event");
	check(event_is_whole(&guard, sizeof(guard)), "a guard's event");
	check(!event_is_whole(&event, sizeof(event) - 1) && !event_is_whole(&event, sizeof(event) + 8), "odd sizes");
	check(!event_is_whole(&guard, sizeof(event)) && !event_is_whole(&guard, 4), "another one's size");
	check(!event_is_whole(&strange, sizeof(strange)) && !event_is_whole(&strange, 3) && !event_is_whole("", 0),
	      "no event at all");
}

/* ---- the filter ---- */

static void test_filter(void)
{
	static const char first[] = "a call that is denied",
			  allowed[] = "a call that is allowed, of somebody who logged in",
			  put[] = "a request that is allowed", tcp[] = "a packet of TCP",
			  arp[] = "ARP, of rules that are gone", docker[] = "names without an end, a path that is cut";
	static const struct {
		const char *words, *row;
		bool holds;
	} rows[] = {
		{ "", first, true },
		{ "", arp, true },
		{ "event guard.deny", first, true },
		{ "event guard.deny", allowed, false },
		{ "event filter.log", tcp, true },
		{ "event filter.log", first, false },
		{ "guard metadata", first, true },
		{ "guard db", first, false },
		{ "guard metadata", tcp, false },
		{ "filter edge", tcp, true },
		{ "filter edge", first, false },
		{ "filter edge", arp, false },
		{ "verdict deny", first, true },
		{ "verdict deny", allowed, false },
		{ "verdict allow", put, true },
		{ "verdict allow", tcp, false },
		{ "outcome request", put, true },
		{ "outcome request", allowed, false },
		{ "layer packet", put, true },
		{ "layer packet", first, false },
		{ "user root", first, true },
		{ "user 4000000000", first, true },
		{ "user root", put, false },
		{ "user root", tcp, false },
		{ "uid 0", first, false },
		{ "uid 0", allowed, true },
		{ "uid 0-10", allowed, true },
		{ "euid 0", first, true },
		{ "euid 33", put, true },
		{ "login root", allowed, true },
		{ "login root", first, false },
		{ "pid 812", first, true },
		{ "pid 812", put, true },
		{ "pid 81", first, false },
		{ "program curl", first, true },
		{ "program cur", first, false },
		{ "path /usr/bin/curl", first, true },
		{ "service app.service", first, true },
		{ "service app.service", put, false },
		{ "container 0123456789ab", docker, true },
		{ "container 123456789ab", docker, false },
		{ "proto tcp", first, true },
		{ "proto udp", first, false },
		{ "dst 169.254.169.254", first, true },
		{ "dst 169.254.0.0/16", first, true },
		{ "dst 169.253.0.0/16", first, false },
		{ "dst fd00::/8", allowed, true },
		{ "dst ::/0", first, false },
		{ "dst 203.0.113.0/24", tcp, true },
		{ "dst 203.0.113.0/24", arp, false },
		{ "src 10.0.0.0/8", put, true },
		{ "src 10.0.0.0/8", first, false },
		{ "dport 80", first, true },
		{ "dport http", first, true },
		{ "dport 22-23", tcp, true },
		{ "sport 40000", allowed, true },
		{ "device 4000000000", put, true },
		{ "device eth0", put, false },
		{ "guard metadata verdict deny dst 169.254.0.0/16 dport 80 user root", first, true },
		{ "guard metadata verdict deny dst 169.254.0.0/16 dport 81 user root", first, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct word_value values[WATCH_WORDS_MOST] = { 0 };
		static struct record record;
		char copy[256], *rest = copy, *word, *words[16];
		struct run run = { 0 };
		size_t n = 0;

		snprintf(copy, sizeof(copy), "%s", rows[i].words);
		while ((word = strsep(&rest, " ")))
			if (*word)
				words[n++] = word;
		diag_init(&run.diag);
		check(words_read(&run, &watch_words, words, n, values) == EXIT_DONE, "the words '%s'", rows[i].words);
		record_of(&record, rows[i].row);
		check(watch_filter_holds(values, &record) == rows[i].holds, "'%s' %s '%s'", rows[i].words,
		      rows[i].holds ? "leaves out" : "picks", rows[i].row);
		words_clear(&watch_words, values);
		diag_clear(&run.diag);
	}
}

/* ---- cgroups ---- */

static void test_cgroups(void)
{
	static const struct {
		const char *path, *container, *unit;
	} rows[] = {
		{ "/", "", "" },
		{ "", "", "" },
		{ "/system.slice/nginx.service", "", "nginx.service" },
		{ "/system.slice/system-getty.slice/getty@tty1.service", "", "getty@tty1.service" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "", "user@1000.service" },
		{ "/user.slice/user-1000.slice/session-3.scope", "", "session-3.scope" },
		{ "/system.slice/docker-" ID ".scope", ID, "docker-" ID ".scope" },
		{ "/system.slice/docker-" ID ".scope/system.slice/a.service", ID, "docker-" ID ".scope" },
		{ "/docker/" ID, ID, "" },
		{ "/docker/" ID "/init", ID, "" },
		{ "/machine.slice/libpod-" ID ".scope/container", ID, "libpod-" ID ".scope" },
		{ "/machine.slice/libpod-conmon-" ID ".scope", "", "libpod-conmon-" ID ".scope" },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" ID ".scope",
		  ID, "cri-containerd-" ID ".scope" },
		{ "/kubepods/burstable/pod12/" ID, ID, "" },
		{ "/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope", ID, "crio-" ID ".scope" },
		{ "/system.slice/docker-" ID40 "...", ID40, "" },
		{ ".../system.slice/a.service", "", "" },
		{ "/docker/" ID "0", "", "" },
		{ "/docker/" ID "x", "", "" },
		{ "/docker/0123456789ab", "", "" },
		{ "/docker/01234567...", "", "" },
		{ "//x", "", "" },
		{ "/.service", "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t a, b;
		const char *container = cgroup_container(rows[i].path, &a), *unit = cgroup_unit(rows[i].path, &b);

		check(a == strlen(rows[i].container) && !memcmp(container ? container : "", rows[i].container, a),
		      "container of %s: %.*s", rows[i].path, (int)a, container ? container : "");
		check(b == strlen(rows[i].unit) && !memcmp(unit ? unit : "", rows[i].unit, b), "unit of %s: %.*s",
		      rows[i].path, (int)b, unit ? unit : "");
	}
}

/* ---- losses ---- */

struct told {
	char text[4096];
	struct word_value *filter;
};

/* "guard.deny metadata 0 3/10;" of a record: what, guard, uid, count and total. */
static int collect(void *context, const struct record *record)
{
	struct told *told = context;
	const struct record_field *lost = record_find(record, "lost"), *guard = record_find(record, "guard"),
				  *uid = record_find(record, "uid");
	size_t used = strlen(told->text);
	char number[16] = "-";

	if (told->filter && !watch_filter_holds(told->filter, record))
		return 0;
	if (uid)
		snprintf(number, sizeof(number), "%u", (unsigned int)uid->number);
	snprintf(told->text + used, sizeof(told->text) - used, "%s %s %s %u/%u;", lost ? lost->text : "-",
		 guard ? guard->text : "-", number, (unsigned int)record_find(record, "count")->number,
		 (unsigned int)record_find(record, "total")->number);
	return 0;
}

struct loss_step {
	uint64_t generation, logs, guards, malformed;
	struct guard_loss loss[4];
	size_t n;
	const char *told;
};

static void run_losses(const char *what, bool watched, const struct loss_step *steps, size_t n)
{
	struct watch_losses *losses = watch_losses_new(watched);

	for (size_t i = 0; i < n; i++) {
		struct event_losses now = { steps[i].generation, steps[i].logs, steps[i].guards,
					    malloc(sizeof(steps[i].loss)), steps[i].n };
		struct told told = { 0 };

		memcpy(now.loss, steps[i].loss, sizeof(steps[i].loss));
		watch_losses_tell(losses, &now, steps[i].malformed, &known, 1, collect, &told);
		check(!strcmp(told.text, steps[i].told), "%s, step %zu: told %s, wanted %s", what, i, told.text,
		      steps[i].told);
		free(now.loss);
	}
	watch_losses_free(losses);
}

static void test_losses(void)
{
	static const struct loss_step later[] = {
		{ 7,
		  3,
		  15,
		  0,
		  { { { 1000, 0, 1 }, 10 }, { { 0, 1, 0 }, 5 } },
		  2,
		  "filter.log - - 0/3;guard.allow - 0 0/5;guard.deny - 1000 0/10;" },
		{ 7, 3, 15, 0, { { { 0, 1, 0 }, 5 }, { { 1000, 0, 1 }, 10 } }, 2, "" },
		{ 7,
		  4,
		  18,
		  0,
		  { { { 0, 1, 0 }, 6 }, { { 1000, 0, 1 }, 12 } },
		  2,
		  "filter.log - - 1/4;guard.allow db 0 1/6;guard.deny metadata 1000 2/12;" },
		{ 7,
		  4,
		  21,
		  2,
		  { { { 0, 1, 0 }, 6 }, { { GUARD_RATE_OTHERS, 0, 0 }, 3 }, { { 1000, 0, 1 }, 12 } },
		  3,
		  "malformed - - 2/2;- - - 3/3;" },
	};
	static const struct loss_step others[] = {
		{ .generation = 7, .told = "" },
		{ 8, 0, 4, 0, { { { 5, 0, 1 }, 4 } }, 1, "guard.deny - 5 4/4;" }, /* whose numbers, 7's or 8's? */
	};
	static const struct loss_step fresh[] = {
		{ 7, 2, 4, 0, { { { 5, 0, 1 }, 4 } }, 1, "filter.log - - 2/2;guard.deny - 5 4/4;" },
	};
	/* What the identities do not say is told once two calls agree, and once. */
	static const struct loss_step rest[] = {
		{ .generation = 7, .told = "" },
		{ 7, 0, 9, 0, { { { 5, 0, 1 }, 7 } }, 1, "guard.deny metadata 5 7/7;" },
		{ 7, 0, 9, 0, { { { 5, 0, 1 }, 8 } }, 1, "guard.deny metadata 5 1/8;- - - 1/1;" },
		{ 7, 0, 9, 0, { { { 5, 0, 1 }, 8 } }, 1, "" },
	};

	run_losses("a watch that comes later", false, later, 4);
	run_losses("rules that changed", false, others, 2);
	run_losses("a watch that was there before", true, fresh, 1);
	run_losses("a rest", false, rest, 4);
}

/* Losses that may be of what is asked for are told, too. */
static void test_losses_filter(void)
{
	static const struct {
		const char *words[4];
		const char *told;
	} rows[] = {
		{ { "event", "guard.deny" }, "guard.deny metadata 5 4/4;- - - 2/2;" },
		{ { "event", "filter.log" }, "filter.log - - 3/3;- - - 2/2;" },
		{ { "event", "events.lost" }, "filter.log - - 3/3;guard.deny metadata 5 4/4;- - - 2/2;" },
		{ { "uid", "6" }, "filter.log - - 3/3;- - - 2/2;" },
		{ { "user", "5", "guard", "db" }, "filter.log - - 3/3;- - - 2/2;" },
		{ { "verdict", "allow" }, "filter.log - - 3/3;- - - 2/2;" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct word_value values[WATCH_WORDS_MOST] = { 0 };
		struct watch_losses *losses = watch_losses_new(false);
		struct event_losses none = { .generation = 7 };
		struct told told = { .filter = values };
		struct run run = { 0 };

		diag_init(&run.diag);
		words_read(&run, &watch_words, (char **)rows[i].words, rows[i].words[2] ? 4 : 2, values);
		watch_losses_tell(losses, &none, 0, &known, 1, collect, &told);
		for (unsigned int twice = 0; twice < 2; twice++) {
			struct event_losses now = { 7, 3, 6, malloc(sizeof(struct guard_loss)), 1 };

			now.loss[0] = (struct guard_loss){ { 5, 0, 1 }, 4 };
			watch_losses_tell(losses, &now, 0, &known, 1, collect, &told);
		}
		check(!strcmp(told.text, rows[i].told), "losses by '%s %s': %s, wanted %s", rows[i].words[0],
		      rows[i].words[1], told.text, rows[i].told);
		watch_losses_free(losses);
		words_clear(&watch_words, values);
		diag_clear(&run.diag);
	}
}

/* ---- files ---- */

static char directory[] = "/tmp/weir-t-watch-XXXXXX";

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned int next;
	char *ret = path[next++ % 4];

	snprintf(ret, sizeof(path[0]), "%s/%s", directory, name);
	return ret;
}

static void check_content(const char *name, const char *wanted)
{
	char *is = read_file(at(name));

	check(!strcmp(is, wanted), "%s: %.60s, wanted %.60s", name, is, wanted);
	free(is);
}

/* What opening it says; NULL: nothing. */
static void check_open(const char *name, const char *wanted)
{
	struct watch_file *file = NULL;
	struct diag diag;
	int r;

	diag_init(&diag);
	r = watch_file_open(&file, at(name), 4096, 2, &diag);
	if (wanted)
		check(r < 0 && diag.n && strstr(diag.problems[0].message, wanted), "%s: %d, %s", name, r,
		      diag.n ? diag.problems[0].message : "");
	else
		check(r == 0, "%s: %d", name, r);
	if (r == 0)
		watch_file_close(file);
	diag_clear(&diag);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "we");

	fputs(text, file);
	fclose(file);
}

static void test_traps(void)
{
	struct stat st;

	check_open("new", NULL);
	check(!stat(at("new"), &st) && (st.st_mode & 0777) == 0600, "made for its owner alone");
	put("target", "");
	check(!symlink(at("target"), at("symlink")) && !link(at("target"), at("hardlink")) && !mkfifo(at("fifo"), 0600),
	      "traps");
	check_open("symlink", "symbolic link");
	check_open("hardlink", "another name");
	check_open("fifo", "regular file");
	check_open("nosuch/x", "No such file");
	put("theirs", "");
	if (!geteuid() && !chown(at("theirs"), 65534, 65534))
		check_open("theirs", "somebody else's");
}

static void test_rotation(void)
{
	static char line[1001];
	struct watch_file *file;
	struct diag diag;

	diag_init(&diag);
	memset(line, 'x', 999);
	line[999] = '\n';
	put("log", "cut off");
	check(!watch_file_open(&file, at("log"), 4096, 2, &diag), "a file that is there");
	check_content("log", "cut off\n");
	for (char i = '0'; i < '9'; i++) {
		line[0] = i;
		check(!watch_file_write(file, line, 1000, &diag), "line %c", i);
	}
	/* "cut off" and 4 lines; 4 lines; 1 line */
	for (unsigned int i = 0; i < 3; i++) {
		static const struct {
			const char *name;
			char first;
			size_t size;
		} files[] = { { "log", '8', 1000 }, { "log.1", '4', 4000 }, { "log.2", 'c', 4008 } };
		char *is = read_file(at(files[i].name));

		check(is[0] == files[i].first && strlen(is) == files[i].size, "%s begins with %c, has %zu bytes",
		      files[i].name, is[0], strlen(is));
		free(is);
	}
	for (char i = '0'; i < '4'; i++)
		check(!watch_file_write(file, line, 1000, &diag), "line %c", i);
	check(access(at("log.3"), F_OK) && !access(at("log.2"), F_OK), "no more old ones than were asked for");
	check_open("log", "another process");
	check(!rename(at("log"), at("moved")) && !watch_file_reopen(file, &diag) &&
		      !watch_file_write(file, "after\n", 6, &diag),
	      "moved away");
	check_content("log", "after\n");
	watch_file_close(file);
	diag_clear(&diag);
}

static void test_full(void)
{
	struct rlimit limit, small;
	struct watch_file *file;
	struct diag diag;

	diag_init(&diag);
	check(!watch_file_open(&file, at("full"), 1 << 20, 2, &diag), "a file");
	check(!watch_file_write(file, "first\n", 6, &diag), "room");
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 10;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	check(watch_file_write(file, "second\n", 7, &diag) == -EFBIG && diag.n &&
		      strstr(diag.problems[0].message, "cannot write to '"),
	      "no room is said");
	setrlimit(RLIMIT_FSIZE, &limit);
	check_content("full", "first\n");
	watch_file_close(file);
	diag_clear(&diag);
}

/* ---- datagrams ---- */

static int daemon_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", at(name));
	unlink(address.sun_path);
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -1 : fd;
}

static void check_received(int fd, const char *wanted)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	got[n < 0 ? 0 : n] = '\0';
	check(n >= 0 && !strcmp(got, wanted), "received %zd: %s, wanted %s", n, got, wanted);
}

static void test_datagrams(void)
{
	static volatile sig_atomic_t no, yes = 1;
	struct watch_socket *to = NULL;
	int fd = daemon_at("daemon"), fds[2];
	struct diag diag;

	diag_init(&diag);
	check(!watch_socket_open(&to, at("daemon"), &no, &diag), "a daemon");
	check(!watch_socket_send(to, "<4>", "one", 3, &diag), "a record");
	check_received(fd, "<4>one");
	close(fd);
	fd = daemon_at("daemon");
	check(!watch_socket_send(to, "<4>", "two", 3, &diag), "a daemon that was started again");
	check_received(fd, "<4>two");
	close(fd);
	watch_socket_close(to);
	check(watch_socket_open(&to, at("daemon"), &no, &diag) == -ECONNREFUSED && diag.n, "a daemon that went");
	check(!pipe2(fds, O_CLOEXEC | O_NONBLOCK), "a pipe");
	check(!watch_wait(fds[1], &no), "a pipe has room");
	while (write(fds[1], directory, sizeof(directory)) > 0)
		;
	check(watch_wait(fds[1], &yes) == -ETIMEDOUT, "a full one is not waited for without end");
	close(fds[0]);
	close(fds[1]);
	diag_clear(&diag);
}

int main(void)
{
	static char clean[160];

	test_forms();
	test_outcomes();
	test_room();
	test_whole();
	test_filter();
	test_cgroups();
	test_losses();
	test_losses_filter();
	if (!mkdtemp(directory))
		return 1;
	test_traps();
	test_rotation();
	test_full();
	test_datagrams();
	snprintf(clean, sizeof(clean), "rm -rf %s", directory);
	check(!system(clean), "cleaned up");
	printf("%u passed, %u failed\n", passed, failed);
	return failed > 0;
}
