// SPDX-License-Identifier: GPL-2.0
/* Canonical text of `test` blocks: what differs from the defaults is written. */
#include "print.h"

static void print_end(struct strbuf *b, const struct test_packet *packet, const struct value *address, int port)
{
	if (port < 0) {
		print_address(b, address, packet->family);
		return;
	}
	strbuf_str(b, packet->family == 6 ? "[" : "");
	print_address(b, address, packet->family);
	strbuf_format(b, "%s:%d", packet->family == 6 ? "]" : "", port);
}

static void print_ends(struct strbuf *b, const struct test_packet *packet, bool ports)
{
	strbuf_char(b, ' ');
	print_end(b, packet, &packet->saddr, ports ? packet->sport : -1);
	strbuf_str(b, " > ");
	print_end(b, packet, &packet->daddr, ports ? packet->dport : -1);
}

static void print_kind(struct strbuf *b, const struct test_packet *packet)
{
	switch (packet->kind) {
	case PACKET_TCP:
		strbuf_str(b, "tcp");
		print_ends(b, packet, true);
		strbuf_str(b, " flags ");
		print_tcp_flags(b, packet->tcp_flags, ",");
		break;
	case PACKET_UDP:
		strbuf_str(b, "udp");
		print_ends(b, packet, true);
		break;
	case PACKET_SCTP:
		strbuf_str(b, "sctp");
		print_ends(b, packet, true);
		break;
	case PACKET_ICMP:
	case PACKET_ICMPV6:
		strbuf_str(b, packet->kind == PACKET_ICMP ? "icmp" : "icmpv6");
		print_ends(b, packet, false);
		strbuf_str(b, " type ");
		print_number(b, packet->kind == PACKET_ICMP ? TYPE_ICMP : TYPE_ICMPV6, packet->icmp_type, true);
		if (packet->icmp_code)
			strbuf_format(b, " code %u", packet->icmp_code);
		break;
	case PACKET_PROTO:
		strbuf_str(b, "proto ");
		print_number(b, TYPE_PROTO, packet->proto, true);
		print_ends(b, packet, false);
		break;
	case PACKET_ARP:
		strbuf_str(b, "arp");
		break;
	case PACKET_ETHER:
		strbuf_str(b, "ether type ");
		print_number(b, TYPE_ETYPE, packet->ether_type, true);
		break;
	case PACKET_HEX:
		strbuf_str(b, "hex \"");
		for (size_t i = 0; i < packet->n_hex; i++) {
			strbuf_str(b, i ? " " : "");
			strbuf_hex(b, packet->hex[i], 2);
		}
		strbuf_char(b, '"');
	}
}

static void print_options(struct strbuf *b, const struct policy *policy, const struct test_packet *packet)
{
	if (packet->ttl != 64)
		strbuf_format(b, " ttl %u", packet->ttl);
	if (packet->dscp) {
		strbuf_str(b, " dscp ");
		print_number(b, TYPE_DSCP, packet->dscp, true);
	}
	if (packet->length)
		strbuf_format(b, " length %u", packet->length);
	if (packet->vlan >= 0)
		strbuf_format(b, " vlan %d", packet->vlan);
	if (packet->vlan_inner >= 0)
		strbuf_format(b, " inner %d", packet->vlan_inner);
	if (packet->smac.w[0] || packet->smac.w[1]) {
		strbuf_str(b, " smac ");
		print_mac(b, &packet->smac);
	}
	if (packet->dmac.w[0] || packet->dmac.w[1]) {
		strbuf_str(b, " dmac ");
		print_mac(b, &packet->dmac);
	}
	if (packet->frag_off)
		strbuf_format(b, " frag-off 0x%x", packet->frag_off);
	if (packet->mark)
		strbuf_format(b, " mark 0x%x", packet->mark);
	if (packet->skuid >= 0)
		strbuf_format(b, " skuid %lld", (long long)packet->skuid);
	if (packet->iif >= 0) {
		strbuf_str(b, " iif ");
		print_quoted(b, policy->devices[packet->iif]);
	}
	if (packet->ct >= 0)
		strbuf_format(b, " ct %s", policy_ct_word((enum policy_ct)packet->ct));
}

void print_test(struct strbuf *b, const struct policy *policy, const struct test *test)
{
	strbuf_str(b, "test ");
	print_quoted(b, test->name);
	strbuf_format(b, " {\n\tfilter %s\n", policy->filters[test->filter].name);
	if (test->device >= 0) {
		strbuf_str(b, "\tdevice ");
		print_quoted(b, policy->devices[test->device]);
		strbuf_char(b, '\n');
	}
	strbuf_str(b, "\tpacket ");
	print_kind(b, &test->packet);
	print_options(b, policy, &test->packet);
	strbuf_format(b, "\n\texpect %s", policy_verdict_word(test->verdict));
	if (test->by_line)
		strbuf_format(b, " by %s:%u", test->by_file ? test->by_file : policy->filters[test->filter].name,
			      test->by_line);
	else if (test->by_reason)
		strbuf_format(b, " by %s", test->by_reason);
	strbuf_str(b, "\n}\n\n");
}
