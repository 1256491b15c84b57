// SPDX-License-Identifier: GPL-2.0
/* doctor and verifier: what this kernel can do, and what is attached where. */
#include "cmd.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../out/out.h"
#include "rules.h"

#define VERIFIED_MOST 350000 /* instructions; the kernel's limit is a million, and newer kernels walk further */

static int say_probes(struct run *run)
{
	static const char *const words[] = {
		[PROBE_NO] = "no",
		[PROBE_YES] = "yes",
		[PROBE_UNKNOWN] = "unknown",
	};
	struct probe *probes = NULL;
	size_t n = 0;
	int rc = kernel_probe(&probes, &n);

	if (rc) {
		diag_errno(&run->diag, -rc, "cannot probe the kernel");
		return EXIT_FAILED;
	}
	out_array(run->out, "probes");
	for (size_t i = 0; i < n; i++) {
		out_text(run->out, "%-16s %-8s%s%s\n", probes[i].name, words[probes[i].state],
			 *probes[i].detail ? " " : "", probes[i].detail);
		out_object(run->out, NULL);
		out_string(run->out, "name", probes[i].name);
		out_string(run->out, "state", words[probes[i].state]);
		out_string(run->out, "detail", probes[i].detail);
		out_end(run->out);
	}
	out_end(run->out);
	free(probes);
	return EXIT_DONE;
}

static const struct attachment *xdp_of(const struct attachment *attachments, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (attachments[i].hook == HOOK_XDP && attachments[i].ifindex == ifindex && !attachments[i].gone)
			return &attachments[i];
	return NULL;
}

/* XDP programs that are not weir's: apply will not replace them. */
static void say_strangers(struct run *run, const struct attachment *attachments, size_t n)
{
	struct if_nameindex *names = if_nameindex();

	out_array(run->out, "others");
	for (const struct if_nameindex *i = names; i && i->if_index; i++) {
		struct link_info link;
		struct diag ignored;

		diag_init(&ignored);
		if (!link_get(i->if_name, &link, &ignored) && link.xdp_prog_id &&
		    !xdp_of(attachments, n, i->if_index)) {
			out_text(run->out, "%-16s other    XDP program %u is not weir's: apply needs --force there\n",
				 i->if_name, link.xdp_prog_id);
			out_object(run->out, NULL);
			out_string(run->out, "device", i->if_name);
			out_string(run->out, "hook", hook_name(HOOK_XDP));
			out_integer(run->out, "program", link.xdp_prog_id);
			out_end(run->out);
		}
		diag_clear(&ignored);
	}
	out_end(run->out);
	if (names)
		if_freenameindex(names);
}

static void say_attachments(struct run *run, const struct attachment *attachments, size_t n)
{
	out_array(run->out, "attachments");
	for (size_t i = 0; i < n; i++) {
		const struct attachment *a = &attachments[i];

		out_text(run->out, "%-16s %-8s %s, %s\n", a->cgroup ?: a->device, a->gone ? "gone" : "ours",
			 a->guard ? "guard" : hook_name(a->hook), a->how);
		out_object(run->out, NULL);
		attachment_say(run->out, a);
		out_end(run->out);
	}
	out_end(run->out);
}

int cmd_doctor(struct run *run)
{
	struct attachment *attachments = NULL;
	struct weir_root *root = NULL;
	size_t n = 0;
	int code = say_probes(run), rc;

	rc = root_open(&root, run->bpffs, ROOT_READ, &run->diag);
	if (!rc && root_running(root)) {
		rc = root_attachments(root, &attachments, &n, &run->diag);
		out_integer(run->out, "generation", root_running(root)->generation);
		out_text(run->out, "%-16s %-8s generation %llu under '%s'\n", "rules", "yes",
			 (unsigned long long)root_running(root)->generation, run->bpffs);
	} else {
		bool unknown = rc && rc != -ENOENT;

		out_null(run->out, "generation");
		out_text(run->out, "%-16s %-8s %s under '%s'\n", "rules", unknown ? "unknown" : "no",
			 unknown ? "cannot read what is loaded" : "nothing is loaded", run->bpffs);
	}
	if (rc && rc != -ENOENT) {
		code = EXIT_FAILED;
	} else {
		/* Only who knows what is weir's can say what is not. */
		say_attachments(run, attachments, n);
		say_strangers(run, attachments, n);
	}
	free(attachments);
	if (root)
		root_close(root);
	return code;
}

int cmd_verifier(struct run *run)
{
	struct verified programs[32];
	size_t n = sizeof(programs) / sizeof(programs[0]);
	int code = EXIT_DONE;

	if (kernel_verified(programs, &n, &run->diag))
		return EXIT_FAILED;
	out_array(run->out, "programs");
	for (size_t i = 0; i < n; i++) {
		bool fits = programs[i].instructions <= VERIFIED_MOST;

		out_text(run->out, "%-24s %8u instructions%s\n", programs[i].program, programs[i].instructions,
			 fits ? "" : ": too many");
		out_object(run->out, NULL);
		out_string(run->out, "program", programs[i].program);
		out_integer(run->out, "instructions", programs[i].instructions);
		out_end(run->out);
		if (!fits) {
			diag_error(&run->diag, NOWHERE, "'%s' takes %u verified instructions, %u at most are allowed",
				   programs[i].program, programs[i].instructions, VERIFIED_MOST);
			code = EXIT_FAILED;
		}
	}
	out_end(run->out);
	return code;
}
