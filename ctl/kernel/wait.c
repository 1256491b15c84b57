// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting until no packet reads what was live before. Programs run inside RCU read sections, so a grace
 * period is enough: membarrier(GLOBAL) is one. (The expedited kinds are not: they only order memory.)
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "root.h"

/* Where membarrier is refused (nohz_full): replacing an entry of a map of maps waits for the same thing. */
static int wait_by_map(void)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts);
	int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "wait_inner", 4, 4, 1, NULL), outer = -1, r = -1;
	uint32_t zero = 0, fd = inner;

	if (inner >= 0) {
		opts.inner_map_fd = inner;
		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "wait_outer", 4, 4, 1, &opts);
	}
	if (outer >= 0)
		r = bpf_map_update_elem(outer, &zero, &fd, BPF_ANY);
	if (outer >= 0)
		close(outer);
	if (inner >= 0)
		close(inner);
	return r;
}

int wait_for_packets(struct diag *diag)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 || wait_by_map() == 0)
		return 0;
	return diag_errno(diag, errno, "cannot wait for packets under the old rules");
}
