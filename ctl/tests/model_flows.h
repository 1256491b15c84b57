/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table of the reference model: docs/decisions/0011-flows.md said a second time, in the plainest way. It has
 * room for any number of flows, and its time is that of its caller.
 */
#pragma once

#include "model_packet.h"

struct model_flows;

/* settings stay the caller's, and must outlive the table. Aborts when memory ends. */
struct model_flows *model_flows_new(const struct flows *settings);
void model_flows_free(struct model_flows *flows);

/* What the table says of a packet. */
struct model_said {
	enum policy_ct state;
	bool begins; /* a flow begins with it, if it is accepted */
	bool anew;   /* and that flow is there */
};

/* Of a packet that rules may judge, before they do. */
struct model_said model_flows_ask(struct model_flows *flows, const struct packet *packet);
/* And after it was accepted, if it begins a flow. */
void model_flows_begin(struct model_flows *flows, const struct packet *packet);
