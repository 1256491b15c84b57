// SPDX-License-Identifier: GPL-2.0
#include "words.h"

#include <string.h>

static const struct named_number protos[] = {
	{ "icmp", 1 },      { "igmp", 2 },     { "ipip", 4 },    { "ipencap", 4 },    { "tcp", 6 },    { "egp", 8 },
	{ "igp", 9 },       { "udp", 17 },     { "dccp", 33 },   { "ipv6", 41 },      { "rsvp", 46 },  { "gre", 47 },
	{ "esp", 50 },      { "ah", 51 },      { "icmpv6", 58 }, { "ipv6-icmp", 58 }, { "eigrp", 88 }, { "ospf", 89 },
	{ "pim", 103 },     { "ipcomp", 108 }, { "comp", 108 },  { "vrrp", 112 },     { "l2tp", 115 }, { "sctp", 132 },
	{ "udplite", 136 }, { NULL, 0 },
};

static const struct named_number ports[] = {
	{ "ftp-data", 20 },
	{ "ftp", 21 },
	{ "ssh", 22 },
	{ "telnet", 23 },
	{ "smtp", 25 },
	{ "whois", 43 },
	{ "domain", 53 },
	{ "bootps", 67 },
	{ "bootpc", 68 },
	{ "tftp", 69 },
	{ "gopher", 70 },
	{ "finger", 79 },
	{ "http", 80 },
	{ "kerberos", 88 },
	{ "pop3", 110 },
	{ "sunrpc", 111 },
	{ "nntp", 119 },
	{ "ntp", 123 },
	{ "netbios-ns", 137 },
	{ "netbios-dgm", 138 },
	{ "netbios-ssn", 139 },
	{ "imap2", 143 },
	{ "imap", 143 },
	{ "snmp", 161 },
	{ "snmp-trap", 162 },
	{ "bgp", 179 },
	{ "ldap", 389 },
	{ "https", 443 },
	{ "microsoft-ds", 445 },
	{ "submissions", 465 },
	{ "isakmp", 500 },
	{ "syslog", 514 },
	{ "submission", 587 },
	{ "ldaps", 636 },
	{ "domain-s", 853 },
	{ "rsync", 873 },
	{ "imaps", 993 },
	{ "pop3s", 995 },
	{ "socks", 1080 },
	{ "openvpn", 1194 },
	{ "ms-sql-s", 1433 },
	{ "radius", 1812 },
	{ "radius-acct", 1813 },
	{ "nfs", 2049 },
	{ "mysql", 3306 },
	{ "rdp", 3389 },
	{ "ms-wbt-server", 3389 },
	{ "ipsec-nat-t", 4500 },
	{ "sip", 5060 },
	{ "sip-tls", 5061 },
	{ "xmpp-client", 5222 },
	{ "mdns", 5353 },
	{ "postgresql", 5432 },
	{ "vnc", 5900 },
	{ "x11", 6000 },
	{ "redis", 6379 },
	{ "http-alt", 8080 },
	{ "memcached", 11211 },
	{ "wireguard", 51820 },
	{ NULL, 0 },
};

static const struct named_number etypes[] = {
	{ "ip", 0x0800 },     { "ip4", 0x0800 },   { "ipv4", 0x0800 },  { "arp", 0x0806 },    { "rarp", 0x8035 },
	{ "vlan", 0x8100 },   { "8021q", 0x8100 }, { "ip6", 0x86dd },   { "ipv6", 0x86dd },   { "pppoe-disc", 0x8863 },
	{ "pppoe", 0x8864 },  { "mpls", 0x8847 },  { "eapol", 0x888e }, { "8021ad", 0x88a8 }, { "lldp", 0x88cc },
	{ "macsec", 0x88e5 }, { "ptp", 0x88f7 },   { NULL, 0 },
};

static const struct named_number icmp_types[] = {
	{ "echo-reply", 0 },           { "destination-unreachable", 3 },
	{ "source-quench", 4 },        { "redirect", 5 },
	{ "echo-request", 8 },         { "router-advertisement", 9 },
	{ "router-solicitation", 10 }, { "time-exceeded", 11 },
	{ "parameter-problem", 12 },   { "timestamp-request", 13 },
	{ "timestamp-reply", 14 },     { "info-request", 15 },
	{ "info-reply", 16 },          { "address-mask-request", 17 },
	{ "address-mask-reply", 18 },  { NULL, 0 },
};

static const struct named_number icmpv6_types[] = {
	{ "destination-unreachable", 1 }, { "packet-too-big", 2 },
	{ "time-exceeded", 3 },           { "parameter-problem", 4 },
	{ "echo-request", 128 },          { "echo-reply", 129 },
	{ "mld-listener-query", 130 },    { "mld-listener-report", 131 },
	{ "mld-listener-done", 132 },     { "mld-listener-reduction", 132 },
	{ "nd-router-solicit", 133 },     { "nd-router-advert", 134 },
	{ "nd-neighbor-solicit", 135 },   { "nd-neighbor-advert", 136 },
	{ "nd-redirect", 137 },           { "router-renumbering", 138 },
	{ "ind-neighbor-solicit", 141 },  { "ind-neighbor-advert", 142 },
	{ "mld2-listener-report", 143 },  { NULL, 0 },
};

static const struct named_number dscps[] = {
	{ "cs0", 0 },   { "be", 0 },    { "df", 0 },    { "cs1", 8 },   { "cs2", 16 },  { "cs3", 24 },  { "cs4", 32 },
	{ "cs5", 40 },  { "cs6", 48 },  { "cs7", 56 },  { "af11", 10 }, { "af12", 12 }, { "af13", 14 }, { "af21", 18 },
	{ "af22", 20 }, { "af23", 22 }, { "af31", 26 }, { "af32", 28 }, { "af33", 30 }, { "af41", 34 }, { "af42", 36 },
	{ "af43", 38 }, { "va", 44 },   { "ef", 46 },   { "lephb", 1 }, { NULL, 0 },
};

static const struct named_number tcp_flags[] = {
	{ "fin", 0x01 }, { "syn", 0x02 }, { "rst", 0x04 }, { "psh", 0x08 }, { "ack", 0x10 },
	{ "urg", 0x20 }, { "ecn", 0x40 }, { "cwr", 0x80 }, { NULL, 0 },
};

static const struct named_number bools[] = {
	{ "exists", 1 }, { "missing", 0 }, { "true", 1 }, { "false", 0 }, { NULL, 0 },
};

static const struct named_number nfprotos[] = {
	{ "ipv4", 4 }, { "ip", 4 }, { "ipv6", 6 }, { "ip6", 6 }, { NULL, 0 },
};

static const struct named_number ct_states[] = {
	{ "established", POLICY_CT_ESTABLISHED }, { "related", POLICY_CT_RELATED }, { "new", POLICY_CT_NEW },
	{ "untracked", POLICY_CT_UNTRACKED },     { "invalid", POLICY_CT_INVALID }, { NULL, 0 },
};

static const struct named_number *const tables[TYPE_MAX] = {
	[TYPE_PORT] = ports,          [TYPE_PROTO] = protos,      [TYPE_ETYPE] = etypes,       [TYPE_ICMP] = icmp_types,
	[TYPE_ICMPV6] = icmpv6_types, [TYPE_DSCP] = dscps,        [TYPE_TCPFLAGS] = tcp_flags, [TYPE_BOOL] = bools,
	[TYPE_NFPROTO] = nfprotos,    [TYPE_CTSTATE] = ct_states,
};

static const char *const type_names[TYPE_MAX] = {
	[TYPE_INT] = "int",     [TYPE_ADDR] = "addr",         [TYPE_MAC] = "mac",         [TYPE_PORT] = "port",
	[TYPE_PROTO] = "proto", [TYPE_ETYPE] = "etype",       [TYPE_ICMP] = "icmp",       [TYPE_ICMPV6] = "icmpv6",
	[TYPE_DSCP] = "dscp",   [TYPE_TCPFLAGS] = "tcpflags", [TYPE_IFACE] = "iface",     [TYPE_USER] = "user",
	[TYPE_MARK] = "mark",   [TYPE_BOOL] = "bool",         [TYPE_NFPROTO] = "nfproto", [TYPE_CTSTATE] = "ctstate",
};

static const struct {
	const char *nft, *weir;
} nft_types[] = {
	{ "ipv4_addr", "addr" },   { "ipv6_addr", "addr" },     { "ether_addr", "mac" }, { "inet_service", "port" },
	{ "inet_proto", "proto" }, { "ether_type", "etype" },   { "ifname", "iface" },   { "iface_index", "iface" },
	{ "icmp_type", "icmp" },   { "icmpv6_type", "icmpv6" }, { "uid", "user" },       { "tcp_flag", "tcpflags" },
	{ "nf_proto", "nfproto" }, { "integer", "int" },        { "address", "addr" },   { "ip", "addr" },
};

const struct named_number *words_of(enum value_type type)
{
	return type < TYPE_MAX ? tables[type] : NULL;
}

bool words_find_in(const struct named_number *word, const char *name, size_t length, uint32_t *ret_number)
{
	for (; word && word->name; word++) {
		if (word_is(name, length, word->name)) {
			*ret_number = word->number;
			return true;
		}
	}
	return false;
}

bool words_find(enum value_type type, const char *name, size_t length, uint32_t *ret_number)
{
	return words_find_in(words_of(type), name, length, ret_number);
}

const char *words_name(enum value_type type, uint32_t number)
{
	const struct named_number *word = words_of(type);

	for (; word && word->name; word++)
		if (word->number == number)
			return word->name;
	return NULL;
}

const char *value_type_name(enum value_type type)
{
	return type < TYPE_MAX ? type_names[type] : "unknown";
}

bool words_type(const char *name, size_t length, enum value_type *ret_type)
{
	for (unsigned int type = 0; type < TYPE_MAX; type++) {
		if (type != TYPE_CTSTATE && word_is(name, length, type_names[type])) { /* no set holds states */
			*ret_type = (enum value_type)type;
			return true;
		}
	}
	return false;
}

const char *words_nft_type(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(nft_types) / sizeof(*nft_types); i++)
		if (word_is(name, length, nft_types[i].nft))
			return nft_types[i].weir;
	return NULL;
}

const struct reject_name reject_names[] = {
	{ "icmpx", "port-unreachable", 0, 3, 4 },  { "icmpx", "admin-prohibited", 0, 13, 1 },
	{ "icmpx", "no-route", 0, 0, 0 },          { "icmpx", "host-unreachable", 0, 1, 3 },
	{ "icmp", "net-unreachable", 4, 0, 0 },    { "icmp", "host-unreachable", 4, 1, 0 },
	{ "icmp", "prot-unreachable", 4, 2, 0 },   { "icmp", "port-unreachable", 4, 3, 0 },
	{ "icmp", "net-prohibited", 4, 9, 0 },     { "icmp", "host-prohibited", 4, 10, 0 },
	{ "icmp", "admin-prohibited", 4, 13, 0 },  { "icmpv6", "no-route", 6, 0, 0 },
	{ "icmpv6", "admin-prohibited", 6, 0, 1 }, { "icmpv6", "addr-unreachable", 6, 0, 3 },
	{ "icmpv6", "port-unreachable", 6, 0, 4 }, { "icmpv6", "policy-fail", 6, 0, 5 },
	{ "icmpv6", "reject-route", 6, 0, 6 },     { NULL, NULL, 0, 0, 0 },
};

static const struct {
	const char *word, *verdict, *hint;
} unsupported[] = {
	{ "service", "is not supported yet", NULL },
	{ "quota", "is not supported yet", NULL },
	{ "jump", "is not part of weir", "a filter is one list of rules" },
	{ "goto", "is not part of weir", "a filter is one list of rules" },
	{ "return", "is not part of weir", "a filter is one list of rules" },
	{ "queue", "is not part of weir", NULL },
	{ "dup", "is not part of weir", NULL },
	{ "nat", "is not part of weir", NULL },
	{ "snat", "is not part of weir", NULL },
	{ "dnat", "is not part of weir", NULL },
	{ "masquerade", "is not part of weir", NULL },
	{ "tproxy", "is not part of weir", NULL },
	{ "notrack", "is not part of weir", NULL },
	{ "vmap", "is not part of weir", "write one rule a verdict" },
	{ "meter", "is not part of weir", NULL },
	{ "table", "is not part of weir", "rules stand in 'filter NAME { ... }'" },
	{ "chain", "is not part of weir", "rules stand in 'filter NAME { ... }'" },
	{ "flush", "is not part of weir", "the file is the whole truth: nothing needs to be flushed" },
	{ "policy", "is not part of weir", "write 'default accept' or 'default drop'" },
};

const char *words_unsupported(const char *word, size_t length, const char **ret_hint)
{
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(*unsupported); i++) {
		if (word_is(word, length, unsupported[i].word)) {
			*ret_hint = unsupported[i].hint;
			return unsupported[i].verdict;
		}
	}
	return NULL;
}

bool words_reserved(const char *word, size_t length)
{
	static const char *const words[] = {
		"counter",   "log",      "accept", "drop",     "redirect", "fwd",    "continue", "comment",
		"name",      "prefix",   "to",     "packets",  "bytes",    "hook",   "default",  "malformed",
		"fragments", "counters", "filter", "set",      "test",     "define", "include",  "rule",
		"reject",    "limit",    "ban",    "synproxy", "guard",
	};
	const char *hint;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (word_is(word, length, words[i]))
			return true;
	return words_unsupported(word, length, &hint) != NULL;
}
