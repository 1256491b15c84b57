// SPDX-License-Identifier: GPL-2.0
/*
 * The flow table and the buckets of limits under attack: distinct tuples without end, at the programs in the kernel. Who is
 * connected stays connected, who connects while it lasts gets through, and who keeps to a limit is not held to account
 * for those who are too many to be counted.
 *
 *	t-flood [ATTACKERS]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "check.h"
#include "loaded.h"

#define CLIENTS    40000 /* connected before; the table is made for 65,536 */
#define NEWCOMERS  200   /* connect while the attack goes on */
#define ROUND_TRIP 10000 /* packets of the attack between two of a newcomer's: 10 ms at a million a second */
#define ATTACKERS  1000000
#define PACKET_NS  1000
#define FLAGS_SYN  0x02
#define FLAGS_ACK  0x10
#define CLIENT_ISN 1000u
#define SERVER_ISN 5000u

static const char rules[] = "filter in {\n"
			    "	hook ingress\n"
			    "	device dev0\n"
			    "	default drop\n"
			    "	ct state established accept\n"
			    "	ct state invalid drop\n"
			    "	tcp dport 80 ct state new accept\n"
			    "	udp dport 53 ct state new accept\n"
			    "}\n";

/* Each source has one packet a second; those of the attack come once, and are more than there are buckets. */
static const char limits[] = "filter in {\n"
			     "	hook ingress\n"
			     "	device dev0\n"
			     "	default accept\n"
			     "	udp dport 53 limit rate over 1/second burst 10 packets per saddr full under drop\n"
			     "	udp dport 54 limit rate over 1/second burst 10 packets per saddr full over drop\n"
			     "}\n";

#define POLITE        100 /* sources that keep to the limit: one packet in two seconds each */
#define RUDE          10  /* sources that do not: a hundred a second */
#define LIMIT_SECONDS 20

static struct loaded loaded;
static uint64_t now_ns = 1000000000000ull;
static unsigned long reasons[REASON_MAX];

static const uint8_t server[4] = { 192, 0, 2, 1 };

/* Client n's address; attackers are in 10.0.0.0/8, clients in 172.16.0.0/12. */
static void address_of(uint8_t ret[4], uint32_t net, uint32_t n)
{
	uint32_t address = net | n;

	for (int i = 0; i < 4; i++)
		ret[i] = address >> (24 - 8 * i);
}

static bool accepted(const struct frame_spec *spec, enum policy_hook hook)
{
	struct meeting meeting = { .hook = hook,
				   .iif = hook == POLICY_TC_EGRESS ? MODEL_NONE : 0,
				   .skuid = -1,
				   .now_ns = now_ns,
				   .ct = MODEL_NONE };
	static struct frame frame;
	struct model_result result;

	now_ns += PACKET_NS;
	frame_make(&frame, spec);
	if (loaded_run(&loaded, &frame, &meeting, &result) < 0)
		return false;
	reasons[result.reason]++;
	return result.verdict == POLICY_ACCEPT;
}

static bool from_client(uint32_t n, uint8_t flags, uint32_t seq, uint32_t ack, unsigned int payload)
{
	uint8_t client[4];

	address_of(client, 0xac100000, n);
	return accepted(&(struct frame_spec){ .saddr = client,
					      .daddr = server,
					      .sport = 1024 + n % 60000,
					      .dport = 80,
					      .flags = flags,
					      .seq = seq,
					      .ack = ack,
					      .payload = payload },
			POLICY_XDP);
}

static bool from_server(uint32_t n, uint8_t flags, uint32_t seq, uint32_t ack)
{
	uint8_t client[4];

	address_of(client, 0xac100000, n);
	return accepted(&(struct frame_spec){ .saddr = server,
					      .daddr = client,
					      .sport = 80,
					      .dport = 1024 + n % 60000,
					      .flags = flags,
					      .seq = seq,
					      .ack = ack },
			POLICY_TC_EGRESS);
}

/* Every third one sends a datagram, the others SYNs. */
static void attack(uint32_t n)
{
	uint8_t attacker[4];
	bool udp = n % 3 == 0;

	address_of(attacker, 0x0a000000, n & 0xffffff);
	accepted(&(struct frame_spec){ .saddr = attacker,
				       .daddr = server,
				       .proto = udp ? 17 : 6,
				       .sport = 1024 + n % 64000,
				       .dport = udp ? 53 : 80,
				       .seq = n },
		 POLICY_XDP);
}

static bool connects(uint32_t n)
{
	return from_client(n, FLAGS_SYN, CLIENT_ISN, 0, 0) &&
	       from_server(n, FLAGS_SYN | FLAGS_ACK, SERVER_ISN, CLIENT_ISN + 1) &&
	       from_client(n, FLAGS_ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0);
}

static unsigned int still_connected(uint32_t first, uint32_t n, uint32_t at)
{
	unsigned int there = 0;

	for (uint32_t i = first; i < first + n; i++)
		there += from_client(i, FLAGS_ACK, at, SERVER_ISN + 1, 10);
	return there;
}

/* Newcomers take a round trip for each of their packets; the attack goes on meanwhile. */
static unsigned int newcomers_among(uint32_t attackers)
{
	uint32_t each = attackers / NEWCOMERS, n = 0;
	unsigned int through = 0;

	for (uint32_t i = CLIENTS; i < CLIENTS + NEWCOMERS; i++) {
		uint32_t wait = each < 2 * ROUND_TRIP ? each / 2 : ROUND_TRIP;
		bool fine = from_client(i, FLAGS_SYN, CLIENT_ISN, 0, 0) &&
			    from_server(i, FLAGS_SYN | FLAGS_ACK, SERVER_ISN, CLIENT_ISN + 1);

		for (uint32_t k = 0; k < wait; k++)
			attack(n++);
		fine = fine && from_client(i, FLAGS_ACK, CLIENT_ISN + 1, SERVER_ISN + 1, 0);
		through += fine;
		for (uint32_t k = wait; k < each; k++)
			attack(n++);
	}
	return through;
}

static bool datagram(uint32_t source, uint16_t port)
{
	uint8_t address[4];

	address_of(address, 0, source);
	return accepted(&(struct frame_spec){ .saddr = address, .daddr = server, .proto = 17, .dport = port },
			POLICY_XDP);
}

/* The attack: `attackers` sources in LIMIT_SECONDS, evenly. *ret_rude: the rude ones' packets that passed. */
static unsigned int polite_among(uint32_t attackers, uint16_t port, unsigned int *ret_rude)
{
	uint64_t begin = now_ns, tick = LIMIT_SECONDS * 1000000000ull / attackers;
	uint32_t second = attackers / LIMIT_SECONDS;
	unsigned int dropped = 0;

	*ret_rude = 0;
	for (uint32_t n = 0; n < attackers; n++) {
		now_ns = begin + n * tick;
		datagram(0x0b000000 + n, port);
		if (n % (second * 2 / POLITE) == 0)
			dropped += !datagram(0xac200000 + n / (second * 2 / POLITE) % POLITE, port);
		if (n % (second / (100 * RUDE)) == 0)
			*ret_rude += datagram(0xac300000 + n / (second / (100 * RUDE)) % RUDE, port);
	}
	return dropped;
}

static void flood_limits(uint32_t attackers)
{
	const double allowed = RUDE * (10 + LIMIT_SECONDS);
	unsigned int rude, n;

	loaded_forget(&loaded);
	if (!check(loaded_open(&loaded, limits) == 0, "rules with limits load"))
		return;
	for (uint16_t port = 53; port <= 54; port++) {
		n = polite_among(attackers, port, &rude);
		printf("full %s: %u packets of %d polite sources dropped among %u others; %u of rude ones pass, %.0f "
		       "by their limits\n",
		       port == 53 ? "under" : "over", n, POLITE, attackers, rude, allowed);
		check(port == 54 || n == 0, "%u packets of polite sources are dropped", n);
		check(port == 54 || rude <= allowed * 1.02, "%u packets of rude sources pass, %.0f may", rude, allowed);
	}
}

int main(int argc, char **argv)
{
	uint32_t attackers = number_argument(argc, argv, 1, ATTACKERS, "[ATTACKERS]");
	unsigned int n = 0;

	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	if (loaded_open(&loaded, rules))
		return 1;
	for (uint32_t i = 0; i < CLIENTS; i++)
		n += connects(i);
	check(n == CLIENTS, "%u of %u clients connect", n, CLIENTS);
	n = newcomers_among(attackers);
	printf("%u of %d connect while %u attackers come, %lu of which find no room\n", n, NEWCOMERS, attackers,
	       reasons[REASON_FLOWS_FULL]);
	check(n >= NEWCOMERS * 99 / 100, "%u of %d newcomers get through", n, NEWCOMERS);
	n = still_connected(0, CLIENTS, CLIENT_ISN + 1);
	check(n == CLIENTS, "%u of %u are still connected", n, CLIENTS);
	flood_limits(attackers);
	loaded_close(&loaded);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
