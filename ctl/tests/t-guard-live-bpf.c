// SPDX-License-Identifier: GPL-2.0
/*
 * Both layers of a guard with real senders: users, groups, cgroups, services, network namespaces.
 *
 *	guest (10.77.0.2) ---- c0  host  g0 ---- server (169.254.169.254, fd00:ec2::254)
 *
 * Three network namespaces of its own; the programs hang at g0's egress, and at cgroups of its own:
 *
 *	weir-t-PID.slice/     weir-t-long-...-name/deep
 *	                      weir-t.service/inner
 *	                      other
 *	user.slice/           weir-t.service
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <grp.h>

#include "guard_world_bpf.h"
#include "weir.skel.h"

#include "check.h"

#define IMDS    "169.254.169.254"
#define IMDS6   "fd00:ec2::254"
#define MAPPED  "::ffff:169.254.169.254"
#define PORT    80
#define OTHER   81
#define LONG    "weir-t-long-" LONG40 LONG40 LONG40 LONG40 LONG40 "-name"
#define LONG40  "abcdefghijklmnopqrstuvwxyz-0123456789-xx"
#define SERVICE "weir-t.service"

#define APP      1001 /* who is allowed */
#define WHEEL    2002
#define STRANGER 3003

enum { RULE_USER, RULE_GROUP, RULE_CGROUP, RULE_SERVICE };

static struct guard_world world;
static struct ring_buffer *ring;
static pid_t server, guest;
static char top[64];       /* the cgroup of its own */
static char mount_at[256]; /* of cgroup2 */
static char path[768];

/* ---- events ---- */

static struct guard_event events[256];
static unsigned int n_events;

static int keep_event(void *context, void *data, size_t size)
{
	(void)context;
	if (size >= sizeof(struct guard_event) && n_events < sizeof(events) / sizeof(*events))
		memcpy(&events[n_events++], data, sizeof(*events));
	return 0;
}

static void forget_events(void)
{
	struct guard_rate_key key, *last = NULL;
	int map = bpf_map__fd(world.bpf->maps.guard_rates);

	ring_buffer__consume(ring);
	n_events = 0;
	while (bpf_map_get_next_key(map, last, &key) == 0)
		bpf_map_delete_elem(map, &key);
}

static const struct guard_event *event_of(enum guard_layer layer, enum guard_outcome outcome)
{
	ring_buffer__consume(ring);
	for (unsigned int i = 0; i < n_events; i++)
		if (events[i].layer == layer && events[i].outcome == outcome)
			return &events[i];
	return NULL;
}

/* ---- cgroups ---- */

static const char *cgroup_path(const char *below)
{
	snprintf(path, sizeof(path), "%s/%s", mount_at, below);
	return path;
}

static void cgroup_join(const char *below)
{
	char procs[sizeof(path) + 16];
	int fd;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup_path(below));
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(250);
	close(fd);
}

static char made[32][256];
static unsigned int n_made;

static bool cgroup_make(const char *format, const char *name)
{
	char *below = made[n_made];

	snprintf(below, sizeof(made[0]), format, name);
	if (mkdir(cgroup_path(below), 0755))
		return errno == EEXIST;
	n_made++;
	return true;
}

static bool find_mount(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	while (mounts && !*mount_at && (mount = getmntent(mounts)))
		if (!strcmp(mount->mnt_type, "cgroup2"))
			snprintf(mount_at, sizeof(mount_at), "%s", mount->mnt_dir);
	if (mounts)
		endmntent(mounts);
	return *mount_at;
}

static bool attach(const char *below)
{
	int fd = open(cgroup_path(below), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done;

	done = fd >= 0 && bpf_program__attach_cgroup(world.bpf->progs.weir_guard_connect4, fd) &&
	       bpf_program__attach_cgroup(world.bpf->progs.weir_guard_connect6, fd) &&
	       bpf_program__attach_cgroup(world.bpf->progs.weir_guard_sendmsg4, fd) &&
	       bpf_program__attach_cgroup(world.bpf->progs.weir_guard_sendmsg6, fd);
	close(fd);
	return done;
}

static bool cgroups_make(void)
{
	char deep[256];

	snprintf(top, sizeof(top), "weir-t-%d.slice", getpid());
	snprintf(deep, sizeof(deep), "%s/other", top);
	if (!cgroup_make("%s", top) || !cgroup_make("%s/" LONG, top) || !cgroup_make("%s/" LONG "/deep", top) ||
	    !cgroup_make("%s/" SERVICE, top) || !cgroup_make("%s/" SERVICE "/inner", top) || !cgroup_make("%s", deep) ||
	    !cgroup_make("%s", "user.slice") || !cgroup_make("%s/" SERVICE, "user.slice"))
		return false;
	return attach(top) && attach("user.slice/" SERVICE);
}

/* ---- namespaces ---- */

static int __attribute__((format(printf, 1, 2))) sh(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return system(line);
}

static pid_t spawn(void (*run)(void))
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe2(ready, O_CLOEXEC))
		abort();
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
			_exit(1);
		run();
	}
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		abort();
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static socklen_t address(struct sockaddr_storage *ret, const char *text, unsigned int port)
{
	struct sockaddr_in6 *in6 = (void *)ret;
	struct sockaddr_in *in = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (strchr(text, ':')) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		inet_pton(AF_INET6, text, &in6->sin6_addr);
		return sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	inet_pton(AF_INET, text, &in->sin_addr);
	return sizeof(*in);
}

/* Says a byte to whoever comes, at both ports. */
static void serve(void)
{
	static const unsigned int ports[] = { PORT, OTHER };
	struct sockaddr_storage any, peer;
	struct pollfd wait[6];
	socklen_t n = address(&any, "::", 0);
	const int one = 1;
	char byte;

	for (int i = 0; i < 6; i++) {
		((struct sockaddr_in6 *)&any)->sin6_port = htons(ports[i % 2]);
		wait[i] = (struct pollfd){ .events = POLLIN };
		wait[i].fd = socket(AF_INET6, i < 2 ? SOCK_STREAM : SOCK_DGRAM, i < 4 ? 0 : IPPROTO_UDPLITE);
		setsockopt(wait[i].fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(wait[i].fd, (void *)&any, n) || (i < 2 && listen(wait[i].fd, 64)))
			wait[i].fd = -1;
	}
	while (poll(wait, 6, -1) >= 0)
		for (int i = 0; i < 6; i++) {
			if (!wait[i].revents)
				continue;
			if (i < 2) {
				int fd = accept(wait[i].fd, NULL, NULL);

				if (write(fd, "x", 1) != 1)
					perror("serve");
				close(fd);
			} else {
				n = sizeof(peer);
				if (recvfrom(wait[i].fd, &byte, 1, 0, (void *)&peer, &n) >= 0)
					sendto(wait[i].fd, "x", 1, 0, (void *)&peer, n);
			}
		}
	_exit(0);
}

static void sleep_on(void)
{
	for (;;)
		pause();
}

static bool namespaces_make(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(world.bpf->progs.weir_guard_egress));

	if (unshare(CLONE_NEWNET))
		return false;
	server = spawn(serve);
	guest = spawn(sleep_on);
	if (sh("ip link set lo up && ip link add g0 type veth peer name g1 netns %d && "
	       "ip link add c0 type veth peer name c1 netns %d && "
	       "ip addr add 169.254.1.1/16 dev g0 && ip addr add fd00:ec2::1/64 dev g0 nodad && "
	       "ip addr add 10.77.0.1/24 dev c0 && ip link set g0 up && ip link set c0 up && "
	       "echo 1 >/proc/sys/net/ipv4/ip_forward",
	       server, guest) ||
	    sh("nsenter -t %d -n sh -c 'ip link set lo up && ip addr add " IMDS "/16 dev g1 && "
	       "ip addr add " IMDS6 "/64 dev g1 nodad && ip link set g1 up && ip route add default via 169.254.1.1'",
	       server) ||
	    sh("nsenter -t %d -n sh -c 'ip addr add 10.77.0.2/24 dev c1 && ip link set c1 up && "
	       "ip route add default via 10.77.0.1'",
	       guest))
		return false;
	hook.ifindex = if_nametoindex("g0");
	return bpf_tc_hook_create(&hook) == 0 && bpf_tc_attach(&hook, &opts) == 0;
}

/* ---- who ---- */

struct who {
	unsigned int ruid, euid, gid, group; /* 0: root */
	const char *cgroup;                  /* below top; "/..." from the root of all; NULL: other */
	bool in_guest, in_userns;
};

#define CANNOT 249 /* what this kernel, or this place, does not have */

static void become(const struct who *who)
{
	char below[512], map[64];

	if (who->cgroup && *who->cgroup == '/')
		snprintf(below, sizeof(below), "%s", who->cgroup + 1);
	else
		snprintf(below, sizeof(below), "%s/%s", top, who->cgroup ?: "other");
	cgroup_join(below);
	if (who->in_guest) {
		snprintf(map, sizeof(map), "/proc/%d/ns/net", guest);
		if (setns(open(map, O_RDONLY | O_CLOEXEC), CLONE_NEWNET))
			_exit(251);
	}
	if (setgroups(who->group ? 1 : 0, &(gid_t){ who->group }) || setresgid(who->gid, who->gid, who->gid) ||
	    setresuid(who->ruid, who->euid, 0))
		_exit(252);
	if (!who->in_userns)
		return;
	if (setresuid(who->euid, who->euid, who->euid) || prctl(PR_SET_DUMPABLE, 1))
		_exit(253);
	if (unshare(CLONE_NEWUSER))
		_exit(CANNOT);
	snprintf(map, sizeof(map), "0 %u 1", who->euid);
	if (write(open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC), map, strlen(map)) < 0 || geteuid() != 0)
		_exit(254);
}

/* ---- what they do: 0 where a byte came back, else an errno ---- */

struct to {
	const char *address;
	unsigned int port;
};

static int answer_of(int fd)
{
	const struct timeval most = { .tv_usec = 300000 };
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	return recv(fd, &byte, 1, 0) == 1 ? 0 : errno ?: ENODATA;
}

static int stream(const struct to *to, int proto)
{
	const struct timeval most = { .tv_sec = 2 };
	struct sockaddr_storage at;
	socklen_t n = address(&at, to->address, to->port);
	int fd = socket(at.ss_family, SOCK_STREAM, proto);

	if (fd < 0)
		return CANNOT;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	return connect(fd, (void *)&at, n) ? errno : answer_of(fd);
}

static int tcp(const struct to *to)
{
	return stream(to, IPPROTO_TCP);
}

static int mptcp(const struct to *to)
{
	return stream(to, IPPROTO_MPTCP);
}

static int tcp_fast_open(const struct to *to)
{
	struct sockaddr_storage at;
	socklen_t n = address(&at, to->address, to->port);
	int fd = socket(at.ss_family, SOCK_STREAM, 0);

	return sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&at, n) < 0 ? errno : answer_of(fd);
}

static int datagram(const struct to *to, int proto, bool connected)
{
	struct sockaddr_storage at;
	socklen_t n = address(&at, to->address, to->port);
	int fd = socket(at.ss_family, SOCK_DGRAM, proto);

	if (connected && (connect(fd, (void *)&at, n) || send(fd, "x", 1, 0) < 0))
		return errno;
	if (!connected && sendto(fd, "x", 1, 0, (void *)&at, n) < 0)
		return errno;
	return answer_of(fd);
}

static int udp(const struct to *to)
{
	return datagram(to, IPPROTO_UDP, false);
}

static int udp_connected(const struct to *to)
{
	return datagram(to, IPPROTO_UDP, true);
}

static int udp_lite(const struct to *to)
{
	return datagram(to, IPPROTO_UDPLITE, true);
}

/* A datagram of a raw socket; its answer would come to another one. */
static int raw(const struct to *to)
{
	struct udphdr udp = { .source = htons(7777), .dest = htons(to->port), .len = htons(sizeof(udp) + 1) };
	struct sockaddr_storage at, own;
	socklen_t n = address(&own, "169.254.1.1", 7777);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), ear = socket(AF_INET, SOCK_DGRAM, 0);
	char packet[sizeof(udp) + 1];

	memcpy(packet, &udp, sizeof(udp));
	packet[sizeof(udp)] = 'x';
	if (bind(ear, (void *)&own, n))
		return errno;
	n = address(&at, to->address, 0);
	return sendto(fd, packet, sizeof(packet), 0, (void *)&at, n) < 0 ? errno : answer_of(ear);
}

static int as(const struct who *who, int (*what)(const struct to *), const struct to *to)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		become(who);
		errno = 0;
		_exit(what(to));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* IPv6 takes a moment after its devices are there. */
static bool is_ready(void)
{
	static const struct to both[] = { { IMDS, OTHER }, { IMDS6, OTHER } };
	const struct who root = { 0, 0, .gid = 0 };

	for (size_t i = 0; i < 2; i++) {
		int left = 20;

		while (as(&root, tcp, &both[i]))
			if (!--left)
				return false;
	}
	return true;
}

/* ---- rows ---- */

#define ALLOWED (1u << GUARD_DID_ALLOW)
#define DENIED  (1u << GUARD_DID_DENY)
#define CONTROL (1u << GUARD_DID_CONTROL)
#define PORTED  { IMDS, PORT }

static const struct row {
	const char *belief;
	struct who who;
	int (*what)(const struct to *);
	struct to to;
	int result;
	uint32_t calls, packets; /* bits of outcomes; CONTROL may always be there */
} rows[] = {
	/* clang-format off */
	{ "the user", { APP, APP, .gid = 9 }, tcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the user over IPv6", { APP, APP, .gid = 9 }, tcp, { IMDS6, PORT }, 0, ALLOWED, ALLOWED },
	{ "the user over IPv6 that is IPv4", { APP, APP, .gid = 9 }, tcp, { MAPPED, PORT }, 0, ALLOWED, ALLOWED },
	{ "the user's datagram", { APP, APP, .gid = 9 }, udp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the user's datagram over IPv6", { APP, APP, .gid = 9 }, udp, { IMDS6, PORT }, 0, ALLOWED, ALLOWED },
	{ "the user's connected datagram", { APP, APP, .gid = 9 }, udp_connected, { MAPPED, PORT }, 0, ALLOWED, ALLOWED },
	{ "the user's fast open", { APP, APP, .gid = 9 }, tcp_fast_open, PORTED, 0, ALLOWED, ALLOWED },
	{ "the user's MPTCP", { APP, APP, .gid = 9 }, mptcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the user's MPTCP over IPv6 that is IPv4", { APP, APP, .gid = 9 }, mptcp, { MAPPED, PORT }, 0, ALLOWED, ALLOWED },
	{ "the group's MPTCP", { STRANGER, STRANGER, .gid = WHEEL }, mptcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the user's UDP-Lite", { APP, APP, .gid = 9 }, udp_lite, PORTED, 0, 0, ALLOWED },
	{ "the effective user", { STRANGER, APP, .gid = 9 }, tcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the group", { STRANGER, STRANGER, .gid = WHEEL }, tcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "a supplementary group", { STRANGER, STRANGER, .gid = 9, .group = WHEEL }, udp, PORTED, 0, ALLOWED, ALLOWED },
	{ "the cgroup", { STRANGER, STRANGER, .cgroup = LONG }, tcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "below the cgroup", { STRANGER, STRANGER, .cgroup = LONG "/deep" }, tcp, { IMDS6, PORT }, 0, ALLOWED, ALLOWED },
	{ "the service", { STRANGER, STRANGER, .cgroup = SERVICE }, udp_connected, PORTED, 0, ALLOWED, ALLOWED },
	{ "below the service", { STRANGER, STRANGER, .cgroup = SERVICE "/inner" }, tcp, PORTED, 0, ALLOWED, ALLOWED },

	{ "root", { 0, 0, .gid = 9 }, tcp, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "a stranger", { STRANGER, STRANGER, .gid = 9 }, tcp, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "a stranger over IPv6", { STRANGER, STRANGER, .gid = 9 }, tcp, { IMDS6, PORT }, ECONNREFUSED, DENIED, 0 },
	{ "a stranger over IPv6 that is IPv4", { STRANGER, STRANGER, .gid = 9 }, tcp, { MAPPED, PORT }, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's datagram", { STRANGER, STRANGER, .gid = 9 }, udp, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's datagram over IPv6", { STRANGER, STRANGER, .gid = 9 }, udp, { MAPPED, PORT }, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's connected datagram", { STRANGER, STRANGER, .gid = 9 }, udp_connected, { IMDS6, PORT }, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's fast open", { STRANGER, STRANGER, .gid = 9 }, tcp_fast_open, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's MPTCP", { STRANGER, STRANGER, .gid = 9 }, mptcp, { IMDS6, PORT }, ECONNREFUSED, DENIED, 0 },
	{ "a stranger's UDP-Lite", { STRANGER, STRANGER, .gid = 9 }, udp_lite, PORTED, EAGAIN, 0, DENIED },
	{ "root's raw socket", { 0, 0, .gid = 9 }, raw, PORTED, EAGAIN, 0, DENIED },
	{ "the real user", { APP, STRANGER, .gid = 9 }, tcp, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "a stranger who calls himself root", { STRANGER, STRANGER, .gid = 9, .in_userns = true }, tcp, PORTED, ECONNREFUSED, DENIED, 0 },
	{ "the user who calls himself root", { APP, APP, .gid = 9, .in_userns = true }, tcp, PORTED, 0, ALLOWED, ALLOWED },
	{ "a service of a user", { STRANGER, STRANGER, .cgroup = "/user.slice/" SERVICE }, tcp, PORTED, ECONNREFUSED, DENIED, 0 },

	{ "a stranger to another port", { STRANGER, STRANGER, .gid = 9 }, tcp, { IMDS, OTHER }, 0, 0, 0 },
	{ "a stranger's datagram to another port", { STRANGER, STRANGER, .gid = 9 }, udp, { IMDS6, OTHER }, 0, 0, 0 },

	{ "a stranger where no call is seen", { STRANGER, STRANGER, .cgroup = "/" }, tcp, PORTED, ECONNREFUSED, 0, DENIED },
	{ "the same over IPv6", { STRANGER, STRANGER, .cgroup = "/" }, tcp, { IMDS6, PORT }, ECONNREFUSED, 0, DENIED },
	{ "the same, a datagram", { STRANGER, STRANGER, .cgroup = "/" }, udp, PORTED, EAGAIN, 0, DENIED },
	{ "the user where no call is seen", { APP, APP, .cgroup = "/" }, tcp, PORTED, 0, 0, ALLOWED },
	/* clang-format on */
};

static void set_guard(void)
{
	char name[512];

	guard_world_clear(&world);
	guard_world_endpoint(&world, 0, IMDS, 32, PORT);
	guard_world_endpoint(&world, 0, IMDS6, 128, PORT);
	guard_world_allow(&world, 0, GUARD_USER, APP, 1u << RULE_USER);
	guard_world_allow(&world, 0, GUARD_GROUP, WHEEL, 1u << RULE_GROUP);
	snprintf(name, sizeof(name), "/%s/" LONG, top);
	guard_world_allow(&world, 0, GUARD_CGROUP, guard_world_name(&world, name), 1u << RULE_CGROUP);
	guard_world_allow(&world, 0, GUARD_SERVICE, guard_world_name(&world, SERVICE), 1u << RULE_SERVICE);
	guard_world_guard(&world, 0)->plain = 0xf;
	guard_world_guard(&world, 0)->audit = GUARD_AUDIT_ALL;
	guard_world_turn(&world);
}

static void expect(const struct row *row)
{
	uint32_t calls, packets;
	int result;

	guard_world_outcomes(&world, GUARD_CALL);
	guard_world_outcomes(&world, GUARD_PACKET);
	forget_events();
	result = as(&row->who, row->what, &row->to);
	if (result == CANNOT) {
		printf("skipped: %s\n", row->belief);
		return;
	}
	calls = guard_world_outcomes(&world, GUARD_CALL);
	packets = guard_world_outcomes(&world, GUARD_PACKET);
	check(result == row->result, "%s: gets %d (%s), and should get %d", row->belief, result, strerror(result),
	      row->result);
	check(calls == row->calls, "%s: calls are 0x%x, and should be 0x%x", row->belief, calls, row->calls);
	check((packets & ~CONTROL) == row->packets, "%s: packets are 0x%x, and should be 0x%x", row->belief, packets,
	      row->packets);
	if (row->calls) {
		const struct guard_event *e = event_of(GUARD_CALL, __builtin_ctz(row->calls));

		check(e && e->euid == row->who.euid && e->uid == row->who.ruid, "%s: the call's event", row->belief);
	}
	if (row->packets) {
		const struct guard_event *e = event_of(GUARD_PACKET, __builtin_ctz(row->packets));
		bool told_by_call = row->calls && __builtin_ctz(row->packets) == GUARD_DID_ALLOW;

		check(told_by_call ? !e : e && e->has & GUARD_HAS_OWNER && !(e->has & GUARD_HAS_STAMP) == !row->calls,
		      "%s: the packet's event", row->belief);
	}
}

/* ---- what else ---- */

static void test_event(void)
{
	const struct who who = { STRANGER, STRANGER, .gid = 77 };
	const struct to to = { IMDS, PORT };
	const struct guard_event *e;
	char *name;

	forget_events();
	as(&who, tcp, &to);
	e = event_of(GUARD_CALL, GUARD_DID_DENY);
	if (!check(e, "a denied call is told"))
		return;
	check(e->kind == EVENT_GUARD && e->guard == 0 && e->generation == world.control->generation, "its guard");
	check(e->family == 4 && e->daddr[0] == 0xa9fea9fe && e->dport == PORT && e->proto == IPPROTO_TCP && e->cookie,
	      "where it went");
	check(e->has == GUARD_HAS_TASK && e->gid == 77 && e->pid && (pid_t)e->ppid == getpid() && e->netns,
	      "who it was: gid %u, pid %u, parent %u", e->gid, e->pid, e->ppid);
	name = program_invocation_short_name;
	check(!strncmp(e->comm, name, 15), "its name, '%s'", e->comm);
	check(!strcmp(e->exe[0], name), "its program, '%s'", e->exe[0]);
	check(!strcmp(e->cgroup[0], "other") && !strcmp(e->cgroup[1], top) && !*e->cgroup[2], "its cgroup, '%s'",
	      e->cgroup[0]);
	check(e->cgroup_id, "its cgroup's number");
}

static int hammer(const struct to *to)
{
	for (int i = 0; i < 100; i++)
		tcp(to);
	return tcp(to);
}

static void test_rates(void)
{
	const struct guard_rate_key key = { .uid = STRANGER, .guard = 0, .denied = 1 };
	const struct who who = { STRANGER, STRANGER, .gid = 9 };
	const struct to to = { IMDS, PORT };
	struct guard_rate rate = { 0 };
	uint64_t lost = guard_world_lost(&world);
	unsigned int told;

	forget_events();
	as(&who, hammer, &to);
	event_of(0, 0);
	told = n_events;
	lost = guard_world_lost(&world) - lost;
	bpf_map_lookup_elem(bpf_map__fd(world.bpf->maps.guard_rates), &key, &rate);
	check(told >= GUARD_EVENTS_BURST && told < 60, "%u of 101 are told", told);
	check(told + lost == 101 && rate.lost == lost && rate.untold, "the others are counted: %llu, %llu, %llu",
	      (unsigned long long)lost, (unsigned long long)rate.lost, (unsigned long long)rate.untold);
	usleep(150000);
	n_events = 0;
	as(&who, tcp, &to);
	check(event_of(GUARD_CALL, GUARD_DID_DENY) && events[0].untold == rate.untold, "the next one says how many");
}

/* A socket is connected under one generation, and sends under others. Bits of what failed. */
static int turns(const struct to *to)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), failures = 0;
	struct guard_stamp_slot {
		uint32_t lock, pad;
		struct guard_stamp stamp;
	} slot = { 0 };
	struct sockaddr_storage at;
	socklen_t n = address(&at, to->address, to->port);

	if (connect(fd, (void *)&at, n) || send(fd, "x", 1, 0) != 1 || answer_of(fd))
		failures |= 1;
	if (seteuid(0) || bpf_map_lookup_elem(bpf_map__fd(world.bpf->maps.guard_stamps), &fd, &slot) ||
	    slot.stamp.generation != world.control->generation || slot.stamp.rules != 1u << RULE_GROUP ||
	    slot.stamp.guard || slot.stamp.n != 1 || slot.stamp.principal[0].who != GUARD_GROUP ||
	    slot.stamp.principal[0].id != WHEEL || slot.stamp.euid != STRANGER || slot.stamp.pid != (uint32_t)getpid())
		failures |= 2;
	guard_world_allow(&world, 0, GUARD_GROUP, WHEEL, 0);
	guard_world_turn(&world);
	if (send(fd, "x", 1, 0) == 1 && answer_of(fd) == 0)
		failures |= 4;
	guard_world_allow(&world, 0, GUARD_USER, STRANGER, 1u << RULE_USER);
	guard_world_turn(&world);
	if (send(fd, "x", 1, 0) != 1 || answer_of(fd))
		failures |= 8;
	set_guard();
	if (send(fd, "x", 1, 0) != 1 || answer_of(fd))
		failures |= 16;
	return failures;
}

static void test_turns(void)
{
	const struct who who = { STRANGER, STRANGER, .gid = WHEEL };
	const struct to to = { IMDS, PORT };
	int failures = as(&who, turns, &to);

	check(!(failures & 1), "a group's socket sends");
	check(!(failures & 2), "its stamp says why");
	check(!(failures & 4), "not once its group is not allowed any more");
	check(!(failures & 8), "again when its user is");
	check(!(failures & 16), "and when its group is again");
	set_guard(); /* what the process did was to a copy */
}

static void test_forwarded(void)
{
	static const struct {
		const char *belief;
		enum guard_forwarded forwarded;
		const char *device;
		const char *cgroup;
		int result;
		uint32_t calls, packets;
	} cases[] = {
		{ "a guest's call", GUARD_FROM_NONE, NULL, NULL, ECONNREFUSED, 1u << GUARD_DID_DENY_FORWARDED, 0 },
		{ "a guest's packet", GUARD_FROM_NONE, NULL, "/", ECONNREFUSED, 0, 1u << GUARD_DID_DENY_FORWARDED },
		{ "guests are allowed", GUARD_FROM_ALL, NULL, NULL, 0, 1u << GUARD_DID_FORWARDED,
		  1u << GUARD_DID_FORWARDED },
		{ "from its device", GUARD_FROM_SOME, "c0", NULL, 0, 0, 1u << GUARD_DID_FORWARDED },
		{ "from another device", GUARD_FROM_SOME, "lo", NULL, ECONNREFUSED, 0, 1u << GUARD_DID_DENY_FORWARDED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct row row = { .belief = cases[i].belief,
					 .who = { APP, APP, .cgroup = cases[i].cgroup, .in_guest = true },
					 .what = tcp,
					 .to = PORTED };
		struct guard *guard = guard_world_guard(&world, 0);
		uint32_t calls, packets;
		int result;

		guard->forwarded = cases[i].forwarded;
		guard->n_devices = 1;
		guard->device[0] = cases[i].device ? if_nametoindex(cases[i].device) : 0;
		guard_world_turn(&world);
		guard_world_outcomes(&world, GUARD_CALL);
		guard_world_outcomes(&world, GUARD_PACKET);
		result = as(&row.who, row.what, &row.to);
		calls = guard_world_outcomes(&world, GUARD_CALL);
		packets = guard_world_outcomes(&world, GUARD_PACKET);
		check(result == cases[i].result && calls == cases[i].calls && packets == cases[i].packets,
		      "%s: gets %d, calls are 0x%x, packets 0x%x", cases[i].belief, result, calls, packets);
	}
	set_guard();
}

/* A guest with a device on top of the host's: its packets leave with its own socket. */
static void test_macvlan(void)
{
	const struct who who = { APP, APP, .gid = 9, .cgroup = "/", .in_guest = true };
	const struct to to = { IMDS, PORT };
	uint32_t packets;
	int result;

	if (sh("ip link add mv0 link g0 type macvlan mode bridge 2>/dev/null")) {
		printf("skipped: this kernel has no macvlan\n");
		return;
	}
	sh("ip link set mv0 netns %d && nsenter -t %d -n sh -c 'ip addr add 169.254.1.2/16 dev mv0 && ip link set mv0 "
	   "up'",
	   guest, guest);
	guard_world_outcomes(&world, GUARD_PACKET);
	result = as(&who, tcp, &to);
	packets = guard_world_outcomes(&world, GUARD_PACKET);
	check(result && packets == 1u << GUARD_DID_DENY_FORWARDED, "a guest on a macvlan: gets %d, packets 0x%x",
	      result, packets);
	guard_world_guard(&world, 0)->forwarded = GUARD_FROM_ALL;
	guard_world_turn(&world);
	result = as(&who, tcp, &to);
	packets = guard_world_outcomes(&world, GUARD_PACKET);
	check(!result && packets == 1u << GUARD_DID_FORWARDED, "guests on a macvlan are allowed: gets %d, packets 0x%x",
	      result, packets);
	set_guard();
}

/* What the kernel answers by itself when the endpoint comes to this host: to no port, and to one where somebody listens. */
static void test_control(void)
{
	struct sockaddr_storage at;
	socklen_t n = address(&at, "169.254.1.1", 5555);
	int ear = socket(AF_INET, SOCK_STREAM, 0);
	uint32_t packets;

	guard_world_clear(&world);
	guard_world_endpoint(&world, 0, IMDS, 32, 0);
	guard_world_turn(&world);
	guard_world_outcomes(&world, GUARD_PACKET);
	sh("nsenter -t %d -n bash -c ': </dev/tcp/169.254.1.1/4444' 2>/dev/null", server);
	packets = guard_world_outcomes(&world, GUARD_PACKET);
	check(packets == CONTROL, "a reset of the kernel: 0x%x", packets);
	if (bind(ear, (void *)&at, n) || listen(ear, 1))
		abort();
	sh("nsenter -t %d -n bash -c ': </dev/tcp/169.254.1.1/5555' 2>/dev/null", server);
	packets = guard_world_outcomes(&world, GUARD_PACKET);
	check(packets & CONTROL, "the second part of a handshake: 0x%x", packets);
	close(ear);
	set_guard();
}

static void clean(void)
{
	if (server > 0)
		kill(server, SIGKILL);
	if (guest > 0)
		kill(guest, SIGKILL);
	while (n_made)
		rmdir(cgroup_path(made[--n_made]));
}

static void on_end(int number)
{
	clean();
	_exit(128 + number);
}

int main(void)
{
	int r = guard_world_open(&world);

	signal(SIGABRT, on_end);
	signal(SIGTERM, on_end);
	signal(SIGINT, on_end);
	if (!check(r == 0, "the programs load: %s", strerror(-r)))
		return 1;
	if (check(find_mount() && cgroups_make() && namespaces_make(), "cgroups and namespaces are made: %s",
		  strerror(errno))) {
		ring = ring_buffer__new(bpf_map__fd(world.bpf->maps.events), keep_event, NULL, NULL);
		set_guard();
		check(is_ready(), "the server answers where nothing is guarded");
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
			expect(&rows[i]);
		test_event();
		test_rates();
		test_turns();
		test_forwarded();
		test_macvlan();
		test_control();
	}
	ring_buffer__free(ring);
	guard_world_close(&world);
	clean();
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
