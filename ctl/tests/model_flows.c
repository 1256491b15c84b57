// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "model_flows.h"

/* The order of the states is that of their times in FLOW_TIMES. */
enum tcp_state { SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE };
enum direction { ORIGINAL, REPLY };

#define NO_SCALE   (-1)
#define MOST_SCALE 14

struct end {
	uint32_t address[4];
	unsigned int port;
};

/* Whose packets they are: of a packet from its source to its destination, of a flow from its origin to the other end. */
struct name {
	unsigned int family, proto;
	struct end from, to;
};

/* What one direction of a TCP connection has sent and may send. */
struct side {
	uint32_t end, max_end;
	uint32_t window; /* a power of two */
	int scale;
};

struct flow {
	struct name name;
	enum tcp_state state;
	bool replied;
	bool liberal;
	struct side side[2];
	uint32_t expires; /* ticks */
};

struct model_flows {
	const struct flows *settings;
	struct flow *flow;
	size_t n, capacity;
};

static bool is_icmp(unsigned int family, unsigned int proto)
{
	return proto == (family == 4 ? PROTO_ICMP : PROTO_ICMPV6);
}

/* ---- time ---- */

static uint32_t ticks_of(uint64_t ns)
{
	return (uint32_t)(ns >> 24);
}

static bool is_there(const struct flow *flow, uint64_t now_ns)
{
	return (int32_t)(flow->expires - ticks_of(now_ns)) > 0;
}

static enum flow_time time_of(const struct flow *flow)
{
	const struct name *name = &flow->name;

	if (name->proto == PROTO_TCP)
		return FLOW_TIME_TCP_SYN_SENT + flow->state;
	if (name->proto == PROTO_UDP)
		return flow->replied ? FLOW_TIME_UDP_REPLIED : FLOW_TIME_UDP_UNREPLIED;
	if (name->proto == PROTO_SCTP)
		return flow->replied ? FLOW_TIME_SCTP_REPLIED : FLOW_TIME_SCTP_UNREPLIED;
	if (is_icmp(name->family, name->proto))
		return flow->replied ? FLOW_TIME_ICMP_REPLIED : FLOW_TIME_ICMP_UNREPLIED;
	return flow->replied ? FLOW_TIME_OTHER_REPLIED : FLOW_TIME_OTHER_UNREPLIED;
}

static void stay(const struct model_flows *flows, struct flow *flow, uint64_t now_ns)
{
	uint32_t ticks = ticks_of(flows->settings->time_ms[time_of(flow)] * 1000000);

	flow->expires = ticks_of(now_ns) + (ticks ? ticks : 1);
}

/* ---- the packet ---- */

static void read_address(uint32_t address[4], const struct packet *p, unsigned int family, size_t at)
{
	memset(address, 0, 16);
	for (unsigned int i = 0; i < (family == 4 ? 1 : 4); i++)
		address[i] = word_at(p, at + 4 * i);
}

static bool is_icmp_error(unsigned int family, unsigned int type)
{
	if (family == 4)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

/* The number of ICMP is that of no protocol in IPv6, nor is that of ICMPv6 in IPv4. */
static bool is_icmp_of_other_family(unsigned int family, unsigned int proto)
{
	return proto == (family == 4 ? PROTO_ICMPV6 : PROTO_ICMP);
}

/* Neighbours and groups: what a link needs before any flow. */
static bool is_icmp_of_link(unsigned int family, unsigned int type)
{
	return family == 6 && ((type >= 130 && type <= 137) || type == 143);
}

enum icmp_role { ICMP_NEITHER, ICMP_QUESTION, ICMP_ANSWER };

/* *question: the type of the question, also of an answer. */
static enum icmp_role icmp_role(unsigned int family, unsigned int type, unsigned int *question)
{
	static const struct {
		unsigned int family, question, answer;
	} queries[] = {
		{ 4, 8, 0 }, { 4, 13, 14 }, { 4, 15, 16 }, { 4, 17, 18 }, { 6, 128, 129 }, { 6, 139, 140 },
	};

	for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
		*question = queries[i].question;
		if (queries[i].family == family && queries[i].question == type)
			return ICMP_QUESTION;
		if (queries[i].family == family && queries[i].answer == type)
			return ICMP_ANSWER;
	}
	return ICMP_NEITHER;
}

/* Ports from the first eight bytes behind IP. */
static enum icmp_role read_ports(struct name *name, const struct packet *p, size_t at)
{
	enum icmp_role role = ICMP_NEITHER;
	unsigned int question;

	if (name->proto == PROTO_TCP || name->proto == PROTO_UDP || name->proto == PROTO_SCTP) {
		name->from.port = half_at(p, at);
		name->to.port = half_at(p, at + 2);
	} else if (is_icmp(name->family, name->proto)) {
		role = icmp_role(name->family, byte_at(p, at), &question);
		name->from.port = role == ICMP_QUESTION ? half_at(p, at + 4) : question;
		name->to.port = role == ICMP_QUESTION ? question : half_at(p, at + 4);
	}
	return role;
}

static enum icmp_role read_name(struct name *ret, const struct packet *p)
{
	*ret = (struct name){ .family = p->family, .proto = p->proto };
	read_address(ret->from.address, p, p->family, p->l3 + (p->family == 4 ? 12 : 8));
	read_address(ret->to.address, p, p->family, p->l3 + (p->family == 4 ? 16 : 24));
	return read_ports(ret, p, p->l4);
}

/* The packet that an ICMP error tells of. False: it does not say which. */
static bool read_quote(struct name *ret, const struct packet *p)
{
	size_t at = p->l4 + 8, header = p->family == 4 ? (byte_at(p, at) & 15) * 4 : 40;
	enum icmp_role role;

	if (at + header + 8 > p->end || ends_before(p, at + header + 8) || byte_at(p, at) >> 4 != p->family)
		return false;
	if (p->family == 4 && (header < 20 || half_at(p, at + 6) & 0x1fff))
		return false;
	*ret = (struct name){ .family = p->family, .proto = byte_at(p, at + (p->family == 4 ? 9 : 6)) };
	read_address(ret->from.address, p, p->family, at + (p->family == 4 ? 12 : 8));
	read_address(ret->to.address, p, p->family, at + (p->family == 4 ? 16 : 24));
	role = read_ports(ret, p, at + header);
	return role != ICMP_NEITHER || !is_icmp(ret->family, ret->proto);
}

/* ---- the table ---- */

static bool same_end(const struct end *a, const struct end *b)
{
	return memcmp(a->address, b->address, sizeof(a->address)) == 0 && a->port == b->port;
}

static bool belongs(const struct name *packet, const struct name *flow, enum direction *direction)
{
	if (packet->family != flow->family || packet->proto != flow->proto)
		return false;
	*direction = ORIGINAL;
	if (same_end(&packet->from, &flow->from) && same_end(&packet->to, &flow->to))
		return true;
	*direction = REPLY;
	return same_end(&packet->from, &flow->to) && same_end(&packet->to, &flow->from);
}

/* NULL: no flow that is still there. Those whose time is over and that stand in the way are taken out. */
static struct flow *find(struct model_flows *flows, const struct name *name, uint64_t now_ns, enum direction *direction)
{
	for (size_t i = 0; i < flows->n;) {
		if (!is_there(&flows->flow[i], now_ns))
			flows->flow[i] = flows->flow[--flows->n];
		else if (belongs(name, &flows->flow[i].name, direction))
			return &flows->flow[i];
		else
			i++;
	}
	return NULL;
}

static struct flow *add(struct model_flows *flows)
{
	if (flows->n == flows->capacity) {
		flows->capacity = flows->capacity ? 2 * flows->capacity : 64;
		flows->flow = realloc(flows->flow, flows->capacity * sizeof(*flows->flow));
		if (!flows->flow)
			abort();
	}
	return &flows->flow[flows->n++];
}

static const struct model_said said_established = { .state = POLICY_CT_ESTABLISHED },
			       said_related = { .state = POLICY_CT_RELATED }, said_new = { .state = POLICY_CT_NEW },
			       said_begins = { .state = POLICY_CT_NEW, .begins = true },
			       said_anew = { .state = POLICY_CT_NEW, .begins = true, .anew = true },
			       said_untracked = { .state = POLICY_CT_UNTRACKED },
			       said_invalid = { .state = POLICY_CT_INVALID };

/* ---- all but TCP ---- */

static struct model_said ask_plain(const struct model_flows *flows, struct flow *flow, enum direction direction,
				   enum icmp_role role, uint64_t now_ns)
{
	if (!flow)
		return role == ICMP_ANSWER ? said_invalid : said_begins;
	if ((role == ICMP_QUESTION && direction == REPLY) || (role == ICMP_ANSWER && direction == ORIGINAL))
		return said_invalid;
	if (direction == REPLY)
		flow->replied = true;
	stay(flows, flow, now_ns);
	return flow->replied ? said_established : said_new;
}

/* ---- TCP ---- */

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

struct segment {
	unsigned int flags;
	uint32_t seq, ack;
	uint32_t end; /* sequence number behind it */
	uint32_t window;
	int scale;
	bool own; /* of this host, as it leaves */
};

/* a - b <= 0, on the circle of sequence numbers */
static bool at_most(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static bool between(uint32_t lo, uint32_t x, uint32_t hi)
{
	return at_most(lo, x) && at_most(x, hi);
}

static void raise_to(uint32_t *x, uint32_t least)
{
	if (!at_most(least, *x))
		*x = least;
}

static uint32_t rounded_up(uint32_t window)
{
	uint32_t power = 1;

	while (power < window)
		power *= 2;
	return power;
}

/* The first window scale option. Options end with option 0, with the header, or where one has no length. */
static int read_scale(const struct packet *p)
{
	size_t at = p->l4 + 20, end = p->l4 + (byte_at(p, p->l4 + 12) >> 4) * 4;

	while (at < end && !ends_before(p, at + 1) && byte_at(p, at) != 0) {
		unsigned int length = byte_at(p, at) == 1 ? 1 : byte_at(p, at + 1);

		if (byte_at(p, at) != 1 && (length < 2 || at + length > end || ends_before(p, at + length)))
			break;
		if (byte_at(p, at) == 3 && length == 3)
			return byte_at(p, at + 2) < MOST_SCALE ? (int)byte_at(p, at + 2) : MOST_SCALE;
		at += length;
	}
	return NO_SCALE;
}

static bool made_here(const struct packet *p)
{
	return p->frame->hook == POLICY_TC_EGRESS && p->frame->iif == MODEL_NONE;
}

static struct segment read_segment(const struct packet *p)
{
	struct segment s = { .flags = byte_at(p, p->l4 + 13) & (FIN | SYN | RST | ACK),
			     .seq = word_at(p, p->l4 + 4),
			     .ack = word_at(p, p->l4 + 8),
			     .window = half_at(p, p->l4 + 14),
			     .scale = read_scale(p),
			     .own = made_here(p) };

	s.end = s.seq + (uint32_t)(p->end - p->l4 - (byte_at(p, p->l4 + 12) >> 4) * 4);
	s.end += !!(s.flags & SYN) + !!(s.flags & FIN);
	return s;
}

static bool flags_make_sense(unsigned int flags)
{
	switch (flags) {
	case SYN:
	case SYN | ACK:
	case RST:
	case RST | ACK:
	case FIN | ACK:
	case ACK:
		return true;
	default:
		return false;
	}
}

static void open_side(struct side *side, const struct segment *s, uint32_t max_end)
{
	side->end = s->end;
	side->max_end = max_end;
	side->window = rounded_up(s->window);
	side->scale = s->scale;
}

/* What a segment does to a flow that is there. */
enum effect {
	DENIED,    /* invalid: it does nothing */
	UNCHANGED, /* the flow stays as it is, and so does its time */
	CHANGED,
	AGAIN, /* the flow begins anew, if the segment is accepted */
};

static enum effect tcp_syn(struct flow *flow, enum direction direction, const struct segment *s)
{
	struct side *own = &flow->side[direction], *peer = &flow->side[!direction];

	switch (flow->state) {
	case SYN_SENT:
		if (direction == ORIGINAL) {
			open_side(own, s, s->seq + 1);
		} else { /* both at once */
			open_side(own, s, s->end + peer->window);
			flow->state = SYN_RECV;
		}
		return CHANGED;
	case SYN_RECV:
		return UNCHANGED;
	case TIME_WAIT:
	case CLOSE:
		return AGAIN;
	default:
		return s->own ? AGAIN : direction == REPLY && !flow->liberal ? DENIED : UNCHANGED;
	}
}

static enum effect tcp_syn_ack(struct flow *flow, enum direction direction, const struct segment *s)
{
	struct side *own = &flow->side[direction], *peer = &flow->side[!direction];

	if (flow->state == SYN_SENT && direction == REPLY) {
		if (!between(peer->max_end, s->ack, peer->end))
			return DENIED;
		open_side(own, s, s->end + peer->window);
		peer->max_end = s->ack + s->window;
		flow->state = SYN_RECV;
		return CHANGED;
	}
	if (flow->state == SYN_RECV)
		return UNCHANGED;
	if (flow->liberal && flow->state != TIME_WAIT && flow->state != CLOSE)
		return UNCHANGED;
	if (direction != REPLY || flow->state == SYN_SENT)
		return DENIED;
	if (!s->own || flow->state == TIME_WAIT || flow->state == CLOSE)
		return UNCHANGED;
	open_side(own, s, s->end + peer->window);
	peer->end = s->ack;
	peer->max_end = s->ack + s->window;
	flow->liberal = true;
	flow->state = SYN_RECV;
	return CHANGED;
}

static enum effect tcp_rst(struct flow *flow, enum direction direction, const struct segment *s)
{
	const struct side *own = &flow->side[direction], *peer = &flow->side[!direction];

	if (flow->state == TIME_WAIT || flow->state == CLOSE)
		return UNCHANGED;
	if (flow->state == SYN_SENT && direction == ORIGINAL) {
		if (!between(own->max_end, s->seq, own->end))
			return UNCHANGED;
	} else if (flow->state == SYN_SENT) {
		if (!(s->flags & ACK) || !between(peer->max_end, s->ack, peer->end))
			return DENIED;
	} else if (!flow->liberal && !between(own->end - peer->window, s->seq, own->max_end)) {
		return DENIED;
	} else if (!flow->liberal && s->seq != own->end) {
		return UNCHANGED;
	}
	flow->state = CLOSE;
	return CHANGED;
}

static bool in_time(const struct side *own, const struct side *peer, const struct segment *s)
{
	uint32_t late = own->window > 65536 ? own->window : 65536;

	return at_most(own->end - peer->window - 1, s->end) && at_most(peer->end - late, s->ack);
}

/* What nobody has said, or was allowed to say, by far. */
static bool is_beyond(const struct side *own, const struct side *peer, const struct segment *s)
{
	return !at_most(s->ack, peer->end) || !at_most(s->seq, own->max_end + peer->window);
}

static void tcp_advance(struct flow *flow, enum direction direction, const struct segment *s)
{
	if (s->flags & FIN) {
		if (flow->state == SYN_RECV || flow->state == ESTABLISHED)
			flow->state = FIN_WAIT;
		else if (flow->state == FIN_WAIT || flow->state == CLOSE_WAIT)
			flow->state = LAST_ACK;
	} else if (flow->state == SYN_RECV && direction == ORIGINAL) {
		flow->state = ESTABLISHED;
	} else if (flow->state == FIN_WAIT) {
		flow->state = CLOSE_WAIT;
	} else if (flow->state == LAST_ACK) {
		flow->state = TIME_WAIT;
	}
}

static enum effect tcp_ack(struct flow *flow, enum direction direction, const struct segment *s)
{
	struct side *own = &flow->side[direction], *peer = &flow->side[!direction];
	uint32_t window = s->window;

	if (flow->state == SYN_SENT)
		return direction == REPLY && !(s->flags & FIN) ? UNCHANGED : DENIED;
	if (!flow->liberal && is_beyond(own, peer, s))
		return DENIED;
	if (!flow->liberal && !in_time(own, peer, s))
		return UNCHANGED;
	if (own->scale != NO_SCALE && peer->scale != NO_SCALE)
		window <<= own->scale;
	if (own->window < rounded_up(window))
		own->window = rounded_up(window);
	raise_to(&own->end, s->end);
	raise_to(&peer->max_end, s->ack + (window ? window : 1));
	tcp_advance(flow, direction, s);
	return CHANGED;
}

static enum effect tcp_effect(struct flow *flow, enum direction direction, const struct segment *s)
{
	if (s->flags & RST)
		return tcp_rst(flow, direction, s);
	if (s->flags == SYN)
		return tcp_syn(flow, direction, s);
	if (s->flags & SYN)
		return tcp_syn_ack(flow, direction, s);
	return tcp_ack(flow, direction, s);
}

static struct model_said ask_tcp(const struct model_flows *flows, struct flow *flow, enum direction direction,
				 const struct packet *p)
{
	struct segment s = read_segment(p);

	if (!flags_make_sense(s.flags))
		return said_invalid;
	if (!flow)
		return s.flags == SYN || (s.flags == ACK && s.own) ? said_begins : said_invalid;
	switch (tcp_effect(flow, direction, &s)) {
	case DENIED:
		return said_invalid;
	case AGAIN:
		return said_anew;
	case CHANGED:
		if (direction == REPLY)
			flow->replied = true;
		stay(flows, flow, p->frame->now_ns);
		break;
	case UNCHANGED:
		break;
	}
	return flow->replied || direction == REPLY ? said_established : said_new;
}

/* Of a {syn}, or of an {ack} from the middle of a connection. */
static void begin_tcp(struct flow *flow, const struct packet *p)
{
	struct segment s = read_segment(p);

	for (unsigned int i = 0; i < 2; i++)
		flow->side[i] = (struct side){ .window = 1, .scale = NO_SCALE };
	if (s.flags == SYN) {
		flow->state = SYN_SENT;
		open_side(&flow->side[ORIGINAL], &s, s.seq + 1);
	} else {
		flow->state = ESTABLISHED;
		flow->liberal = true;
	}
}

/* ---- the face ---- */

static struct model_said ask_error(struct model_flows *flows, const struct packet *p)
{
	enum direction direction;
	struct name quote, error;

	read_name(&error, p);
	if (!read_quote(&quote, p) || memcmp(quote.from.address, error.to.address, sizeof(quote.from.address)) != 0)
		return said_invalid;
	return find(flows, &quote, p->frame->now_ns, &direction) ? said_related : said_invalid;
}

struct model_said model_flows_ask(struct model_flows *flows, const struct packet *packet)
{
	const struct packet *p = packet;
	enum direction direction;
	enum icmp_role role;
	struct name name;
	struct flow *flow;

	if (!p->family)
		return said_untracked;
	if (p->fragment.later || is_icmp_of_other_family(p->family, p->proto))
		return said_invalid;
	role = read_name(&name, p);
	if (is_icmp(p->family, p->proto)) {
		if (is_icmp_of_link(p->family, byte_at(p, p->l4)))
			return said_untracked;
		if (is_icmp_error(p->family, byte_at(p, p->l4)))
			return ask_error(flows, p);
		if (role == ICMP_NEITHER)
			return said_invalid;
	}
	flow = find(flows, &name, p->frame->now_ns, &direction);
	if (p->proto == PROTO_TCP)
		return ask_tcp(flows, flow, direction, p);
	return ask_plain(flows, flow, direction, role, p->frame->now_ns);
}

void model_flows_begin(struct model_flows *flows, const struct packet *packet)
{
	enum direction direction;
	struct flow *flow;
	struct name name;

	read_name(&name, packet);
	flow = find(flows, &name, packet->frame->now_ns, &direction);
	if (!flow)
		flow = add(flows);
	*flow = (struct flow){ .name = name };
	if (name.proto == PROTO_TCP)
		begin_tcp(flow, packet);
	stay(flows, flow, packet->frame->now_ns);
}

struct model_flows *model_flows_new(const struct flows *settings)
{
	struct model_flows *flows = calloc(1, sizeof(*flows));

	if (!flows)
		abort();
	flows->settings = settings;
	return flows;
}

void model_flows_free(struct model_flows *flows)
{
	if (!flows)
		return;
	free(flows->flow);
	free(flows);
}
