// SPDX-License-Identifier: GPL-2.0
/*
 * oracle RULES FLOWS: for each flow the number of the first rule that matches, found by trying one after the other;
 * one a line, -1 where there is none. It shares nothing with weir but the meaning of a rule: a port is a port of TCP,
 * UDP or SCTP, a flag is one of TCP, and a rule that asks for what a packet has not does not match it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define PROTO_ANY 256

/* As correct.py writes it. Host order. */
struct oracle_rule {
	__u32 saddr, smask, daddr, dmask;
	__u16 sport_low, sport_high, dport_low, dport_high;
	__u16 proto;
	__u8 flags, flag_mask;
};

static void *read_all(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "rb");
	void *at = NULL;
	long size;

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) || !(at = malloc(size + 1)) ||
	    fread(at, 1, size, f) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	*ret_size = size;
	return at;
}

static bool ports_match(const struct oracle_rule *rule, const struct flow4 *flow)
{
	unsigned int sport = ntohl(flow->ports_be) >> 16, dport = ntohl(flow->ports_be) & 0xffff;

	if (rule->sport_low == 0 && rule->sport_high == 65535 && rule->dport_low == 0 && rule->dport_high == 65535)
		return true;
	if (flow->proto != IPPROTO_TCP && flow->proto != IPPROTO_UDP && flow->proto != IPPROTO_SCTP)
		return false;
	return sport >= rule->sport_low && sport <= rule->sport_high && dport >= rule->dport_low &&
	       dport <= rule->dport_high;
}

static bool matches(const struct oracle_rule *rule, const struct flow4 *flow, __u32 saddr, __u32 daddr)
{
	if ((saddr & rule->smask) != rule->saddr || (daddr & rule->dmask) != rule->daddr)
		return false;
	if (rule->proto != PROTO_ANY && rule->proto != flow->proto)
		return false;
	if (rule->flag_mask && (flow->proto != IPPROTO_TCP || (flow->flags & rule->flag_mask) != rule->flags))
		return false;
	return ports_match(rule, flow);
}

int main(int argc, char **argv)
{
	const struct oracle_rule *rules;
	const struct flow_file *file;
	const struct flow4 *flows;
	size_t rules_size, size, n;

	if (argc != 3)
		return 2;
	rules = read_all(argv[1], &rules_size);
	file = read_all(argv[2], &size);
	n = rules_size / sizeof(*rules);
	if (file->magic != FLOW_MAGIC || file->words != FLOW4_WORDS || size != sizeof(*file) + file->count * 16ul) {
		fprintf(stderr, "oracle: that is not a file of IPv4 flows\n");
		return 1;
	}
	flows = (const void *)(file + 1);
	for (size_t i = 0; i < file->count; i++) {
		__u32 saddr = ntohl(flows[i].saddr_be), daddr = ntohl(flows[i].daddr_be);
		size_t r = 0;

		while (r < n && !matches(&rules[r], &flows[i], saddr, daddr))
			r++;
		printf("%ld\n", r < n ? (long)r : -1l);
	}
	return 0;
}
