// SPDX-License-Identifier: GPL-2.0
/* Not part of the data path: does this kernel take an extension program (freplace), as libxdp's dispatcher needs? */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__attribute__((noinline)) int probe_slot(struct xdp_md *ctx)
{
	volatile int action = XDP_PASS;

	return ctx ? action : 0;
}

SEC("xdp")
int probe_target(struct xdp_md *ctx)
{
	return probe_slot(ctx);
}

SEC("freplace/probe_slot")
int probe_extension(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
