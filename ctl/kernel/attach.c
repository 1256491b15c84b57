// SPDX-License-Identifier: GPL-2.0
/*
 * Programs on interfaces. Every attachment has a file under ROOT/links, made so that a killed command
 * can never leave one behind that has none:
 *
 *   xdp-link-IFINDEX   a BPF link, XDP in the driver      xdp-gen-IFINDEX    the same in the stack's generic hook
 *   xdp-disp-IFINDEX   a component of libxdp's dispatcher, found there by our control map; the file itself is only a
 *                      note, made before the component is put in place (xdp-dispg: generic)
 *   tci-tcx-IFINDEX    a TCX link, ingress (tce: egress)
 *   tci-cls-IFINDEX    a filter on clsact (the program is pinned, before it is attached)
 *   tci-clsq-IFINDEX   the same, and the qdisc is ours too
 *   gde-..., gdr-...   the same at egress, of the guards: by Ethernet header, and without one
 *   gc4-cgroup-ID      a link of the guards at a cgroup: connect, IPv4 (gc6: IPv6; gs4, gs6: sendmsg)
 */
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach.h"
#include "dispatcher.h"
#include "link.h"
#include "privilege.h"

const char *const attach_names[ENTRY_MAX] = { "xdp", "tci", "tce", "gde", "gdr", "gc4", "gc6", "gs4", "gs6" };

void pin_path(char path[600], const struct weir_root *root, const char *name)
{
	snprintf(path, 600, "%s/links/%s", root->path, name);
}

int pin_note(const struct weir_root *root, const char *name, int program)
{
	char path[600], fresh[600];
	int r;

	pin_path(path, root, name);
	pin_path(fresh, root, "note");
	unlink(fresh);
	r = bpf_obj_pin(program, fresh);
	return r ? r : rename(fresh, path) ? -errno : 0;
}

int pin_link(const struct weir_root *root, const char *name, int link)
{
	char path[600];
	int r;

	pin_path(path, root, name);
	unlink(path);
	r = bpf_obj_pin(link, path);
	close(link);
	return r;
}

bool entry_is_call(enum entry entry)
{
	return entry >= ENTRY_GUARD_CONNECT4;
}

static bool pin_parse(struct pin *pin, const char *name)
{
	char entry[8], kind[8];
	unsigned long long number;

	if (sscanf(name, "%7[a-z0-9]-%7[a-z]-%llu", entry, kind, &number) != 3)
		return false;
	for (enum entry i = 0; i < ENTRY_MAX; i++) {
		if (strcmp(entry, attach_names[i]))
			continue;
		*pin = (struct pin){ .entry = i };
		if (entry_is_call(i))
			pin->cgroup = number;
		else
			pin->ifindex = number;
		snprintf(pin->name, sizeof(pin->name), "%s-%s-%llu", entry, kind, number);
		snprintf(pin->kind, sizeof(pin->kind), "%s", kind);
		return true;
	}
	return false;
}

int pins_list(struct pin **ret, size_t *ret_n, const char *root)
{
	struct pin *pins = NULL;
	struct dirent *entry;
	char path[600];
	size_t n = 0;
	DIR *dir;

	*ret = NULL;
	*ret_n = 0;
	snprintf(path, sizeof(path), "%s/links", root);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		struct pin *grown = realloc(pins, (n + 1) * sizeof(*pins));

		if (!grown) {
			free(pins);
			closedir(dir);
			return -ENOMEM;
		}
		pins = grown;
		n += pin_parse(&pins[n], entry->d_name);
	}
	closedir(dir);
	*ret = pins;
	*ret_n = n;
	return 0;
}

bool pin_is(const struct pin *pin, const char *kind)
{
	return !strcmp(pin->kind, kind);
}

static bool is_dispatcher(const struct pin *pin)
{
	return pin_is(pin, "disp") || pin_is(pin, "dispg");
}

/* ---- XDP ---- */

static int xdp_busy(uint32_t ifindex, const char *device, bool force, struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_query_opts, query);
	uint32_t id = 0;

	if (bpf_xdp_query(ifindex, 0, &query) == 0)
		id = query.prog_id ?: query.drv_prog_id ?: query.skb_prog_id ?: query.hw_prog_id;
	diag_errno(diag, EBUSY, "cannot attach to '%s': somebody else's XDP program is there (id %u)", device, id);
	diag_hint(diag,
		  force ? "a BPF link holds it, which cannot be replaced: stop its owner"
			: "see `bpftool prog show id %u`; stop its owner, use --force to replace it, or judge at TC "
			  "with `hook ingress tc`",
		  id);
	return -EBUSY;
}

static void xdp_detach_any(uint32_t ifindex)
{
	bpf_xdp_detach(ifindex, 0, NULL);
	bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
}

/*
 * Why the driver refuses: links do not say, netlink does. libbpf passes the words on to its log; if the
 * driver takes the program this time, it is taken off again.
 */
static void driver_words(int program, uint32_t ifindex, uint32_t mode, char words[256])
{
	const char *mark = "Kernel error message: ", *at;

	*words = 0;
	load_log_reset();
	if (bpf_xdp_attach(ifindex, program, mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL) == 0)
		bpf_xdp_detach(ifindex, mode, NULL);
	at = strstr(load_log_tail(), mark);
	if (at)
		snprintf(words, 256, "%s", at + strlen(mark));
}

static int xdp_add_alone(const struct weir_root *root, uint32_t ifindex, const char *device, bool generic, bool force,
			 struct diag *diag)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	char name[64], words[256];
	int link, r;

	link = bpf_link_create(root->instance->program[ENTRY_XDP], ifindex, BPF_XDP, &opts);
	if (link < 0 && (errno == EBUSY || errno == EEXIST) && force) {
		xdp_detach_any(ifindex);
		link = bpf_link_create(root->instance->program[ENTRY_XDP], ifindex, BPF_XDP, &opts);
	}
	if (link < 0 && (errno == EBUSY || errno == EEXIST))
		return xdp_busy(ifindex, device, force, diag);
	if (link < 0) {
		r = -errno;
		driver_words(root->instance->program[ENTRY_XDP], ifindex, opts.flags, words);
		diag_errno(diag, -r, "cannot attach to '%s' in %s mode%s%s", device, generic ? "generic" : "native",
			   *words ? ": " : "", words);
		if (!generic)
			diag_hint(diag,
				  "`hook ingress generic` or `hook ingress tc` work with any driver; a smaller MTU, or "
				  "features off (`ethtool -K %s`), may let the driver take it",
				  device);
		return r;
	}
	snprintf(name, sizeof(name), "xdp-%s-%u", generic ? "gen" : "link", ifindex);
	r = pin_link(root, name, link);
	return r ? diag_errno(diag, -r, "cannot pin the link of '%s'", device) : 0;
}

static bool xdp_is_free(uint32_t ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return bpf_xdp_query(ifindex, 0, &query) == 0 && !query.prog_id && !query.drv_prog_id && !query.skb_prog_id;
}

static int xdp_add(const struct weir_root *root, uint32_t ifindex, const char *device, bool generic, bool force,
		   struct diag *diag)
{
	char name[64], path[600];
	int r;

	if (!kernel_has_dispatcher())
		return xdp_add_alone(root, ifindex, device, generic, force, diag);
	load_log_reset();
	snprintf(name, sizeof(name), "xdp-%s-%u", generic ? "dispg" : "disp", ifindex);
	r = pin_note(root, name, root->instance->program[ENTRY_XDP]);
	if (r == 0)
		r = dispatcher_add(root->instance, ifindex, generic, diag);
	if ((r == -EBUSY || r == -EEXIST) && force) {
		xdp_detach_any(ifindex);
		r = dispatcher_add(root->instance, ifindex, generic, diag);
	}
	if (r == 0)
		return 0;
	pin_path(path, root, name);
	unlink(path);
	if (r == -EBUSY || r == -EEXIST)
		return xdp_busy(ifindex, device, force, diag);
	/* The dispatcher did not work out: alone, if nobody is there. */
	if (xdp_is_free(ifindex))
		return xdp_add_alone(root, ifindex, device, generic, force, diag);
	return diag_errno(diag, -r, "cannot attach to '%s' beside the programs that are there (%s)", device,
			  load_log_tail());
}

int attach_add(const struct weir_root *root, enum hook hook, uint32_t ifindex, const char *device, bool generic,
	       bool force, struct diag *diag)
{
	if (hook == HOOK_XDP)
		return xdp_add(root, ifindex, device, generic, force, diag);
	return tc_add(root, (enum entry)hook, ifindex, device, diag);
}

int attach_remove(const struct weir_root *root, const struct pin *pin, struct diag *diag)
{
	char path[600];
	int r = 0, fd;

	pin_path(path, root, pin->name);
	if (pin_is_clsact(pin)) {
		r = cls_remove(root, pin);
	} else if (is_dispatcher(pin)) {
		load_log_reset();
		if (root->instance)
			r = dispatcher_remove(pin->ifindex, root->instance);
	} else {
		fd = bpf_obj_get(path);
		if (fd >= 0) {
			bpf_link_detach(fd);
			close(fd);
		}
	}
	if (r) {
		diag_errno(diag, -r, "cannot undo '%s' (%s)", path, load_log_tail());
		if (r == -EPERM && is_dispatcher(pin))
			diag_hint(diag, "to work on libxdp's dispatcher takes CAP_SYS_ADMIN");
		return r;
	}
	return unlink(path) && errno != ENOENT ? diag_errno(diag, errno, "cannot remove '%s'", path) : 0;
}

bool attach_may_move(const struct pin *pin)
{
	return !is_dispatcher(pin) || privilege_is_admin();
}

int attach_move(const struct weir_root *root, const struct pin *pin, const struct instance *to, struct diag *diag)
{
	char path[600];
	int r, fd;

	pin_path(path, root, pin->name);
	if (pin_is_clsact(pin)) {
		r = cls_move(root, pin, to);
	} else if (is_dispatcher(pin)) {
		/* Both are in the chain for a moment: the same rules twice, packets counted twice, none judged wrong. */
		load_log_reset();
		r = dispatcher_add(to, pin->ifindex, pin_is(pin, "dispg"), diag);
		if (r == 0 && root->instance)
			r = dispatcher_remove(pin->ifindex, root->instance);
		if (r == 0)
			r = pin_note(root, pin->name, to->program[pin->entry]);
	} else {
		fd = bpf_obj_get(path);
		if (fd < 0)
			return errno == ENOENT ? 0 : diag_errno(diag, errno, "cannot open '%s'", path);
		r = bpf_link_update(fd, to->program[pin->entry], NULL);
		if (r == -ENOLINK || r == -ENODEV) /* the interface or cgroup is gone, and the link with it */
			r = 0;
		close(fd);
	}
	return r ? diag_errno(diag, -r, "cannot replace the program of '%s' (%s)", path, load_log_tail()) : 0;
}

/* Is the program still where its file says? */
bool attach_alive(const struct weir_root *root, const struct pin *pin)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);
	bool alive = false;
	char path[600];
	int fd;

	pin_path(path, root, pin->name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	if (pin_is_clsact(pin))
		alive = cls_alive(pin);
	else if (is_dispatcher(pin))
		alive = dispatcher_holds(pin->ifindex, root->instance);
	else if (bpf_obj_get_info_by_fd(fd, &info, &length) == 0)
		alive = entry_is_call(pin->entry) ? info.cgroup.cgroup_id == pin->cgroup
						  /* of a TCX link, too, this is the first word behind the type */
						  : info.xdp.ifindex == pin->ifindex;
	close(fd);
	return alive;
}

static const char *how_attached(const struct pin *pin)
{
	static const struct {
		const char *kind, *how;
	} words[] = { { "link", "xdp native" },      { "gen", "xdp generic" }, { "disp", "xdp dispatcher" },
		      { "dispg", "xdp dispatcher" }, { "tcx", "tcx" },         { "cls", "clsact" },
		      { "clsq", "clsact" } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (pin_is(pin, words[i].kind))
			return words[i].how;
	return "unknown";
}

static struct attachment attachment_of(struct weir_root *root, const struct pin *pin)
{
	static const char *const calls[ENTRY_MAX] = {
		[ENTRY_GUARD_CONNECT4] = "cgroup connect4",
		[ENTRY_GUARD_CONNECT6] = "cgroup connect6",
		[ENTRY_GUARD_SENDMSG4] = "cgroup sendmsg4",
		[ENTRY_GUARD_SENDMSG6] = "cgroup sendmsg6",
	};
	struct attachment a = { .guard = pin->entry >= (enum entry)HOOK_MAX, .ifindex = pin->ifindex };

	if (entry_is_call(pin->entry)) {
		a.hook = HOOK_MAX;
		a.how = calls[pin->entry];
		a.cgroup =
			root->contents && root->contents->cgroup.id == pin->cgroup ? root->contents->cgroup.path : "?";
		a.gone = !attach_alive(root, pin);
		return a;
	}
	a.hook = a.guard ? HOOK_TC_EGRESS : (enum hook)pin->entry;
	a.how = how_attached(pin);
	a.gone = !attach_alive(root, pin) || link_name(pin->ifindex, a.device);
	return a;
}

int root_attachments(struct weir_root *root, struct attachment **ret, size_t *ret_n, struct diag *diag)
{
	struct attachment *list;
	struct pin *pins;
	size_t n;
	int r = pins_list(&pins, &n, root->path);

	if (r)
		return diag_errno(diag, -r, "cannot list '%s/links'", root->path);
	list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++)
		list[i] = attachment_of(root, &pins[i]);
	free(pins);
	if (!list)
		return diag_oom(diag);
	*ret = list;
	*ret_n = n;
	return 0;
}
