// SPDX-License-Identifier: GPL-2.0
#include "learn_rules.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lang/lang.h"
#include "../lang/print.h"

#define DRAFTS_MOST 32   /* rules of one program and protocol; beyond that it gets one for all */
#define PORT_NORMAL 1024 /* ports from here on are anybody's */
#define NAMES_MOST  3    /* cgroups that a comment names */

struct prefix {
	uint32_t addr[4];
	uint8_t family, length;
};

/* What becomes a rule. */
struct draft {
	const struct talk *talk; /* one of those that it is for: direction, protocol, owner */
	struct prefix *prefix;
	size_t n_prefix;
	uint16_t *port; /* sorted */
	size_t n_port;
	bool high_ports;  /* and all from PORT_NORMAL on */
	const char **exe; /* sorted */
	size_t n_exe;
	const char **cgroup;
	size_t n_cgroup;
	uint64_t n;
	int64_t first, last;
};

struct drafts {
	struct draft *draft;
	size_t n, capacity;
};

/* ---- lists that are kept sorted, each member once ---- */

static int list_put(void *list, size_t *n, size_t size, const void *member, int (*compare)(const void *, const void *))
{
	char *array, *grown;
	size_t at = 0;

	memcpy(&array, list, sizeof(array)); /* a pointer to whatever the members are */
	while (at < *n && compare(array + at * size, member) < 0)
		at++;
	if (at < *n && !compare(array + at * size, member))
		return 0;
	grown = realloc(array, (*n + 1) * size);
	if (!grown)
		return -1;
	memcpy(list, &grown, sizeof(grown));
	memmove(grown + (at + 1) * size, grown + at * size, (*n - at) * size);
	memcpy(grown + at * size, member, size);
	(*n)++;
	return 0;
}

static int compare_port(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_prefix(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->family != y->family)
		return x->family - y->family;
	for (int i = 0; i < 4; i++)
		if (x->addr[i] != y->addr[i])
			return x->addr[i] < y->addr[i] ? -1 : 1;
	return x->length - y->length;
}

/* ---- addresses to prefixes ---- */

static struct prefix prefix_cut(struct prefix p, uint8_t length)
{
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = length > i * 32 ? length - i * 32 : 0;

		if (bits < 32)
			p.addr[i] &= bits ? ~0u << (32 - bits) : 0;
	}
	if (p.length > length)
		p.length = length;
	return p;
}

static bool is_within(const struct prefix *p, const struct prefix *larger)
{
	struct prefix cut = prefix_cut(*p, larger->length);

	return p->family == larger->family && p->length >= larger->length &&
	       !memcmp(cut.addr, larger->addr, sizeof(cut.addr));
}

/* Prefixes are sorted, so those within a larger one stand together. */
static void widen_to(struct draft *draft, uint8_t family, uint8_t length, unsigned int least)
{
	size_t kept = 0, next;

	for (size_t i = 0; i < draft->n_prefix; i = next) {
		struct prefix larger = prefix_cut(draft->prefix[i], length);

		next = i + 1;
		if (larger.family != family) {
			draft->prefix[kept++] = draft->prefix[i];
			continue;
		}
		while (next < draft->n_prefix && is_within(&draft->prefix[next], &larger))
			next++;
		if (next - i >= least) {
			draft->prefix[kept++] = larger;
			continue;
		}
		memmove(&draft->prefix[kept], &draft->prefix[i], (next - i) * sizeof(*draft->prefix));
		kept += next - i;
	}
	draft->n_prefix = kept;
}

static void widen(struct draft *draft, unsigned int least)
{
	static const struct {
		uint8_t family, length;
	} steps[] = { { 4, 24 }, { 4, 16 }, { 4, 0 }, { 6, 64 }, { 6, 48 }, { 6, 32 }, { 6, 0 } };

	for (size_t i = 0; least && i < sizeof(steps) / sizeof(steps[0]); i++)
		widen_to(draft, steps[i].family, steps[i].length, least);
}

/* ---- drafts of rules ---- */

static void draft_clear(struct draft *draft)
{
	free(draft->prefix);
	free(draft->port);
	free(draft->exe);
	free(draft->cgroup);
}

static void drafts_clear(struct drafts *drafts)
{
	for (size_t i = 0; i < drafts->n; i++)
		draft_clear(&drafts->draft[i]);
	free(drafts->draft);
}

static struct draft *drafts_add(struct drafts *drafts, const struct talk *talk)
{
	if (drafts->n == drafts->capacity) {
		size_t capacity = drafts->capacity ? drafts->capacity * 2 : 64;
		struct draft *grown = realloc(drafts->draft, capacity * sizeof(*grown));

		if (!grown)
			return NULL;
		drafts->draft = grown;
		drafts->capacity = capacity;
	}
	drafts->draft[drafts->n] = (struct draft){ .talk = talk, .first = talk->first, .last = talk->last };
	return &drafts->draft[drafts->n++];
}

static int draft_add_talk(struct draft *draft, const struct talk *talk)
{
	struct prefix p = { .family = talk->family, .length = talk->family == 4 ? 32 : 128 };

	memcpy(p.addr, talk->addr, sizeof(p.addr));
	draft->n += talk->n;
	draft->first = talk->first < draft->first ? talk->first : draft->first;
	draft->last = talk->last > draft->last ? talk->last : draft->last;
	return list_put(&draft->prefix, &draft->n_prefix, sizeof(p), &p, compare_prefix) ?:
	       list_put(&draft->port, &draft->n_port, sizeof(talk->port), &talk->port, compare_port) ?:
	       list_put(&draft->exe, &draft->n_exe, sizeof(talk->exe), &talk->exe, compare_text) ?:
	       list_put(&draft->cgroup, &draft->n_cgroup, sizeof(talk->cgroup), &talk->cgroup, compare_text);
}

/* The other one is empty afterwards. */
static int draft_merge(struct draft *draft, struct draft *other)
{
	int r = 0;

	draft->n += other->n;
	draft->first = other->first < draft->first ? other->first : draft->first;
	draft->last = other->last > draft->last ? other->last : draft->last;
	draft->high_ports |= other->high_ports;
	for (size_t i = 0; i < other->n_prefix && !r; i++)
		r = list_put(&draft->prefix, &draft->n_prefix, sizeof(*other->prefix), &other->prefix[i],
			     compare_prefix);
	for (size_t i = 0; i < other->n_port && !r; i++)
		r = list_put(&draft->port, &draft->n_port, sizeof(*other->port), &other->port[i], compare_port);
	for (size_t i = 0; i < other->n_exe && !r; i++)
		r = list_put(&draft->exe, &draft->n_exe, sizeof(*other->exe), &other->exe[i], compare_text);
	for (size_t i = 0; i < other->n_cgroup && !r; i++)
		r = list_put(&draft->cgroup, &draft->n_cgroup, sizeof(*other->cgroup), &other->cgroup[i], compare_text);
	draft_clear(other);
	*other = (struct draft){ 0 };
	return r;
}

static bool same_prefixes(const struct draft *a, const struct draft *b)
{
	if (a->n_prefix != b->n_prefix)
		return false;
	for (size_t i = 0; i < a->n_prefix; i++)
		if (compare_prefix(&a->prefix[i], &b->prefix[i]))
			return false;
	return true;
}

static bool same_ports(const struct draft *a, const struct draft *b)
{
	return a->n_port == b->n_port && a->high_ports == b->high_ports &&
	       (!a->n_port || !memcmp(a->port, b->port, a->n_port * sizeof(*a->port)));
}

/* Those that say yes become one with the first of them. */
static int merge_where(struct drafts *drafts, size_t from, bool (*alike)(const struct draft *, const struct draft *))
{
	size_t kept = from;
	int r = 0;

	for (size_t i = from; i < drafts->n; i++) {
		struct draft draft = drafts->draft[i];
		size_t at = from;

		while (at < kept && !alike(&drafts->draft[at], &draft))
			at++;
		if (at < kept)
			r |= draft_merge(&drafts->draft[at], &draft);
		else
			drafts->draft[kept++] = draft;
	}
	drafts->n = kept;
	return r;
}

static bool alike_any(const struct draft *a, const struct draft *b)
{
	(void)a;
	(void)b;
	return true;
}

/* Packets from outside are nobody's yet: their rules are for all. */
static int compare_subject(const struct draft *a, const struct draft *b)
{
	if (a->talk->direction != b->talk->direction)
		return a->talk->direction == LEARN_IN ? -1 : 1;
	if (a->talk->direction == LEARN_IN || a->talk->owner == b->talk->owner)
		return 0;
	return a->talk->owner < b->talk->owner ? -1 : 1;
}

static bool alike_but_programs(const struct draft *a, const struct draft *b)
{
	return !compare_subject(a, b) && a->talk->proto == b->talk->proto && same_ports(a, b) && same_prefixes(a, b);
}

static bool matches_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static void widen_ports(struct draft *draft, unsigned int most)
{
	size_t high = 0;

	for (size_t i = 0; i < draft->n_port; i++)
		high += draft->port[i] >= PORT_NORMAL;
	if (!most || high < most)
		return;
	draft->n_port -= high; /* they are the last ones */
	draft->high_ports = true;
}

static int compare_talks(const void *a, const void *b)
{
	const struct talk *x = a, *y = b;
	int r;

	if (x->direction != y->direction)
		return x->direction == LEARN_IN ? -1 : 1;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	r = strcmp(x->exe, y->exe);
	if (!r)
		r = x->proto - y->proto;
	if (!r && matches_ports(x->proto))
		r = x->port - y->port;
	return r;
}

static bool same_program(const struct talk *a, const struct talk *b)
{
	return a->direction == b->direction && a->owner == b->owner && a->proto == b->proto && !strcmp(a->exe, b->exe);
}

/* All talks of one program and protocol: a draft a port, then ports with the same addresses together. */
static int drafts_of_program(struct drafts *drafts, const struct talks *talks, size_t at, unsigned int least,
			     size_t *ret_next)
{
	const struct talk *first = &talks->talk[at];
	size_t from = drafts->n;
	struct draft *draft = NULL;
	int r = 0;

	for (; at < talks->n && same_program(first, &talks->talk[at]) && !r; at++) {
		const struct talk *talk = &talks->talk[at];

		if (!draft || (matches_ports(talk->proto) && draft->port[0] != talk->port))
			draft = drafts_add(drafts, talk);
		r = draft ? draft_add_talk(draft, talk) : -1;
	}
	*ret_next = at;
	for (size_t i = from; i < drafts->n && !r; i++)
		widen(&drafts->draft[i], least);
	r = r ?: merge_where(drafts, from, same_prefixes);
	if (!r && drafts->n - from > DRAFTS_MOST) {
		r = merge_where(drafts, from, alike_any);
		widen(&drafts->draft[from], least ?: LEARN_WIDEN);
	}
	for (size_t i = from; i < drafts->n && !r; i++)
		widen_ports(&drafts->draft[i], least);
	return r;
}

/* How much of a family a rule lets through. */
static double draft_size(const struct draft *draft, uint8_t family)
{
	double addresses = 0, ports = (double)draft->n_port + (draft->high_ports ? 65536 - PORT_NORMAL : 0);

	for (size_t i = 0; i < draft->n_prefix; i++) {
		double one = draft->prefix[i].family == family;

		for (int bits = draft->prefix[i].length; bits < (family == 4 ? 32 : 128); bits++)
			one *= 2;
		addresses += one;
	}
	return addresses * ports;
}

/* A rule that another one of the same subject covers lets through less, and must stand before it. */
static int compare_drafts(const void *a, const void *b)
{
	static const uint8_t families[] = { 6, 4 };
	const struct draft *x = a, *y = b;
	int r = compare_subject(x, y);

	for (size_t i = 0; i < sizeof(families) && !r; i++) {
		double p = draft_size(x, families[i]), q = draft_size(y, families[i]);

		r = (p > q) - (p < q);
	}
	if (!r)
		r = (x->n_prefix > y->n_prefix) - (x->n_prefix < y->n_prefix); /* where a sum was rounded */
	return r ?: x->talk < y->talk ? -1 : 1;
}

static int drafts_make(struct drafts *drafts, struct talks *talks, unsigned int least)
{
	int r = 0;

	if (talks->n)
		qsort(talks->talk, talks->n, sizeof(*talks->talk), compare_talks);
	for (size_t at = 0; at < talks->n && !r;)
		r = drafts_of_program(drafts, talks, at, least, &at);
	r = r ?: merge_where(drafts, 0, alike_but_programs);
	if (drafts->n)
		qsort(drafts->draft, drafts->n, sizeof(*drafts->draft), compare_drafts);
	return r;
}

/* ---- text ---- */

void learn_path_encode(struct strbuf *b, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/+@:=~";

	for (; *path; path++)
		if (strchr(plain, *path))
			strbuf_char(b, *path);
		else
			strbuf_format(b, "%%%02x", (unsigned char)*path);
}

static void say_time(struct strbuf *b, int64_t at)
{
	time_t seconds = (time_t)at;
	char text[64];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_str(b, text);
}

static void say_prefix(struct strbuf *b, const struct prefix *p)
{
	struct value value;

	memcpy(value.w, p->addr, sizeof(value.w));
	print_address(b, &value, p->family);
	if (p->length != (p->family == 4 ? 32 : 128))
		strbuf_format(b, "/%u", p->length);
}

static bool is_anybody(const struct draft *draft)
{
	return draft->n_prefix == 2 && !draft->prefix[0].length && !draft->prefix[1].length;
}

static void say_addresses(struct strbuf *b, const struct draft *draft)
{
	if (is_anybody(draft))
		return;
	strbuf_str(b, draft->talk->direction == LEARN_IN ? " saddr " : " daddr ");
	if (draft->n_prefix > 1)
		strbuf_str(b, "{ ");
	for (size_t i = 0; i < draft->n_prefix; i++) {
		if (i)
			strbuf_str(b, ", ");
		say_prefix(b, &draft->prefix[i]);
	}
	if (draft->n_prefix > 1)
		strbuf_str(b, " }");
}

static void say_ports(struct strbuf *b, const struct draft *draft)
{
	size_t n = draft->n_port + draft->high_ports;

	if (!matches_ports(draft->talk->proto)) {
		strbuf_str(b, "meta l4proto ");
		print_number(b, TYPE_PROTO, draft->talk->proto, true);
		return;
	}
	print_number(b, TYPE_PROTO, draft->talk->proto, true);
	strbuf_str(b, n > 1 ? " dport { " : " dport ");
	for (size_t i = 0; i < draft->n_port; i++)
		strbuf_format(b, "%s%u", i ? ", " : "", draft->port[i]);
	if (draft->high_ports)
		strbuf_format(b, "%s%u-65535", draft->n_port ? ", " : "", PORT_NORMAL);
	if (n > 1)
		strbuf_str(b, " }");
}

/* Names of users may hold what a rule file takes for something else; a number always works. */
static bool is_plain_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789-";

	return name && strspn(name, letters) && !name[strspn(name, plain)];
}

static void say_user(struct strbuf *b, uint32_t uid, const struct learn_proposal *proposal)
{
	const char *name = proposal->user_name ? proposal->user_name(proposal->context, uid) : NULL;

	if (is_plain_name(name))
		strbuf_str(b, name);
	else
		strbuf_number(b, uid);
}

/* A path too long for a comment is known by its end. */
static void say_path_end(struct strbuf *b, const char *path, size_t room)
{
	struct strbuf whole = { 0 };
	size_t from;

	learn_path_encode(&whole, path);
	if (whole.length <= room) {
		strbuf_add(b, whole.text ? whole.text : "", whole.length);
	} else {
		from = whole.length - (room - 1);
		/* not within a %41 */
		while (from < whole.length && (whole.text[from - 1] == '%' || whole.text[from - 2] == '%'))
			from++;
		strbuf_char(b, '*');
		strbuf_str(b, whole.text + from);
	}
	b->failed |= whole.failed;
	strbuf_clear(&whole);
}

/* The programs, if all are known and there is room for all. */
static void say_programs(struct strbuf *b, const struct draft *draft)
{
	struct strbuf text = { 0 };

	for (size_t i = 0; i < draft->n_exe; i++) {
		if (!draft->exe[i][0])
			goto any;
		strbuf_str(&text, i ? ", " : LEARN_BY);
		say_path_end(&text, draft->exe[i], TEXT_MOST - strlen(LEARN_BY));
	}
	if (text.length && text.length <= TEXT_MOST) {
		strbuf_str(b, " comment ");
		print_quoted(b, text.text);
	}
any:
	b->failed |= text.failed;
	strbuf_clear(&text);
}

static void say_names(struct strbuf *b, const char *const *names, size_t n, size_t most)
{
	for (size_t i = 0; i < n && i < most; i++) {
		strbuf_str(b, i ? ", " : "");
		if (names[i][0])
			learn_path_encode(b, names[i]);
		else
			strbuf_str(b, "unknown");
	}
	if (n > most)
		strbuf_format(b, " and %zu more", n - most);
}

static void say_draft(struct strbuf *b, const struct draft *draft, const struct learn_proposal *proposal)
{
	strbuf_format(b, "\n\t# seen %llu %s, ", (unsigned long long)draft->n, draft->n == 1 ? "time" : "times");
	say_time(b, draft->first);
	if (draft->last != draft->first) {
		strbuf_str(b, " to ");
		say_time(b, draft->last);
	}
	strbuf_str(b, "; program ");
	say_names(b, draft->exe, draft->n_exe, SIZE_MAX);
	strbuf_str(b, "; cgroup ");
	say_names(b, draft->cgroup, draft->n_cgroup, NAMES_MOST);
	strbuf_str(b, "\n\t");
	if (draft->talk->direction == LEARN_OUT) {
		strbuf_str(b, "meta skuid ");
		say_user(b, draft->talk->owner, proposal);
		strbuf_char(b, ' ');
	}
	say_ports(b, draft);
	say_addresses(b, draft);
	strbuf_str(b, " accept");
	say_programs(b, draft);
	strbuf_char(b, '\n');
}

static void say_filter(struct strbuf *b, enum learn_direction direction, const struct drafts *drafts,
		       const struct learn_proposal *proposal)
{
	bool in = direction == LEARN_IN;

	strbuf_format(b, "\nfilter learned-%s {\n\thook %s\n\tdevice ", in ? "in" : "out", in ? "ingress" : "egress");
	for (size_t i = 0; i < proposal->n_devices; i++) {
		strbuf_str(b, i ? ", " : "");
		print_quoted(b, proposal->devices[i]);
	}
	strbuf_str(b, "\n\tdefault drop\n\n\t# What a host needs: answers and errors, its neighbours, its leases.\n"
		      "\tct state established,related accept\n"
		      "\tether type arp accept\n"
		      "\ticmpv6 type 133-136 ip6 hoplimit 255 accept\n"
		      "\ticmpv6 type { 130-132, 143 } accept\n"
		      "\tmeta l4proto igmp accept\n");
	strbuf_format(b, "\tudp dport %u udp sport %u accept\n\tudp dport %u udp sport %u accept\n", in ? 68 : 67,
		      in ? 67 : 68, in ? 546 : 547, in ? 547 : 546);
	for (size_t i = 0; i < drafts->n; i++)
		if (drafts->draft[i].talk->direction == direction)
			say_draft(b, &drafts->draft[i], proposal);
	strbuf_str(b, "}\n");
}

static void say_losses(struct strbuf *b, const uint64_t losses[LEARN_LOSS_MAX])
{
	static const char *const texts[LEARN_LOSS_MAX] = {
		[LEARN_LOST_IDENTITIES] = "times somebody talked for whom there was no room: their rules are missing",
		[LEARN_LOST_OUT] =
			"times somebody talked to another end for which there was no room: rules are missing",
		[LEARN_LOST_IN] = "times somebody outside came for whom there was no room: rules are missing",
		[LEARN_FOREIGN] = "calls and connections of other network namespaces are left out",
	};

	for (int i = 0; i < LEARN_LOSS_MAX; i++)
		if (losses[i] && texts[i])
			strbuf_format(b, "# %llu %s.\n", (unsigned long long)losses[i], texts[i]);
}

char *learn_rules(struct talks *talks, const struct learn_proposal *proposal)
{
	struct drafts drafts = { 0 };
	struct strbuf b = { 0 };
	char *text = NULL;

	if (!drafts_make(&drafts, talks, proposal->widen)) {
		strbuf_str(&b, "# Who talked to what, from ");
		say_time(&b, proposal->started);
		strbuf_str(&b, " to ");
		say_time(&b, proposal->ended);
		strbuf_str(&b, " (UTC), as rules. Read them before you apply them: what was not seen is dropped.\n");
		say_losses(&b, talks->losses);
		say_filter(&b, LEARN_IN, &drafts, proposal);
		say_filter(&b, LEARN_OUT, &drafts, proposal);
		text = strbuf_take(&b);
	}
	drafts_clear(&drafts);
	return text;
}
