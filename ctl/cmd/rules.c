// SPDX-License-Identifier: GPL-2.0
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "../out/out.h"
#include "../lang/strbuf.h"
#include "env.h"

int rules_parse(const char *file, struct diag *diag, struct rules *ret)
{
	struct world world = { 0 };
	struct lang_env env = world_env(&world);
	struct rules rules = { 0 };
	int rc;

	rc = policy_parse_file(&rules.policy, file, &env, diag);
	if (rc == -ENOMEM)
		diag->out_of_memory = true;
	if (rc)
		return rc == -EINVAL ? EXIT_REJECTED : EXIT_FAILED;
	rules.devices = device_env_plain(rules.policy);
	rules.set_slot = set_slots_plain(rules.policy);
	if (!rules.devices || !rules.set_slot || counter_plan_plain(&rules.counters, rules.policy)) {
		rules_clear(&rules);
		diag_oom(diag);
		return EXIT_FAILED;
	}
	*ret = rules;
	return EXIT_DONE;
}

int rules_compile(struct rules *rules, struct diag *diag)
{
	struct compile_input input = {
		.policy = rules->policy,
		.devices = rules->devices,
		.set_slot = rules->set_slot,
		.counters = rules->counters,
	};
	int rc;

	rc = compile_policy(&rules->image, &input, diag);
	if (rc == -ENOMEM)
		diag->out_of_memory = true;
	return !rc ? EXIT_DONE : rc == -EINVAL ? EXIT_REJECTED : EXIT_FAILED;
}

void rules_clear(struct rules *rules)
{
	if (rules->image)
		image_free(rules->image);
	if (rules->counters)
		counter_plan_free(rules->counters);
	free(rules->set_slot);
	free(rules->devices);
	if (rules->policy)
		policy_free(rules->policy);
	*rules = (struct rules){ 0 };
}

int rules_exit(const struct diag *diag, int rc)
{
	if (!rc)
		return EXIT_DONE;
	/* An error that points into the rule file is the rules' fault; the kernel's refusals have no place. */
	for (size_t i = 0; i < diag->n; i++)
		if (diag->problems[i].severity == SEVERITY_ERROR && diag->problems[i].loc.file)
			return EXIT_REJECTED;
	return EXIT_FAILED;
}

int running_open(struct run *run, struct weir_root **ret_root, const struct running **ret_running)
{
	struct weir_root *root = NULL;
	int rc = root_open(&root, run->bpffs, ROOT_READ, &run->diag);

	if (!rc && root_running(root)) {
		*ret_running = root_running(root);
		*ret_root = root;
		return EXIT_DONE;
	}
	if (!rc)
		root_close(root);
	if (!rc || rc == -ENOENT) {
		diag_error(&run->diag, NOWHERE, "cannot read the running rules: nothing is loaded under '%s'",
			   run->bpffs);
		diag_hint(&run->diag, "'weir apply FILE' loads rules");
	}
	return EXIT_FAILED;
}

const char *hook_name(enum hook hook)
{
	static const char *const names[HOOK_MAX] = {
		[HOOK_XDP] = "xdp",
		[HOOK_TC_INGRESS] = "tc-ingress",
		[HOOK_TC_EGRESS] = "tc-egress",
	};

	return hook < HOOK_MAX ? names[hook] : "unknown";
}

enum hook hook_of(enum policy_hook hook)
{
	static const enum hook hooks[POLICY_HOOK_MAX] = {
		[POLICY_XDP] = HOOK_XDP,
		[POLICY_TC_INGRESS] = HOOK_TC_INGRESS,
		[POLICY_TC_EGRESS] = HOOK_TC_EGRESS,
	};

	return hooks[hook];
}

static const struct {
	const char *name, *text;
	char kind;
} reasons[REASON_MAX] = {
#define X(name, json, kind, text) [REASON_##name] = { json, text, #kind[0] },
	REASONS(X)
#undef X
};

void attachment_say(struct out *out, const struct attachment *a)
{
	out_bool(out, "guard", a->guard);
	out_string(out, "device", a->cgroup ? NULL : a->device);
	out_integer(out, "ifindex", a->ifindex);
	out_string(out, "cgroup", a->cgroup);
	out_string(out, "hook", a->cgroup ? NULL : hook_name(a->hook));
	out_string(out, "how", a->how);
	out_bool(out, "gone", a->gone);
}

const char *reason_name(enum reason reason)
{
	return reason < REASON_MAX ? reasons[reason].name : "unknown";
}

const char *reason_text(enum reason reason)
{
	return reason < REASON_MAX ? reasons[reason].text : "";
}

bool reason_is_malformed(enum reason reason)
{
	return reason < REASON_MAX && reasons[reason].kind == 'M';
}

char *set_type_text(const struct set *set)
{
	struct strbuf b = { 0 };

	for (unsigned int i = 0; i < set->n_types; i++)
		strbuf_format(&b, "%s%s", i ? " . " : "", value_type_name(set->type[i]));
	return strbuf_take(&b);
}

char *value_text(enum value_type type, unsigned int family, struct value value)
{
	struct set one = { .n_types = 1, .type = { type } };
	struct range range = { .family = (uint8_t)family, .prefix_len = 255, .lo = value, .hi = value };
	static const struct policy none;

	if (type == TYPE_ADDR)
		range.prefix_len = family == 4 ? 32 : 128;
	return element_print(&none, &one, &range);
}
