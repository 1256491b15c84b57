// SPDX-License-Identifier: GPL-2.0
/* Per-CPU counters: read as sums, cleared on all CPUs. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "root.h"

/* Counters first ... first + n - 1, without what earlier instances had counted. */
int counters_sum(int fd, uint32_t first, uint32_t n, struct counter *ret)
{
	int cpus = libbpf_num_possible_cpus();
	struct counter *each = calloc(cpus > 0 ? cpus : 1, sizeof(*each));
	int r = each ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint32_t number = first + i;

		r = bpf_map_lookup_elem(fd, &number, each);
		ret[i] = (struct counter){ 0 };
		for (int cpu = 0; cpu < cpus && r == 0; cpu++) {
			ret[i].packets += each[cpu].packets;
			ret[i].bytes += each[cpu].bytes;
		}
	}
	free(each);
	return r;
}

/* The n counters whose numbers are in `numbers`; NULL: 0 ... n - 1. */
int counters_clear(int fd, const uint32_t *numbers, size_t n)
{
	int cpus = libbpf_num_possible_cpus();
	struct counter *zero = calloc(cpus > 0 ? cpus : 1, sizeof(*zero));
	int r = zero ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		uint32_t number = numbers ? numbers[i] : (uint32_t)i;

		r = bpf_map_update_elem(fd, &number, zero, BPF_ANY);
	}
	free(zero);
	return r;
}
