// SPDX-License-Identifier: GPL-2.0
/*
 * What synproxy needs of this kernel and of this network namespace's settings. docs/decisions/0015-synproxy.md says why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "root.h"
#include "synproxy.h"

#define SETTINGS         "/proc/sys/net/"
#define HELPER           BPF_FUNC_tcp_raw_gen_syncookie_ipv4
#define SCALE_BASE       15 /* a window of this many bits needs no scaling */
#define SYNCOOKIES_ALL   2
#define TIMESTAMPS_PLAIN 2

/* The last number of a setting; -1 where it cannot be read. */
static long setting(const char *name)
{
	char path[100], line[100], *at = line, *end;
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), SETTINGS "%s", name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fgets(line, sizeof(line), file)) {
		for (long next = strtol(at, &end, 10); end != at; next = strtol(at, &end, 10)) {
			value = next;
			at = end;
		}
	}
	fclose(file);
	return value;
}

bool synproxy_kernel_can(void)
{
	static int known = -1;

	if (known < 0)
		known = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, HELPER, NULL) != 0;
	return known;
}

/* The window scale of a listener that was not told how much to buffer, as tcp_select_initial_window() has it. */
static int host_scale(void)
{
	long most = setting("ipv4/tcp_rmem"), other = setting("core/rmem_max");
	int scale = 0;

	if (most < 0)
		return -1;
	if (other > most)
		most = other;
	while (scale < SYNPROXY_SCALE_MOST && most >> (SCALE_BASE + 1 + scale))
		scale++;
	return scale;
}

static int wrong(const struct synproxy *synproxy, const char *name, long is, long needed, const char *why,
		 struct diag *diag)
{
	diag_error(diag, synproxy->loc, "'%s' needs net.ipv4.%s = %ld in this network namespace, and it is %ld", why,
		   name, needed, is);
	diag_hint(diag, "sysctl -w net.ipv4.%s=%ld", name, needed);
	return -EINVAL;
}

/* Settings that cannot be read (-1) are not held against anybody. */
static int check_rule(const struct synproxy *synproxy, struct diag *diag)
{
	long cookies = setting("ipv4/tcp_syncookies"), stamps = setting("ipv4/tcp_timestamps");
	int scale = host_scale();

	if (cookies >= 0 && cookies != SYNCOOKIES_ALL)
		return wrong(synproxy, "tcp_syncookies", cookies, SYNCOOKIES_ALL, "synproxy", diag);
	if (!synproxy->timestamp)
		return 0;
	if (stamps >= 0 && stamps != TIMESTAMPS_PLAIN)
		return wrong(synproxy, "tcp_timestamps", stamps, TIMESTAMPS_PLAIN, "synproxy timestamp", diag);
	if (synproxy->sack && setting("ipv4/tcp_sack") == 0)
		return wrong(synproxy, "tcp_sack", 0, 1, "synproxy sack-perm", diag);
	if (synproxy->scale < 0)
		return 0;
	if (setting("ipv4/tcp_window_scaling") == 0)
		return wrong(synproxy, "tcp_window_scaling", 0, 1, "synproxy wscale", diag);
	if (scale >= 0 && scale != synproxy->scale) {
		diag_warning(diag, synproxy->loc, "this host's listeners scale their windows by %d, not by %d", scale,
			     synproxy->scale);
		diag_hint(diag, "write 'wscale %d' unless they set SO_RCVBUF", scale);
	}
	return 0;
}

int synproxy_check(const struct policy *policy, struct diag *diag)
{
	for (size_t f = 0; f < policy->n_filters; f++) {
		const struct filter *filter = &policy->filters[f];

		for (size_t i = 0; i < filter->n_rules; i++) {
			int r = filter->rules[i].verdict == POLICY_SYNPROXY
					? check_rule(&filter->rules[i].synproxy, diag)
					: 0;

			if (r)
				return r;
		}
	}
	return 0;
}

enum probe_state synproxy_probe(char *detail, size_t size)
{
	long cookies = setting("ipv4/tcp_syncookies"), stamps = setting("ipv4/tcp_timestamps");

	if (!synproxy_kernel_can()) {
		snprintf(detail, size, "no SYN cookies in XDP: kernel 6.0 and CONFIG_SYN_COOKIES are needed");
		return PROBE_NO;
	}
	if (cookies >= 0 && cookies != SYNCOOKIES_ALL) {
		snprintf(detail, size, "net.ipv4.tcp_syncookies is %ld here: `synproxy` needs %d", cookies,
			 SYNCOOKIES_ALL);
		return PROBE_NO;
	}
	if (stamps >= 0 && stamps != TIMESTAMPS_PLAIN)
		snprintf(detail, size, "without `timestamp`: net.ipv4.tcp_timestamps is %ld here, it needs %d", stamps,
			 TIMESTAMPS_PLAIN);
	else
		snprintf(detail, size, "with `timestamp`; this host's `wscale` is %d", host_scale());
	return PROBE_YES;
}
