// SPDX-License-Identifier: GPL-2.0
/* A running set against a new version of it: compared as the keys the kernel would hold, since that is all it kept. */
#include "delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Interfaces of the new rules that the running ones do not know get numbers that no interface has. */
#define UNKNOWN_IFINDEX 0x40000000

static struct device_env *devices_as_running(const struct running *running, const struct policy *policy)
{
	struct device_env *devices = calloc(policy->n_devices + 1, sizeof(*devices));

	for (size_t i = 0; devices && i < policy->n_devices; i++) {
		devices[i].ifindex = UNKNOWN_IFINDEX + (uint32_t)i;
		for (size_t n = 0; n < running->policy->n_devices; n++)
			if (!strcmp(policy->devices[i], running->policy->devices[n]) && running->devices[n].ifindex)
				devices[i].ifindex = running->devices[n].ifindex;
	}
	return devices;
}

static int new_image(const struct running *running, const struct policy *policy, const struct set *set,
		     struct set_image *ret, struct diag *diag)
{
	struct device_env *devices = devices_as_running(running, policy);
	int rc = devices ? set_image_of(ret, set, devices, diag) : -ENOMEM;

	free(devices);
	return rc;
}

static void count_keys(void *old_keys, size_t n_old, void *new_keys, size_t n_new, size_t size, struct set_delta *delta)
{
	char *old = old_keys, *new = new_keys;
	size_t i = 0, j = 0;

	n_old = set_keys_sort(old, n_old, size);
	n_new = set_keys_sort(new, n_new, size);
	while (i < n_old || j < n_new) {
		int order = i == n_old ? 1 : j == n_new ? -1 : memcmp(old + i * size, new + j *size, size);

		delta->removed += order < 0;
		delta->added += order > 0;
		i += order <= 0;
		j += order >= 0;
	}
}

int set_delta_live(struct weir_root *root, const struct set *old, const struct policy *policy, const struct set *new,
		   struct set_delta *ret, struct diag *diag)
{
	struct set_image live = { 0 }, wanted = { 0 };
	struct set_delta delta = { .known = true };
	int rc = 0;

	/* A set without content in the file keeps what it has, or begins empty. */
	if (old && new && (!set_types_same(old, new) || !new->has_content)) {
		*ret = (struct set_delta){ 0 };
		return 0;
	}
	if (old)
		rc = root_set_image(root, old, &live, diag);
	if (!rc && new)
		rc = new_image(root_running(root), policy, new, &wanted, diag);
	if (!rc) {
#define COUNT(map, member)                                                                                             \
	count_keys(live.member, live.n[map], wanted.member, wanted.n[map], sizeof(*live.member), &delta)
		COUNT(SET_WORD, word);
		COUNT(SET_WORD_LPM, word_lpm);
		COUNT(SET_QUAD, quad);
		COUNT(SET_QUAD_LPM, quad_lpm);
		COUNT(SET_TUPLE, tuple);
#undef COUNT
		*ret = delta;
	}
	set_image_clear(&live);
	set_image_clear(&wanted);
	return rc;
}
