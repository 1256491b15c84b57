// SPDX-License-Identifier: GPL-2.0
/* Policies for conversations: states, limits and rejects, and few other conditions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen_sequence.h"

#define say(out, ...) fprintf(out, __VA_ARGS__)

static void put_ct(FILE *out, struct random *r)
{
	static const char *const conditions[] = {
		"ct state established",
		"ct state established,related",
		"ct state new",
		"ct state invalid",
		"ct state related",
		"ct state untracked",
		"ct state != new",
		"ct state != established,related",
		"ct state { new, untracked }",
		"ct state != { invalid, new }",
		"ct state . meta l4proto { new . 6, established . 17, invalid . 1 }",
		"tcp dport . ct state { 22 . new, 80 . established, 443 . invalid }",
		"ct state != new tcp flags & (fin | syn | rst | ack) == syn",
	};

	say(out, "%s", random_pick(r, conditions));
}

static void put_ordinary(FILE *out, struct random *r)
{
	static const char *const conditions[] = {
		"tcp dport { 22, 80 }",
		"tcp sport 1024-65535",
		"udp dport 53",
		"th dport 443",
		"meta l4proto { 6, 17, 47 }",
		"meta l4proto != 6",
		"tcp flags & (syn | ack) == syn",
		"tcp flags & rst != 0",
		"icmp type echo-request",
		"icmpv6 type { 1, 3, 128, 129, 135 }",
		"ip saddr 198.51.100.0/24",
		"saddr { 198.51.100.7, 192.0.2.1, 2001:db8:7::/48 }",
		"ip6 daddr 2001:db8::1",
		"iif dev1",
		"fragment exists",
		"meta length > 200",
		"saddr @b0",
		"saddr @b1",
		"saddr != @b0",
		"daddr @b1",
		"ip6 saddr @b0",
	};

	say(out, "%s", random_pick(r, conditions));
}

static void put_limit(FILE *out, struct random *r)
{
	static const char *const keys[] = { "",
					    "",
					    " per saddr",
					    " per saddr/24/48",
					    " per ip daddr",
					    " per ip6 saddr/56",
					    " per th dport",
					    " per saddr . proto",
					    " per tcp dport . daddr/1/128",
					    " per iif",
					    " per ether saddr" };
	static const char *const units[] = { "second", "second", "minute", "hour" };
	const char *over = random_chance(r, 50) ? "over " : "", *unit = random_pick(r, units);
	const char *key = random_pick(r, keys);

	if (random_chance(r, 65))
		say(out, "limit rate %s%u/%s burst %u packets%s", over, random_between(r, 1, 60), unit,
		    random_between(r, 1, 20), key);
	else
		say(out, "limit rate %s%u bytes/%s burst %u bytes%s", over, random_between(r, 250, 5000), unit,
		    random_below(r, 2000), key);
}

/* Short ones end while the conversation goes on. */
static void put_ban(FILE *out, struct random *r)
{
	static const char *const whats[] = { "", "", "saddr/24 ", "saddr/32/128 ", "saddr/1/48 " };
	const char *what = random_pick(r, whats);

	say(out, "ban %ums %s@b%u ", random_between(r, 1, random_chance(r, 50) ? 3000 : 60000), what,
	    random_below(r, 2));
}

static void put_verdict(FILE *out, struct random *r)
{
	static const char *const verdicts[] = { "accept",
						"accept",
						"accept",
						"accept",
						"drop",
						"drop",
						"drop",
						"reject",
						"reject with tcp reset",
						"reject with icmpx admin-prohibited",
						"redirect to dev1" };

	say(out, " %s", random_pick(r, verdicts));
}

static void put_rule(FILE *out, struct random *r, bool asks)
{
	bool limited = random_chance(r, 25), counted = random_chance(r, 15);

	say(out, "\t");
	if (random_chance(r, 20)) {
		put_ordinary(out, r);
		say(out, " ");
	}
	if (asks && random_chance(r, 70)) {
		put_ct(out, r);
		say(out, " ");
	}
	if (limited) {
		put_limit(out, r);
		say(out, " ");
	}
	if (random_chance(r, limited ? 30 : 5)) {
		put_ban(out, r);
		if (random_chance(r, 20)) {
			put_ordinary(out, r);
			say(out, " ");
		}
	}
	if (counted)
		say(out, random_chance(r, 50) ? "counter " : "counter c ");
	else if (limited && random_chance(r, 30))
		put_limit(out, r);
	if ((!counted && !limited) || random_chance(r, 80))
		put_verdict(out, r);
	else if (!counted)
		say(out, " counter");
	say(out, "\n");
}

/* A rule for each state, so that every difference between states is one between rules. */
static void put_rule_for_each(FILE *out, struct random *r)
{
	for (unsigned int i = 0; i < POLICY_CT_MAX; i++)
		say(out, "\tct state %s %s%s\n", policy_ct_word(i), random_chance(r, 20) ? "counter " : "",
		    i == POLICY_CT_INVALID || random_chance(r, 10) ? "drop" : "accept");
}

static void put_filter(FILE *out, struct random *r, const char *name, const char *hook, const char *devices, bool asks)
{
	static const char *const ways[] = { "accept", "drop" };

	say(out, "filter %s {\n\thook %s\n\tdevice %s\n", name, hook, devices);
	say(out, "\tdefault %s\n\tfragments %s\n\tmalformed %s\n", random_chance(r, 70) ? "accept" : "drop",
	    random_chance(r, 80) ? "accept" : "drop", random_pick(r, ways));
	for (unsigned int n = random_below(r, 4); n > 0; n--)
		put_rule(out, r, asks);
	if (asks && random_chance(r, 70))
		put_rule_for_each(out, r);
	else
		for (unsigned int n = random_between(r, 1, 8); n > 0; n--)
			put_rule(out, r, asks);
	if (asks) /* else the filter might not ask after all */
		say(out, "\tct state invalid drop\n");
	say(out, "}\n");
}

/* Some policies have short times, so that one flow may end while others go on. */
static void put_flows(FILE *out, struct random *r)
{
	say(out, "flows {\n\tsize 65536\n");
	say(out, "\ttimeout tcp { syn_sent %us, syn_recv %us, established %us, fin_wait %us }\n",
	    random_between(r, 1, 5), random_between(r, 1, 5), random_between(r, 1, 60), random_between(r, 1, 5));
	say(out, "\ttimeout tcp { close_wait %us, last_ack %us, time_wait %us, close %us }\n", random_between(r, 1, 5),
	    random_between(r, 1, 5), random_between(r, 1, 5), random_between(r, 1, 5));
	say(out, "\ttimeout udp { unreplied 1s, replied %us }\n", random_between(r, 1, 5));
	say(out, "\ttimeout icmp { unreplied 2s, replied %us }\n}\n", random_between(r, 1, 3));
}

char *gen_sequence_policy(struct random *random)
{
	static const struct {
		const char *in, *out; /* hooks of dev0; NULL: no filter */
	} shapes[] = {
		{ "ingress", "egress" }, { "ingress tc", "egress" }, { "ingress", NULL },        { "ingress tc", NULL },
		{ NULL, "egress" },      { "ingress", "egress" },    { "ingress tc", "egress" },
	};
	unsigned int shape = random_below(random, sizeof(shapes) / sizeof(*shapes));
	const char *in = shapes[shape].in, *out = shapes[shape].out;
	bool one_asks = in && out && random_chance(random, 40), in_asks = !one_asks || random_chance(random, 50);
	bool both = random_chance(random, 60);
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	say(f, "set b0 { type addr; size 4096; timeout 1h }\nset b1 { type addr; size 4096; flags timeout }\n");
	if (random_chance(random, 60))
		put_flows(f, random);
	if (in)
		put_filter(f, random, "in", in, both ? "dev0, dev1" : "dev0", !out || in_asks);
	if (out)
		put_filter(f, random, "out", out, both && random_chance(random, 80) ? "dev0, dev1" : "dev0",
			   !in || !one_asks || !in_asks);
	if (!both && random_chance(random, 50))
		put_filter(f, random, "more", random_chance(random, 50) ? "ingress tc" : "egress", "dev1",
			   random_chance(random, 50));
	else if (!both)
		say(f, "filter more {\n\thook egress\n\tdevice dev1\n\tdefault accept\n\tct state invalid drop\n}\n");
	if (in && random_chance(random, 10)) /* the second hook of one direction */
		put_filter(f, random, "second", strcmp(in, "ingress") ? "ingress" : "ingress tc", "dev0",
			   random_chance(random, 50));
	fclose(f);
	return text;
}
