// SPDX-License-Identifier: GPL-2.0
/* The library's entry: one file in, one checked policy out. */
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lang.h"
#include "words.h"

static void parse_and_check(struct lang *l, const char *name)
{
	struct policy *policy = arena_alloc(l->arena, sizeof(*policy));

	policy->arena = l->arena;
	flows_default(&policy->flows);
	policy->private = arena_alloc(l->arena, sizeof(*policy->private));
	policy->private->first_file = (uint16_t)(l->diag->n_sources + 1);
	l->policy = policy;
	l->private = policy->private;
	lang_read_file(l, arena_text(l->arena, name, strlen(name)), (struct location){ 0 });
	lang_check(l);
}

int policy_parse_file(struct policy **ret, const char *name, const struct lang_env *env, struct diag *diag)
{
	struct lang *l = calloc(1, sizeof(*l));
	size_t errors = diag->n_errors;
	struct arena *arena = arena_new();
	jmp_buf oom;
	int r;

	if (!l || !arena) {
		free(l);
		arena_free(arena);
		return diag_oom(diag);
	}
	l->arena = arena;
	l->diag = diag;
	l->env = env;
	l->errors_before = errors;
	if (setjmp(oom)) {
		r = diag_oom(diag);
	} else {
		arena_on_oom(arena, &oom);
		parse_and_check(l, name);
		r = diag->n_errors > errors ? -EINVAL : diag->out_of_memory ? -ENOMEM : 0;
	}
	arena_on_oom(arena, NULL);
	if (r < 0)
		arena_free(arena);
	else
		*ret = l->policy;
	free(l->borrowed);
	free(l);
	return r;
}

const char *policy_verdict_word(enum policy_verdict verdict)
{
	static const char *const words[POLICY_VERDICT_MAX] = {
		[POLICY_NONE] = "continue",     [POLICY_ACCEPT] = "accept", [POLICY_DROP] = "drop",
		[POLICY_REDIRECT] = "redirect", [POLICY_REJECT] = "reject", [POLICY_SYNPROXY] = "synproxy",
	};

	return words[verdict];
}

const char *policy_ct_word(enum policy_ct ct)
{
	return words_name(TYPE_CTSTATE, ct);
}

const char *policy_fragments_word(enum policy_fragments fragments)
{
	static const char *const words[] = { "drop", "accept", "track" };

	return words[fragments];
}

void policy_free(struct policy *policy)
{
	if (policy)
		arena_free(policy->arena);
}

char *policy_source_brief(const struct policy *policy, size_t number, size_t *ret_length)
{
	const struct source *source = &policy->sources[number];
	const char *from = source->text, *end = from + source->length;
	char *text = malloc(source->length + 1), *to = text;

	if (!text)
		return NULL;
	while (from < end) {
		const struct source_gap *next = NULL;
		size_t n;

		for (size_t i = 0; i < policy->n_gaps; i++)
			if (policy->gaps[i].from >= from && policy->gaps[i].to <= end &&
			    (!next || policy->gaps[i].from < next->from))
				next = &policy->gaps[i];
		n = (size_t)((next ? next->from : end) - from);
		memcpy(to, from, n);
		to += n;
		from += n;
		if (!next)
			break;
		for (; from < next->to; from++)
			if (*from == '\n')
				*to++ = '\n';
	}
	*to = '\0';
	*ret_length = (size_t)(to - text);
	return text;
}

bool set_takes_bans(const struct set *set)
{
	return set->n_types == 1 && set->type[0] == TYPE_ADDR && !set->has_content && set->has_timeout && set->size;
}

const char *policy_location_file(const struct policy *policy, struct location loc)
{
	unsigned int first = policy->private ? policy->private->first_file : 1;
	const char *name, *slash;

	if (loc.file < first || loc.file - first >= policy->n_sources)
		return "";
	name = policy->sources[loc.file - first].name;
	if (!strcmp(name, "-"))
		return "stdin";
	slash = strrchr(name, '/');
	return slash ? slash + 1 : name;
}
