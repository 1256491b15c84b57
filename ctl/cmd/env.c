// SPDX-License-Identifier: GPL-2.0
#include "env.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST  (512u << 20) /* bytes; beyond that it is no rule file but an accident */
#define GROUP_MOST (1u << 24)

static int read_fd(int fd, char **ret_text, size_t *ret_length)
{
	size_t capacity = 65536, length = 0;
	struct stat st;
	char *text;

	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		if (st.st_size > FILE_MOST)
			return -EFBIG;
		capacity = (size_t)st.st_size + 2;
	}
	text = malloc(capacity);
	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, text + length, capacity - length - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int rc = -errno;

			free(text);
			return rc;
		}
		length += (size_t)n;
		if (!n)
			break;
		if (length > FILE_MOST) {
			free(text);
			return -EFBIG;
		}
		if (length + 1 == capacity) {
			char *grown = realloc(text, capacity *= 2);

			if (!grown) {
				free(text);
				return -ENOMEM;
			}
			text = grown;
		}
	}
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

int file_read(const char *path, char **ret_text, size_t *ret_length)
{
	int fd, rc;

	if (!strcmp(path, "-"))
		return read_fd(STDIN_FILENO, ret_text, ret_length);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	rc = read_fd(fd, ret_text, ret_length);
	close(fd);
	return rc;
}

static int world_read(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	struct world *world = context;

	if (!strcmp(path, "-")) {
		/* The rules and a set cannot both come from there. */
		if (world->stdin_taken)
			return -EBUSY;
		world->stdin_taken = true;
	}
	return file_read(path, ret_text, ret_length);
}

static int world_glob(void *context, const char *pattern, char ***ret_paths, size_t *ret_n)
{
	glob_t found;
	char **paths;
	int rc = 0;

	(void)context;
	*ret_paths = NULL;
	*ret_n = 0;
	switch (glob(pattern, GLOB_ERR, NULL, &found)) {
	case 0:
		break;
	case GLOB_NOMATCH:
		return 0;
	case GLOB_NOSPACE:
		return -ENOMEM;
	default:
		return errno ? -errno : -EIO;
	}
	paths = calloc(found.gl_pathc + 1, sizeof(*paths));
	for (size_t i = 0; paths && i < found.gl_pathc; i++) {
		paths[i] = strdup(found.gl_pathv[i]);
		if (!paths[i])
			rc = -ENOMEM;
	}
	if (!paths)
		rc = -ENOMEM;
	if (rc && paths) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			free(paths[i]);
		free(paths);
	} else if (!rc) {
		*ret_paths = paths;
		*ret_n = found.gl_pathc;
	}
	globfree(&found);
	return rc;
}

int user_number(const char *name, uint32_t *ret_uid)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (!user)
		return errno ? -errno : -ENOENT;
	*ret_uid = user->pw_uid;
	return 0;
}

static int world_user(void *context, const char *name, uint32_t *ret_uid)
{
	(void)context;
	return user_number(name, ret_uid);
}

/* The members of a group may be many: the buffer grows with them. */
static int world_group(void *context, const char *name, uint32_t *ret_gid)
{
	struct group group, *found = NULL;
	int rc = ERANGE;

	(void)context;
	for (size_t size = 4096; rc == ERANGE && size <= GROUP_MOST; size *= 2) {
		char *buffer = malloc(size);

		if (!buffer)
			return -ENOMEM;
		rc = getgrnam_r(name, &group, buffer, size, &found);
		free(buffer);
	}
	if (rc)
		return -rc;
	if (!found)
		return -ENOENT;
	*ret_gid = group.gr_gid;
	return 0;
}

struct lang_env world_env(struct world *world)
{
	return (struct lang_env){
		.context = world,
		.read_file = world_read,
		.glob = world_glob,
		.lookup_user = world_user,
		.lookup_group = world_group,
	};
}
