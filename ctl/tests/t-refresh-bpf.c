// SPDX-License-Identifier: GPL-2.0
/* Guards follow the names of users and the devices of the host: root_refresh(), in namespaces and a cgroup of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kernel/kernel.h"
#include "check.h"

#define FIRST  47101
#define SECOND 47102
#define NOBODY 47103

static char cgroup[4200], bpffs[100], users[] = "/tmp/weir-t-users-XXXXXX";
static struct weir_root *root;
static struct diag diag;

static const char rules[] = "guard g {\n"
			    "\tendpoint 192.0.2.7:7\n"
			    "\tallow user weir-t-user\n"
			    "\tforwarded allow from late0\n"
			    "}\n";

static void is(const char *what, uint64_t got, uint64_t want)
{
	check(got == want, "%s: %llu, not %llu", what, (unsigned long long)got, (unsigned long long)want);
}

/* ---- the world ---- */

static bool run(const char *command)
{
	return system(command) == 0;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

/* uid 0: there is no such user. */
static void user_is(unsigned int uid)
{
	char text[200] = "root:x:0:0::/:/bin/sh\n";

	if (uid)
		snprintf(text + strlen(text), 100, "weir-t-user:x:%u:%u::/:/bin/sh\n", uid, uid);
	write_text(users, text);
}

static bool make_cgroup(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	while (mounts && (mount = getmntent(mounts)))
		if (!strcmp(mount->mnt_type, "cgroup2"))
			snprintf(cgroup, sizeof(cgroup), "%.4000s/weir-t-refresh-%d", mount->mnt_dir, getpid());
	if (mounts)
		endmntent(mounts);
	return *cgroup && mkdir(cgroup, 0755) == 0;
}

static bool make_world(void)
{
	int fd = mkstemp(users);

	if (fd < 0 || unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	close(fd);
	chmod(users, 0644);
	user_is(FIRST);
	snprintf(bpffs, sizeof(bpffs), "/sys/fs/bpf/weir-t-%d-refresh", getpid());
	return mount(users, "/etc/passwd", NULL, MS_BIND, NULL) == 0 &&
	       run("ip link add d0 type veth peer name d1 && ip addr add 192.0.2.1/24 dev d0 && ip link set d0 up && "
		   "ip link set d1 up") &&
	       make_cgroup();
}

static void end_world(void)
{
	struct diag quiet;

	diag_init(&quiet);
	root_down(bpffs, &quiet);
	diag_clear(&quiet);
	rmdir(cgroup);
	unlink(users);
}

/* ---- what it is asked ---- */

static int read_rules(void *context, const char *path, char **ret_text, size_t *ret_length)
{
	(void)context;
	(void)path;
	*ret_text = strdup(rules);
	*ret_length = strlen(rules);
	return *ret_text ? 0 : -ENOMEM;
}

static int look_up(void *context, const char *name, uint32_t *ret_uid)
{
	const struct passwd *user = getpwnam(name);

	(void)context;
	*ret_uid = user ? user->pw_uid : 0;
	return user ? 0 : -ENOENT;
}

static bool open_root(enum root_mode mode)
{
	return root_open(&root, bpffs, mode, &diag) == 0;
}

static bool apply(void)
{
	struct lang_env env = { .read_file = read_rules, .lookup_user = look_up };
	struct apply_options options = { .file = "guard.rules", .cgroup = cgroup };
	struct apply_result result;
	struct policy *policy = NULL;
	bool ok = policy_parse_file(&policy, "guard.rules", &env, &diag) == 0 && open_root(ROOT_CREATE) &&
		  root_apply(root, policy, &options, &result, &diag) == 0;

	policy_free(policy);
	return ok;
}

/* The errno of a connect() by this user. */
static int connect_as(uid_t uid)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7) };
	char procs[4300];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
		write_text(procs, "0");
		inet_pton(AF_INET, "192.0.2.7", &to.sin_addr);
		if (setgroups(0, NULL) || setgid(uid) || setuid(uid))
			_exit(255);
		_exit(connect(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&to, sizeof(to)) ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void only(const char *when, uid_t allowed)
{
	static const uid_t all[] = { FIRST, SECOND, NOBODY, 0 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		is(when, connect_as(all[i]), all[i] == allowed ? 0 : ECONNREFUSED);
}

/* A refresh that must say whether it did something; a second one has nothing left. Returns by how much the generation rose. */
static uint64_t refresh(const char *when, bool wanted)
{
	uint64_t before;
	bool changed;

	root_close(root);
	root = NULL;
	if (!check(open_root(ROOT_READ), "%s: it opens", when))
		return 0;
	before = root_running(root)->generation;
	is(when, root_refresh(root, &changed, &diag), 0);
	is(when, changed, wanted);
	is(when, root_refresh(root, &changed, &diag), 0);
	is(when, changed, false);
	return root_running(root)->generation - before;
}

static size_t guarded(const char *device)
{
	struct attachment *list;
	size_t n, found = 0;

	if (root_attachments(root, &list, &n, &diag))
		return 0;
	for (size_t i = 0; i < n; i++)
		found += list[i].guard && !list[i].cgroup && (!device || !strcmp(list[i].device, device));
	free(list);
	return found;
}

static void names(void)
{
	only("as applied", FIRST);
	is("nothing happened: the same generation", refresh("nothing happened", false), 0);
	user_is(SECOND);
	only("before a refresh the name is who it was", FIRST);
	is("renumbered: a new generation", refresh("renumbered", true), 1);
	only("renumbered", SECOND);
	user_is(0);
	is("deleted: a new generation", refresh("deleted", true), 1);
	only("deleted: nobody is allowed, not even root", (uid_t)-1);
	user_is(FIRST);
	refresh("back again", true);
	only("back again", FIRST);
}

static void devices(void)
{
	is("as applied: on every device but lo", guarded(NULL), 2);
	run("ip link add r0 type veth peer name r1");
	is("devices came: the same generation", refresh("devices came", true), 0);
	is("devices came: both have a guard", guarded("r0") + guarded("r1"), 2);
	run("ip link del r0");
	is("they left: the same generation", refresh("they left", true), 0);
	is("they left: nothing stays", guarded(NULL), 2);
	run("ip link add late0 type veth peer name late1");
	is("one that the rules name: a new generation", refresh("a named device", true), 1);
	is("a named device", guarded("late0"), 1);
	only("and the rules are what they were", FIRST);
}

int main(void)
{
	diag_init(&diag);
	if (!make_world() || !check(apply(), "the rules are applied")) {
		printf("no world: %s\n", diag.n ? diag.problems[0].message : strerror(errno));
		check(false, "the world is made");
	} else {
		names();
		devices();
	}
	if (diag.n)
		check(false, "%s", diag.problems[0].message);
	if (root)
		root_close(root);
	end_world();
	diag_clear(&diag);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
