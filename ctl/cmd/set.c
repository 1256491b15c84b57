// SPDX-License-Identifier: GPL-2.0
/* set: the elements of the running sets. */
#include "cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../command.h"
#include "../lang/strbuf.h"
#include "../lang/suggest.h"
#include "../out/out.h"
#include "env.h"
#include "rules.h"

/* A set of the running rules, with the lock held, and the elements that the command line gave. */
struct target {
	struct weir_root *root;
	const struct running *running;
	const struct set *set;
	struct element_list list;
};

static void target_close(struct target *target)
{
	element_list_clear(&target->list);
	if (target->root)
		root_close(target->root);
}

static int target_open(struct run *run, struct target *target)
{
	const char *name = run->operands[0];
	const struct policy *policy;
	struct suggestion near;
	int code = running_open(run, &target->root, &target->running);

	if (code != EXIT_DONE)
		return code;
	policy = target->running->policy;
	suggest_start(&near, name, strlen(name));
	for (size_t i = 0; i < policy->n_sets; i++) {
		if (!strcmp(policy->sets[i].name, name)) {
			target->set = &policy->sets[i];
			return EXIT_DONE;
		}
		suggest_offer(&near, policy->sets[i].name);
	}
	diag_error(&run->diag, NOWHERE, "the running rules have no set '%s'", name);
	if (suggest_best(&near))
		diag_hint(&run->diag, "did you mean '%s'?", suggest_best(&near));
	else
		diag_hint(&run->diag, "'weir set list' lists them");
	return EXIT_FAILED;
}

/* What the elements are read from. It is read before the lock is taken: whoever writes it may need the lock, too. */
struct input {
	const char *origin;
	char *text;
	size_t length;
};

static int input_file(struct run *run, const char *file, struct input *input)
{
	int rc = file_read(file, &input->text, &input->length);

	input->origin = strcmp(file, "-") ? file : "standard input";
	if (!rc)
		return EXIT_DONE;
	diag_errno(&run->diag, -rc, "cannot read '%s'", input->origin);
	return EXIT_FAILED;
}

/* Words of an element that may be arguments of their own, and those that want another one behind them. */
static bool takes_value(const char *word)
{
	return !strcmp(word, "timeout") || !strcmp(word, "expires") || !strcmp(word, "packets") ||
	       !strcmp(word, "bytes");
}

static bool belongs_behind(const char *word)
{
	return takes_value(word) || !strcmp(word, "counter");
}

/* Elements from the command line, or, where there are none or "-", from standard input. */
static int input_operands(struct run *run, struct input *input)
{
	char **elements = run->operands + 1;
	size_t n = run->n_operands - 1;
	struct strbuf lines = { 0 };

	if (!n && isatty(STDIN_FILENO)) {
		diag_error(&run->diag, NOWHERE, "'%s' needs elements: as arguments, or one a line on standard input",
			   run->command->name);
		return EXIT_USAGE;
	}
	if (!n || (n == 1 && !strcmp(elements[0], "-")))
		return input_file(run, "-", input);
	/* As lines of one text: an element of a concatenation may hold spaces, and errors name line 3 for the third. */
	for (size_t i = 0; i < n; i++) {
		bool goes_on = i + 1 < n && (belongs_behind(elements[i + 1]) || takes_value(elements[i]));

		strbuf_format(&lines, "%s%c", elements[i], goes_on ? ' ' : '\n');
	}
	*input = (struct input){ .origin = "arguments", .length = lines.length };
	input->text = strbuf_take(&lines);
	if (input->text)
		return EXIT_DONE;
	diag_oom(&run->diag);
	return EXIT_FAILED;
}

static int target_parse(struct run *run, struct target *target, const struct input *input)
{
	/* The policy is that of the running rules, which nobody else uses before root_close(). */
	struct policy *policy = (struct policy *)target->running->policy;
	size_t n_devices = policy->n_devices;
	int rc = elements_parse(&target->list, policy, target->set, input->origin, input->text, input->length, 0,
				&run->diag);

	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	if (!rc && policy->n_devices > n_devices) {
		diag_error(&run->diag, NOWHERE, "the running rules do not know the device '%s'",
			   policy->devices[n_devices]);
		diag_hint(&run->diag, "name it in the rule file and apply that");
		rc = -EINVAL;
	}
	return rc ? EXIT_FAILED : EXIT_DONE;
}

/* The set that the command line names, and the elements; for all commands that have elements. */
static int target_read(struct run *run, struct target *target, const struct input *input)
{
	int code = target_open(run, target);

	return code == EXIT_DONE ? target_parse(run, target, input) : code;
}

/* ---- add, del, load, flush ---- */

typedef int (*change_function)(struct weir_root *root, const struct set *set, const struct element_list *elements,
			       struct set_change *ret, struct diag *diag);

static int change(struct run *run, struct target *target, change_function function)
{
	struct set_change done = { 0 };
	int rc = function(target->root, target->set, &target->list, &done, &run->diag);

	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	if (rc)
		return EXIT_FAILED;
	out_text(run->out, "set %s: %zu added, %zu deleted, %zu unchanged", target->set->name, done.added, done.deleted,
		 done.unchanged);
	if (target->set->has_timeout)
		out_text(run->out, ", %zu refreshed", done.refreshed);
	out_text(run->out, "\n");
	out_string(run->out, "set", target->set->name);
	out_integer(run->out, "added", done.added);
	out_integer(run->out, "deleted", done.deleted);
	out_integer(run->out, "unchanged", done.unchanged);
	out_integer(run->out, "refreshed", done.refreshed);
	return EXIT_DONE;
}

static int change_by(struct run *run, struct input *input, int code, change_function function)
{
	struct target target = { 0 };

	if (code == EXIT_DONE)
		code = target_read(run, &target, input);
	if (code == EXIT_DONE)
		code = change(run, &target, function);
	target_close(&target);
	free(input->text);
	return code;
}

static int change_operands(struct run *run, change_function function)
{
	struct input input = { 0 };
	int code = input_operands(run, &input);

	return change_by(run, &input, code, function);
}

int cmd_set_add(struct run *run)
{
	return change_operands(run, root_set_add);
}

int cmd_set_del(struct run *run)
{
	return change_operands(run, root_set_del);
}

int cmd_set_load(struct run *run)
{
	struct input input = { 0 };
	int code = input_file(run, run->operands[1], &input);

	return change_by(run, &input, code, root_set_replace);
}

int cmd_set_flush(struct run *run)
{
	struct target target = { 0 };
	int code = target_open(run, &target);

	if (code == EXIT_DONE)
		code = change(run, &target, root_set_replace);
	target_close(&target);
	return code;
}

/* ---- test ---- */

static int test_one(struct run *run, struct target *target, const struct element *element, bool *ret)
{
	char *text = element_print(target->running->policy, target->set, element->part);
	int rc = 0;

	if (!text) {
		diag_oom(&run->diag);
		return EXIT_FAILED;
	}
	for (unsigned int i = 0; i < target->set->n_types; i++)
		if (memcmp(&element->part[i].lo, &element->part[i].hi, sizeof(struct value)))
			rc = diag_error(&run->diag, element->loc, "'%s' is not one value, so no packet has it", text);
	if (!rc)
		rc = root_set_test(target->root, target->set, element, ret, &run->diag);
	if (!rc) {
		out_text(run->out, "%s: %s in %s\n", text, *ret ? "is" : "is not", target->set->name);
		out_object(run->out, NULL);
		out_string(run->out, "element", text);
		out_bool(run->out, "found", *ret);
		out_end(run->out);
	}
	free(text);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

/* Elements, then addresses. */
static struct element element_at(const struct element_list *list, size_t i, struct range *range)
{
	if (i < list->n)
		return list->elements[i];
	i -= list->n;
	if (i < list->addresses.n4)
		address_range4(&list->addresses.v4[i], range);
	else
		address_range6(&list->addresses.v6[i - list->addresses.n4], range);
	return (struct element){ .part = range };
}

int cmd_set_test(struct run *run)
{
	struct target target = { 0 };
	struct input input = { 0 };
	bool all = true;
	int code = input_operands(run, &input);

	if (code == EXIT_DONE)
		code = target_read(run, &target, &input);
	if (code != EXIT_DONE)
		goto out;
	out_string(run->out, "set", target.set->name);
	out_array(run->out, "elements");
	for (size_t i = 0; i < target.list.n + target.list.addresses.n4 + target.list.addresses.n6; i++) {
		struct range range;
		struct element element = element_at(&target.list, i, &range);
		bool found = false;

		if (test_one(run, &target, &element, &found) != EXIT_DONE)
			code = EXIT_FAILED;
		all &= found;
	}
	out_end(run->out);
	if (code == EXIT_DONE && !all)
		code = EXIT_DIFFERENT;
out:
	target_close(&target);
	free(input.text);
	return code;
}

/* ---- list ---- */

/* One element; value is NULL where the set has none. */
static int list_element(struct run *run, const struct policy *policy, const struct set *set, const struct range *parts,
			const struct set_value *value)
{
	struct element_extra extra = { 0 };
	char *text = element_print(policy, set, parts), *behind;

	if (value)
		extra = (struct element_extra){
			.timeout_ms = set->timeout_ms == value->timeout_ns / 1000000 ? 0 : value->timeout_ns / 1000000,
			.expires_ms = value->expires_ns ? value->expires_ns / 1000000 + 1 : 0,
			.counter = set->has_counter,
			.packets = value->packets,
			.bytes = value->bytes,
		};
	behind = element_extra_print(&extra);
	if (!text || !behind) {
		free(text);
		free(behind);
		return -ENOMEM;
	}
	out_text(run->out, "%s%s\n", text, behind);
	if (!value) {
		out_string(run->out, NULL, text);
	} else {
		out_object(run->out, NULL);
		out_string(run->out, "element", text);
		if (set->has_timeout && value->expires_ns) {
			out_integer(run->out, "timeout_ms", value->timeout_ns / 1000000);
			out_integer(run->out, "expires_ms", extra.expires_ms);
		} else if (set->has_timeout) {
			out_null(run->out, "timeout_ms");
			out_null(run->out, "expires_ms");
		}
		if (set->has_counter) {
			out_integer(run->out, "packets", value->packets);
			out_integer(run->out, "bytes", value->bytes);
		}
		out_end(run->out);
	}
	free(text);
	free(behind);
	return 0;
}

static int list_one(struct run *run, struct weir_root *root, const struct policy *policy, const struct set *set,
		    bool content)
{
	struct set_value *values = NULL;
	struct range *elements = NULL;
	size_t n = 0;
	char *type = set_type_text(set);
	int rc = !type     ? -ENOMEM
		 : content ? root_set_list(root, set, &elements, &values, &n, &run->diag)
			   : root_set_count(root, set, &n, &run->diag);

	if (rc)
		goto out;
	out_string(run->out, "name", set->name);
	out_string(run->out, "type", type);
	if (!content) {
		out_text(run->out, "%s: %s, %zu element%s\n", set->name, type, n, n == 1 ? "" : "s");
		out_integer(run->out, "elements", n);
		goto out;
	}
	out_array(run->out, "elements");
	for (size_t i = 0; i < n && !rc; i++)
		rc = list_element(run, policy, set, elements + i * set->n_types, values ? &values[i] : NULL);
	out_end(run->out);
out:
	if (rc == -ENOMEM)
		diag_oom(&run->diag);
	free(elements);
	free(values);
	free(type);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

static int list_all(struct run *run)
{
	const struct running *running;
	struct weir_root *root = NULL;
	int code = running_open(run, &root, &running);

	if (code != EXIT_DONE)
		return code;
	out_array(run->out, "sets");
	for (size_t i = 0; i < running->policy->n_sets && code == EXIT_DONE; i++) {
		out_object(run->out, NULL);
		code = list_one(run, root, running->policy, &running->policy->sets[i], false);
		out_end(run->out);
	}
	out_end(run->out);
	root_close(root);
	return code;
}

int cmd_set_list(struct run *run)
{
	struct target target = { 0 };
	int code;

	if (!run->n_operands)
		return list_all(run);
	code = target_open(run, &target);
	if (code == EXIT_DONE)
		code = list_one(run, target.root, target.running->policy, target.set, true);
	target_close(&target);
	return code;
}
