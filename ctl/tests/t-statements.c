// SPDX-License-Identifier: GPL-2.0
/* What statements mean: rules in the words of policy.h, with the conditions and the values that nobody wrote. */
#include <stdlib.h>
#include <string.h>

#include "../lang/policy.h"
#include "check.h"
#include "policy_text.h"

/* A filter of one rule; NULL if it is not good. */
static struct policy *parse_on(const char *hook, const char *rule)
{
	struct policy *policy;
	struct diag diag;
	char text[512];
	int r;

	snprintf(text, sizeof(text), "filter f { hook %s; device eth0; default drop\n%s\n}\n", hook, rule);
	r = policy_of_text(&policy, text, strlen(text), &diag);
	check(r == 0 && diag.n == 0, "%s: %s", rule, diag.n ? diag.problems[0].message : "no policy");
	diag_clear(&diag);
	return r < 0 ? NULL : policy;
}

static struct policy *parse_one(const char *rule)
{
	return parse_on("egress", rule);
}

/* What nobody wrote: i a condition that is implied, c one that is not, n a counter, l a limit. */
static void test_implied(void)
{
	static const struct {
		const char *rule, *items;
	} rows[] = {
		{ "reject", "" },
		{ "reject with icmpx no-route", "" },
		{ "reject with tcp reset", "i" },
		{ "counter reject with tcp reset", "in" },
		{ "tcp dport 113 counter reject with tcp reset", "cn" },
		{ "counter tcp dport 113 reject with tcp reset", "inc" },
		{ "th dport 113 reject with tcp reset", "ic" },
		{ "meta l4proto tcp reject with tcp reset", "ic" },
		{ "reject with icmp port-unreachable", "i" },
		{ "icmp type echo-request reject with icmp port-unreachable", "c" },
		{ "saddr 192.0.2.1 reject with icmp port-unreachable", "ic" },
		{ "ip6 saddr != ::1 reject with icmpv6 no-route", "c" },
		{ "tcp dport 1 reject with icmpv6 no-route", "ic" },
		{ "limit rate 1/second accept", "l" },
		{ "limit rate 1/second per iif . mark . ether type accept", "l" },
		{ "limit rate 1/second per saddr . daddr accept", "il" },
		{ "limit rate 1/second per saddr . dport accept", "iil" },
		{ "limit rate 1/second per dport . saddr accept", "il" },
		{ "limit rate 1/second per ip saddr . daddr accept", "il" },
		{ "limit rate 1/second per ether saddr . vlan id accept", "iil" },
		{ "limit rate 1/second per skuid accept", "il" },
		{ "tcp dport 25 limit rate 1/second per saddr . dport accept", "cl" },
		{ "tcp dport . iif { 25 . eth0 } limit rate 1/second per tcp sport accept", "cl" },
		{ "saddr 192.0.2.1 limit rate 1/second per ip saddr accept", "cil" },
		{ "counter limit rate 1/second per saddr limit rate 9/hour per daddr accept", "nill" },
		{ "limit rate 1/second per saddr reject with tcp reset", "iil" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy *policy = parse_one(rows[i].rule);
		char items[16] = "";

		for (size_t at = 0; policy && at < policy->filters[0].rules[0].n_items; at++) {
			const struct item *item = &policy->filters[0].rules[0].items[at];
			bool implied = item->kind == ITEM_CONDITION && item->condition.implied;

			items[at] = implied                        ? 'i'
				    : item->kind == ITEM_CONDITION ? 'c'
				    : item->kind == ITEM_LIMIT     ? 'l'
								   : 'n';
		}
		check(!strcmp(items, rows[i].items), "%s: '%s' instead of '%s'", rows[i].rule, items, rows[i].items);
		policy_free(policy);
	}
}

static void test_limits(void)
{
	static const struct {
		const char *rule;
		uint64_t rate;
		uint32_t unit;
		uint64_t burst;
		unsigned int prefix4, prefix6;
	} rows[] = {
		{ "limit rate 10/second accept", 10, 1, 5, 0, 0 },
		{ "limit rate 4294967295/minute burst 7 accept", 4294967295, 60, 7, 0, 0 },
		{ "limit rate 1/week burst 29 packets accept", 1, 604800, 29, 0, 0 },
		{ "limit rate 2 kbytes/hour accept", 2048, 3600, 2048, 0, 0 },
		{ "limit rate 1500 bytes/second burst 0 bytes accept", 1500, 1, 1500, 0, 0 },
		{ "limit rate 1500 bytes/second burst 500 accept", 1500, 1, 2000, 0, 0 },
		{ "limit rate 3 mbytes/day burst 1 mbytes accept", 3 << 20, 86400, 4 << 20, 0, 0 },
		{ "limit rate 244140 mbytes/second accept", UINT64_C(244140) << 20, 1, UINT64_C(244140) << 20, 0, 0 },
		{ "limit rate 1/hour per saddr accept", 1, 3600, 5, 32, 64 },
		{ "limit rate 1/hour per daddr/24 accept", 1, 3600, 5, 24, 64 },
		{ "limit rate 1/hour per saddr/1/128 accept", 1, 3600, 5, 1, 128 },
		{ "limit rate 1/hour per ip saddr accept", 1, 3600, 5, 32, 0 },
		{ "limit rate 1/hour per ip daddr / 8 accept", 1, 3600, 5, 8, 0 },
		{ "limit rate 1/hour per ip6 daddr accept", 1, 3600, 5, 0, 64 },
		{ "limit rate 1/hour per ip6 saddr/48 accept", 1, 3600, 5, 0, 48 },
		{ "limit rate 1/hour per ether saddr . saddr accept", 1, 3600, 5, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy *policy = parse_one(rows[i].rule);
		const struct rule *rule = policy ? &policy->filters[0].rules[0] : NULL;
		const struct limit_rate *limit = rule ? &rule->items[rule->n_items - 1].limit : NULL;

		check(limit && limit->rate == rows[i].rate && limit->unit == rows[i].unit &&
			      limit->burst == rows[i].burst,
		      "%s: other numbers", rows[i].rule);
		check(limit && limit->prefix4[0] == rows[i].prefix4 && limit->prefix6[0] == rows[i].prefix6,
		      "%s: other prefix lengths", rows[i].rule);
		policy_free(policy);
	}
}

static void test_rejects(void)
{
	static const struct {
		const char *rule;
		struct reject reject;
	} rows[] = {
		{ "reject", { REJECT_WITH_ICMP, 0, 3, 4 } },
		{ "reject with icmpx host-unreachable", { REJECT_WITH_ICMP, 0, 1, 3 } },
		{ "reject with icmpx type admin-prohibited", { REJECT_WITH_ICMP, 0, 13, 1 } },
		{ "reject with icmp prot-unreachable", { REJECT_WITH_ICMP, 4, 2, 0 } },
		{ "reject with icmp type host-prohibited", { REJECT_WITH_ICMP, 4, 10, 0 } },
		{ "reject with icmpv6 policy-fail", { REJECT_WITH_ICMP, 6, 0, 5 } },
		{ "reject with tcp reset", { REJECT_WITH_TCP_RESET, 0, 0, 0 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy *policy = parse_one(rows[i].rule);
		const struct reject *is = policy ? &policy->filters[0].rules[0].reject : NULL;

		check(is && is->kind == rows[i].reject.kind && is->family == rows[i].reject.family &&
			      is->code4 == rows[i].reject.code4 && is->code6 == rows[i].reject.code6,
		      "%s: another answer", rows[i].rule);
		policy_free(policy);
	}
}

static void test_synproxies(void)
{
	static const struct {
		const char *rule;
		struct synproxy synproxy;
	} rows[] = {
		{ "tcp dport 80 synproxy", { .scale = -1 } },
		{ "synproxy mss 1460", { .mss = 1460, .scale = -1 } },
		{ "synproxy wscale 0 timestamp", { .scale = 0, .timestamp = true } },
		{ "synproxy sack-perm timestamp wscale 14 mss 65535", { {}, 65535, 14, true, true } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy *policy = parse_on("ingress", rows[i].rule);
		const struct rule *rule = policy ? &policy->filters[0].rules[0] : NULL;
		const struct synproxy *is = rule ? &rule->synproxy : NULL, *wanted = &rows[i].synproxy;

		check(is && rule->verdict == POLICY_SYNPROXY && is->mss == wanted->mss && is->scale == wanted->scale &&
			      is->timestamp == wanted->timestamp && is->sack == wanted->sack,
		      "%s: other options", rows[i].rule);
		check(policy && policy->filters[0].tracks, "%s: the filter does not track", rows[i].rule);
		check(rule && rule->n_items == 1, "%s: it is of TCP only, and says so once", rows[i].rule);
		policy_free(policy);
	}
}

static void test_flows(void)
{
	static const char rules[] = "flows { size 1024; full accept; timeout other { replied 30d, unreplied 1s } }\n";
	struct policy *policy = parse_one("accept");
	struct diag diag;

	check(policy && !policy->flows.loc.file && policy->flows.size == 65536 && policy->flows.full == POLICY_DROP,
	      "flows: what holds without a block");
	check(policy && policy->flows.time_ms[FLOW_TIME_TCP_ESTABLISHED] == 432000000, "flows: times without a block");
	policy_free(policy);
	check(policy_of_text(&policy, rules, strlen(rules), &diag) == 0 && policy->flows.size == 1024 &&
		      policy->flows.full == POLICY_ACCEPT,
	      "flows: what the block says");
	check(policy && policy->flows.time_ms[FLOW_TIME_OTHER_REPLIED] == UINT64_C(30) * 86400000 &&
		      policy->flows.time_ms[FLOW_TIME_OTHER_UNREPLIED] == 1000 &&
		      policy->flows.time_ms[FLOW_TIME_UDP_REPLIED] == 120000,
	      "flows: times of the block, and the others");
	policy_free(policy);
	diag_clear(&diag);
}

int main(void)
{
	test_implied();
	test_limits();
	test_rejects();
	test_synproxies();
	test_flows();
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
