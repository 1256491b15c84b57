// SPDX-License-Identifier: GPL-2.0
/* Canonical text of limits, bans, rejects and the `flows` block: what differs from the defaults is written. */
#include "print.h"

#include <string.h>

#include "words.h"

/* The largest unit that the number has a whole number of. */
static void print_bytes(struct strbuf *b, uint64_t bytes)
{
	unsigned int shift = !bytes || bytes % 1024 ? 0 : bytes % (1024 * 1024) ? 10 : 20;
	static const char *const prefixes[] = { "", "k", "m" };

	strbuf_number(b, bytes >> shift);
	strbuf_format(b, " %sbytes", prefixes[shift / 10]);
}

static void print_key(struct strbuf *b, const struct limit_rate *limit)
{
	for (size_t i = 0; i < limit->n_fields; i++) {
		unsigned int four = limit->prefix4[i], six = limit->prefix6[i];

		strbuf_str(b, i ? " . " : " per ");
		strbuf_str(b, field_info[limit->field[i]].words);
		if (four && (four != LIMIT_PREFIX4 || (six && six != LIMIT_PREFIX6)))
			strbuf_format(b, "/%u", four);
		if (six && six != LIMIT_PREFIX6)
			strbuf_format(b, "/%u", six);
	}
}

static const char *unit_word(uint32_t seconds)
{
	return seconds == 1       ? "second"
	       : seconds == 60    ? "minute"
	       : seconds == 3600  ? "hour"
	       : seconds == 86400 ? "day"
				  : "week";
}

void print_limit(struct strbuf *b, const struct limit_rate *limit)
{
	strbuf_str(b, limit->over ? "limit rate over " : "limit rate ");
	if (limit->bytes)
		print_bytes(b, limit->rate);
	else
		strbuf_number(b, limit->rate);
	strbuf_format(b, "/%s", unit_word(limit->unit));
	if (limit->bytes && limit->burst > limit->rate) {
		strbuf_str(b, " burst ");
		print_bytes(b, limit->burst - limit->rate);
	} else if (!limit->bytes && limit->burst != LIMIT_BURST) {
		strbuf_format(b, " burst %llu packets", (unsigned long long)limit->burst);
	}
	print_key(b, limit);
	if (limit->full_under)
		strbuf_str(b, " full under");
}

void print_ban(struct strbuf *b, const struct ban_statement *ban)
{
	char time[DURATION_MOST];

	duration_print(ban->timeout_ms, time);
	strbuf_format(b, "ban %s ", time);
	if (ban->prefix6 != BAN_PREFIX6)
		strbuf_format(b, "saddr/%u/%u ", ban->prefix4, ban->prefix6);
	else if (ban->prefix4 != BAN_PREFIX4)
		strbuf_format(b, "saddr/%u ", ban->prefix4);
	strbuf_format(b, "@%s", ban->set->name);
}

void print_reject(struct strbuf *b, const struct reject *reject)
{
	if (reject->kind == REJECT_WITH_TCP_RESET) {
		strbuf_str(b, " with tcp reset");
		return;
	}
	for (const struct reject_name *r = reject_names + 1; r->name; r++)
		if (r->family == reject->family && r->code4 == reject->code4 && r->code6 == reject->code6)
			strbuf_format(b, " with %s %s", r->with, r->name);
}

void print_synproxy(struct strbuf *b, const struct synproxy *synproxy)
{
	if (synproxy->mss)
		strbuf_format(b, " mss %u", synproxy->mss);
	if (synproxy->scale >= 0)
		strbuf_format(b, " wscale %d", synproxy->scale);
	if (synproxy->timestamp)
		strbuf_str(b, " timestamp");
	if (synproxy->sack)
		strbuf_str(b, " sack-perm");
}

static void print_flow_times(struct strbuf *b, const struct flows *flows)
{
	const char *open = NULL; /* the protocol whose list it is */
	char time[DURATION_MOST];

	for (size_t i = 0; i < FLOW_TIME_COUNT; i++) {
		const struct flow_time_info *info = &flow_time_info[i];

		if (flows->time_ms[i] == info->seconds * UINT64_C(1000))
			continue;
		if (open && !strcmp(open, info->protocol))
			strbuf_str(b, ", ");
		else
			strbuf_format(b, "%s\ttimeout %s { ", open ? " }\n" : "", info->protocol);
		open = info->protocol;
		duration_print(flows->time_ms[i], time);
		strbuf_format(b, "%s %s", info->state, time);
	}
	strbuf_str(b, open ? " }\n" : "");
}

void print_flows(struct strbuf *b, const struct flows *flows)
{
	if (!flows->loc.file)
		return;
	strbuf_format(b, "flows {\n\tsize %u\n\tfull %s\n", flows->size, policy_verdict_word(flows->full));
	print_flow_times(b, flows);
	strbuf_str(b, "}\n\n");
}
