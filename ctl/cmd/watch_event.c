// SPDX-License-Identifier: GPL-2.0
/* What a `log` statement of a filter reports: the packet that met it. Parts that the packet has not have no keys. */
#include "watch.h"

#include <netinet/in.h>
#include <stdio.h>

#include "rules.h"

void watch_record_start(struct record *ret, const struct watch_scene *scene, uint64_t time_ns, const char *event)
{
	record_clear(ret);
	ret->look = LOOK_BARE;
	record_time(ret, "time", (int64_t)time_ns + scene->offset_ns);
	record_text(ret, "event", event);
}

static struct value words(const uint32_t *key, enum key_word first, unsigned int n)
{
	struct value value = { 0 };

	for (unsigned int i = 0; i < n; i++)
		value.w[i] = key[first + i];
	return value;
}

static bool has_ports(const uint32_t *key)
{
	return key[KEY_L4] == IPPROTO_TCP || key[KEY_L4] == IPPROTO_UDP || key[KEY_L4] == IPPROTO_SCTP;
}

static void say_transport(struct record *ret, const uint32_t *key)
{
	if (has_ports(key)) {
		record_number(ret, "sport", key[KEY_SPORT]);
		record_number(ret, "dport", key[KEY_DPORT]);
	} else if (key[KEY_L4] == IPPROTO_ICMP || key[KEY_L4] == IPPROTO_ICMPV6) {
		record_value(ret, "type", key[KEY_L4] == IPPROTO_ICMP ? TYPE_ICMP : TYPE_ICMPV6, 0,
			     (struct value){ { key[KEY_ICMP] >> 8 } });
		record_number(ret, "code", key[KEY_ICMP] & 0xff);
	}
	if (key[KEY_L4] == IPPROTO_TCP)
		record_value(ret, "flags", TYPE_TCPFLAGS, 0, words(key, KEY_TCPFLAGS, 1));
}

/* The same in the words of all events: who reads them need not know which these are. */
static void say_common(struct record *ret, const uint32_t *key, uint8_t family)
{
	ret->look = LOOK_NOT;
	record_number(ret, "version", family);
	record_value(ret, "src_addr", TYPE_ADDR, family, words(key, KEY_SADDR0, 4));
	record_value(ret, "dst_addr", TYPE_ADDR, family, words(key, KEY_DADDR0, 4));
	if (!has_ports(key))
		return;
	record_number(ret, "src_port", key[KEY_SPORT]);
	record_number(ret, "dst_port", key[KEY_DPORT]);
}

static void say_headers(struct record *ret, const uint32_t *key)
{
	uint8_t family = (uint8_t)key[KEY_FAMILY];

	if (key[KEY_PRESENT] & PRESENT_LINK) {
		record_value(ret, "smac", TYPE_MAC, 0, words(key, KEY_SMAC0, 2));
		record_value(ret, "dmac", TYPE_MAC, 0, words(key, KEY_DMAC0, 2));
	}
	if (key[KEY_PRESENT] & PRESENT_VLAN0)
		record_number(ret, "vlan", key[KEY_VLAN0] & 0xfff);
	if (key[KEY_PRESENT] & PRESENT_VLAN1)
		record_number(ret, "vlan_inner", key[KEY_VLAN1] & 0xfff);
	if (!family) {
		record_value(ret, "ether_type", TYPE_ETYPE, 0, words(key, KEY_ETYPE, 1));
		return;
	}
	record_value(ret, "saddr", TYPE_ADDR, family, words(key, KEY_SADDR0, 4));
	record_value(ret, "daddr", TYPE_ADDR, family, words(key, KEY_DADDR0, 4));
	if (key[KEY_PROTO] < 256)
		record_value(ret, "proto", TYPE_PROTO, 0, words(key, KEY_PROTO, 1));
	if (key[KEY_PRESENT] & PRESENT_FRAGMENT)
		record_truth(ret, "fragment", true);
	say_transport(ret, key);
	say_common(ret, key, family);
}

static void say_rule(struct record *ret, const struct policy *policy, const struct event *event)
{
	const struct filter *filter =
		policy && event->filter < policy->n_filters ? &policy->filters[event->filter] : NULL;
	const char *prefix =
		policy && event->prefix < policy->n_log_prefixes ? policy->log_prefixes[event->prefix] : NULL;

	record_text(ret, "filter", filter ? filter->name : NULL);
	if (filter && event->rule < filter->n_rules) {
		struct location loc = filter->rules[event->rule].loc;

		record_format(ret, "rule", "%s:%u", policy_location_file(policy, loc), loc.line);
	} else {
		record_nothing(ret, "rule");
	}
	ret->look = LOOK_PAIR;
	record_text(ret, "prefix", prefix);
}

void event_record(struct record *ret, const struct watch_scene *scene, const struct event *event)
{
	char device[64];

	if (link_name(event->ifindex, device))
		snprintf(device, sizeof(device), "%u", event->ifindex);
	watch_record_start(ret, scene, event->time_ns, "filter.log");
	ret->look = LOOK_NOT;
	record_number(ret, "generation", event->generation);
	ret->look = LOOK_BARE;
	record_text(ret, "hook", hook_name((enum hook)event->hook));
	record_text(ret, "device", device);
	say_rule(ret, scene->running ? scene->running->policy : NULL, event);
	record_number(ret, "length", event->length);
	say_headers(ret, event->key);
}
