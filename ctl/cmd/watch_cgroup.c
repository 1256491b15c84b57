// SPDX-License-Identifier: GPL-2.0
/* What the names of cgroups say, by the custom of those who make them: whoever may make cgroups may also lie with them. */
#include "watch.h"

#include <ctype.h>
#include <string.h>

#define ID_DIGITS 64 /* of a container's number; a name that was cut has fewer, */
#define ID_LEAST  12 /* and ends in "..."; the engines themselves show as many */

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length > n && !memcmp(text + length - n, end, n);
}

/* The number in one name: alone, or as `ENGINE-NUMBER.scope`. */
static const char *number_in(const char *name, size_t length, size_t *ret_length)
{
	static const char *const engines[] = { "docker-",     "libpod-",      "crio-",   "cri-containerd-",
					       "containerd-", "cri-dockerd-", "nerdctl-" };
	bool cut = ends_with(name, length, "...");
	size_t digits = 0;

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		size_t n = strlen(engines[i]);

		if (length > n && !memcmp(name, engines[i], n)) {
			name += n;
			length -= n;
			break;
		}
	}
	while (digits < length && isxdigit((unsigned char)name[digits]))
		digits++;
	*ret_length = digits;
	if (digits == ID_DIGITS && (length == digits || !strncmp(name + digits, ".scope", length - digits)))
		return name;
	if (cut && digits >= ID_LEAST && digits + strlen("...") == length)
		return name;
	*ret_length = 0;
	return NULL;
}

/* The innermost one: a container may run another one. */
const char *cgroup_container(const char *path, size_t *ret_length)
{
	const char *end = path + strlen(path);

	*ret_length = 0;
	while (end > path) {
		const char *name = end, *found;

		while (name > path && name[-1] != '/')
			name--;
		found = number_in(name, (size_t)(end - name), ret_length);
		if (found)
			return found;
		end = name > path ? name - 1 : path;
	}
	return NULL;
}

const char *cgroup_unit(const char *path, size_t *ret_length)
{
	static const char *const units[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

	*ret_length = 0;
	if (*path != '/') /* the upper end is missing */
		return NULL;
	while (*path) {
		size_t length = strcspn(++path, "/");

		if (!ends_with(path, length, ".slice")) {
			for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
				if (ends_with(path, length, units[i])) {
					*ret_length = length;
					return path;
				}
			return NULL;
		}
		path += length;
	}
	return NULL;
}
