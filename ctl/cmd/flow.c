// SPDX-License-Identifier: GPL-2.0
/* flow: the flows behind ct state, listed and ended. */
#include "flow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../out/out.h"
#include "cmd.h"
#include "rules.h"

struct listing {
	struct run *run;
	struct flow_filter filter;
	struct weir_root *root;
	const struct running *running;
	char *proto[256]; /* names, each made when it is first needed */
	uint64_t ended;
};

static void listing_close(struct listing *listing)
{
	for (size_t i = 0; i < 256; i++)
		free(listing->proto[i]);
	flow_filter_clear(&listing->filter);
	if (listing->root)
		root_close(listing->root);
}

/* The words first: what is wrong with them does not depend on what runs. */
static int listing_open(struct listing *listing, char **words, size_t n)
{
	struct run *run = listing->run;
	int code = flow_filter_read(run, words, n, &listing->filter);

	if (code == EXIT_DONE)
		code = running_open(run, &listing->root, &listing->running);
	if (code != EXIT_DONE || policy_features(listing->running->policy) & FEATURE_FLOWS)
		return code;
	diag_error(&run->diag, NOWHERE, "there are no flows: the running rules do not track any");
	diag_hint(&run->diag, "a filter tracks the flows of its devices if one of its rules asks for 'ct state'");
	return EXIT_FAILED;
}

/* ---- list ---- */

static const char *proto_text(struct listing *listing, uint8_t proto)
{
	if (!listing->proto[proto])
		listing->proto[proto] = value_text(TYPE_PROTO, 0, (struct value){ { proto } });
	return listing->proto[proto] ? listing->proto[proto] : "?";
}

static void say_end(struct out *out, const struct flow *flow, unsigned int end, const char *address)
{
	bool six = flow_family(flow) == 6;

	out_string(out, end ? "dst" : "src", address);
	if (flow_has_ports(flow))
		out_text(out, " %s%s%s:%u", six ? "[" : "", address, six ? "]" : "", flow_port(flow, end));
	else
		out_text(out, " %s", address);
}

/* What is known beside addresses: ports, or what an ICMP query is. */
static void say_ports(struct out *out, const struct flow *flow)
{
	bool icmp = flow->proto == IPPROTO_ICMP || flow->proto == IPPROTO_ICMPV6;
	char *type;

	if (flow_has_ports(flow)) {
		out_integer(out, "sport", flow_port(flow, 0));
		out_integer(out, "dport", flow_port(flow, 1));
		return;
	}
	out_null(out, "sport");
	out_null(out, "dport");
	if (!icmp)
		return;
	type = value_text(flow->proto == IPPROTO_ICMP ? TYPE_ICMP : TYPE_ICMPV6, 0,
			  (struct value){ { flow_port(flow, 1) } });
	out_string(out, "type", type);
	out_integer(out, "id", flow_port(flow, 0));
	out_text(out, " %s id %u", type ? type : "?", flow_port(flow, 0));
	free(type);
}

static void say_flag(struct out *out, const struct flow *flow, uint8_t flag, const char *name, bool in_text)
{
	out_bool(out, name, flow->flags & flag);
	if (flow->flags & flag && in_text)
		out_text(out, " %s", name);
}

static int say_flow(void *context, const struct flow *flow, uint64_t left_ns, bool *end)
{
	struct listing *listing = context;
	struct out *out = listing->run->out;
	const char *state = flow_time_info[flow_time_of(flow)].state, *proto = proto_text(listing, flow->proto);
	unsigned int family = flow_family(flow);
	char *address[2], expires[DURATION_MOST];

	(void)end;
	if (!flow_filter_holds(&listing->filter, flow))
		return 0;
	for (unsigned int i = 0; i < 2; i++)
		address[i] = value_text(TYPE_ADDR, family, flow_address(flow, i));
	if (!address[0] || !address[1]) {
		free(address[0]);
		free(address[1]);
		return diag_oom(&listing->run->diag);
	}
	out_object(out, NULL);
	out_string(out, "proto", proto);
	out_string(out, "family", family == 6 ? "ipv6" : "ipv4");
	out_text(out, "%s", proto);
	say_end(out, flow, 0, address[0]);
	out_text(out, " ->");
	say_end(out, flow, 1, address[1]);
	say_ports(out, flow);
	out_string(out, "state", state);
	out_text(out, " %s", state);
	/* Of all but TCP, the state says it already. */
	say_flag(out, flow, FLOW_REPLIED, "replied", flow->proto == IPPROTO_TCP);
	say_flag(out, flow, FLOW_ASSURED, "assured", true);
	say_flag(out, flow, FLOW_LIBERAL, "liberal", true);
	duration_print((left_ns / 1000000000 + 1) * 1000, expires);
	out_text(out, " expires %s\n", expires);
	out_integer(out, "expires_ms", left_ns / 1000000);
	out_end(out);
	free(address[0]);
	free(address[1]);
	return out_failed(out);
}

int flow_list(struct run *run, char **words, size_t n)
{
	struct listing listing = { .run = run };
	int rc, code = listing_open(&listing, words, n);

	if (code != EXIT_DONE)
		goto out;
	/* Who reads may be slow, and a table is read without the lock as well: nobody need wait for us. */
	rc = root_unlock(listing.root);
	if (rc) {
		diag_errno(&run->diag, -rc, "cannot let go of the lock");
		code = EXIT_FAILED;
		goto out;
	}
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	out_array_long(run->out, "flows");
	if (root_flows(listing.root, say_flow, &listing, &run->diag) < 0)
		code = EXIT_FAILED;
	out_end(run->out);
out:
	listing_close(&listing);
	return code;
}

int cmd_flow_list(struct run *run)
{
	return flow_list(run, run->operands, run->n_operands);
}

/* ---- del ---- */

static int end_flow(void *context, const struct flow *flow, uint64_t left_ns, bool *end)
{
	struct listing *listing = context;

	(void)left_ns;
	*end = flow_filter_holds(&listing->filter, flow);
	listing->ended += *end;
	return 0;
}

int cmd_flow_del(struct run *run)
{
	struct listing listing = { .run = run };
	bool all = run->n_operands == 1 && !strcmp(run->operands[0], "all");
	int code = listing_open(&listing, run->operands, all ? 0 : run->n_operands);

	if (code == EXIT_DONE && root_flows(listing.root, end_flow, &listing, &run->diag) < 0)
		code = EXIT_FAILED;
	if (code == EXIT_DONE) {
		out_text(run->out, "%llu flow%s ended\n", (unsigned long long)listing.ended,
			 listing.ended == 1 ? "" : "s");
		out_integer(run->out, "ended", listing.ended);
	}
	listing_close(&listing);
	return code;
}
