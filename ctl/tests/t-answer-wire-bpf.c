// SPDX-License-Identifier: GPL-2.0
/*
 * The answers of `reject` to real sockets: who is refused knows at once, and the sums on the wire are right.
 *
 *	wire: w0 <---- cable ----> g0 :guard: g1 <---- cable ----> f0 :far
 *	      10.1.0.2      10.1.0.1   |      10.1.1.1      10.1.1.2
 *	                               tun0 10.1.2.1
 */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../bpf/abi.h"
#include "tests/t-answer-tc.skel.h"
#include "tests/t-answer-xdp.skel.h"

#include "bytes.h"
#include "check.h"

#define PORT       7007
#define PORT_NONE  1
#define RESET      REJECT_RESET
#define ICMP       (REJECT_ICMP | 3 << REJECT_CODE4 | 4 << REJECT_CODE6) /* port unreachable */
#define AT_ONCE    300                                                   /* ms */
#define SECOND_SYN 1500
#define PATIENCE   2000

enum space { WIRE, GUARD, FAR, SPACES };

static int spaces[SPACES], tun;
static struct t_answer_xdp_bpf *xdp;
static struct t_answer_tc_bpf *tc;

static void enter(enum space space)
{
	if (setns(spaces[space], CLONE_NEWNET))
		abort();
}

static bool __attribute__((format(printf, 2, 3))) run(enum space space, const char *format, ...)
{
	char command[300];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	enter(space);
	if (system(command) == 0)
		return true;
	printf("'%s' failed\n", command);
	return false;
}

static bool cable(enum space a, const char *device_a, enum space b, const char *device_b, int net)
{
	return run(a, "ip link add %s type veth peer name %s netns /proc/%d/fd/%d", device_a, device_b, getpid(),
		   spaces[b]) &&
	       run(a, "ip addr add 10.1.%d.2/24 dev %s && ip addr add fd01:%d::2/64 dev %s nodad && ip link set %s up",
		   net, device_a, net, device_a, device_a) &&
	       run(b, "ip addr add 10.1.%d.1/24 dev %s && ip addr add fd01:%d::1/64 dev %s nodad && ip link set %s up",
		   net, device_b, net, device_b, device_b);
}

static bool make_tun(void)
{
	struct ifreq request = { .ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI };

	enter(GUARD);
	tun = open("/dev/net/tun", O_RDWR);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &request))
		return false;
	return run(GUARD, "ip addr add 10.1.2.1/24 dev tun0 && ip addr add fd01:2::1/64 dev tun0 nodad && "
			  "ip link set tun0 up");
}

static bool make_world(void)
{
	for (int i = 0; i < SPACES; i++) {
		if (unshare(CLONE_NEWNET))
			return false;
		spaces[i] = open("/proc/thread-self/ns/net", O_RDONLY); /* ip inherits them */
		if (!run(i, "ip link set lo up"))
			return false;
	}
	return cable(WIRE, "w0", GUARD, "g0", 0) && cable(FAR, "f0", GUARD, "g1", 1) && make_tun() &&
	       run(WIRE, "ip route add 10.1.0.0/16 via 10.1.0.1 && ip route add fd01::/16 via fd01:0::1") &&
	       run(FAR, "ip route add 10.1.0.0/16 via 10.1.1.1 && ip route add fd01::/16 via fd01:1::1") &&
	       run(GUARD, "echo 1 >/proc/sys/net/ipv4/ip_forward && echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
}

/* ---- what came back ---- */

/* A packet socket: what came in by a device, sums unfinished or not. */
static int listen_to(enum space space, const char *device)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int s, one = 1;

	enter(space);
	s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	address.sll_ifindex = if_nametoindex(device);
	setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&address, sizeof(address)))
		abort();
	return s;
}

/* 1: a reset or an ICMP error, and its sums are right; 0: something else; -1: a sum is wrong. */
static int judge(const uint8_t *ip, size_t n)
{
	bool ipv6 = *ip >> 4 == 6;
	size_t header = ipv6 ? 40 : 20, total = ipv6 ? 40 + half(ip + 4) : half(ip + 2);
	unsigned int proto = ipv6 ? ip[6] : ip[9];

	if (n < header + 20 || total > n)
		return 0;
	if (proto == 6 ? !(ip[header + 13] & 4) : proto != (ipv6 ? 58 : 1) || ip[header] != (ipv6 ? 1 : 3))
		return 0;
	if (transport_sum(ip) != 0xffff)
		return -1;
	return ipv6 || add_up(0, ip, 20) == 0xffff ? 1 : -1;
}

/* What of a frame is not as it should be although its bytes are right. */
static bool is_odd(struct msghdr *message, int tag, bool unfinished)
{
	const struct tpacket_auxdata *aux = (void *)CMSG_DATA(CMSG_FIRSTHDR(message));

	return (aux->tp_status & TP_STATUS_CSUMNOTREADY && !unfinished) ||
	       (tag && (!(aux->tp_status & TP_STATUS_VLAN_VALID) || aux->tp_vlan_tci != tag));
}

/* How many answers came, -1: one of them is wrong. tag: they have this VLAN id. */
static int answers(int s, size_t link, int tag, bool unfinished)
{
	uint8_t frame[65536], control[256];
	struct sockaddr_ll from;
	int n = 0;

	for (;;) {
		struct iovec vec = { frame, sizeof(frame) };
		struct msghdr message = { .msg_name = &from,
					  .msg_namelen = sizeof(from),
					  .msg_iov = &vec,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t got = recvmsg(s, &message, 0);
		int answer;

		if (got < 0)
			return n;
		if (from.sll_pkttype == PACKET_OUTGOING || got < (ssize_t)link + 40)
			continue;
		answer = judge(frame + link, got - link);
		if (!answer)
			continue;
		if (answer < 0 || is_odd(&message, tag, unfinished))
			return -1;
		n++;
	}
}

/* ---- who asks ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static socklen_t name(struct sockaddr_storage *ret, const char *address)
{
	struct sockaddr_in *v4 = (void *)ret;
	struct sockaddr_in6 *v6 = (void *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(PORT);
		return sizeof(*v4);
	}
	inet_pton(AF_INET6, address, &v6->sin6_addr);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(PORT);
	return sizeof(*v6);
}

static int a_socket(enum space space, const struct sockaddr_storage *to, int type)
{
	struct timeval patience = { .tv_sec = PATIENCE / 1000 };
	int s;

	enter(space);
	s = socket(to->ss_family, type | SOCK_CLOEXEC, 0);
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return s;
}

/* The errno that who connects, or sends and waits for an answer, gets. */
static int ask(enum space space, const char *address, int type)
{
	struct sockaddr_storage to;
	socklen_t n = name(&to, address);
	int s = a_socket(space, &to, type), error = 0;
	char buffer[100] = "";

	if (connect(s, (struct sockaddr *)&to, n) ||
	    (type == SOCK_DGRAM && (send(s, buffer, sizeof(buffer), 0) < 0 || recv(s, buffer, 1, 0) < 0)))
		error = errno;
	close(s);
	return error;
}

/* ---- where ---- */

static const struct where {
	const char *name;
	enum hook hook;
	__u32 flags; /* XDP_FLAGS_* */
	enum space space;
	const char *device; /* that rejects */
	enum space asker, server;
	const char *to[4];
	enum space listener;
	const char *listens; /* the device by which the answer comes */
	size_t link;
} wheres[] = {
	/* clang-format off */
	{ "XDP", HOOK_XDP, XDP_FLAGS_DRV_MODE, GUARD, "g0", WIRE, GUARD, { "10.1.0.1", "fd01:0::1" }, WIRE, "w0", 14 },
	{ "generic XDP", HOOK_XDP, XDP_FLAGS_SKB_MODE, GUARD, "g0", WIRE, GUARD, { "10.1.0.1", "fd01:0::1" }, WIRE, "w0", 14 },
	{ "TC ingress", HOOK_TC_INGRESS, 0, GUARD, "g0", WIRE, GUARD, { "10.1.0.1", "fd01:0::1" }, WIRE, "w0", 14 },
	{ "TC ingress, forwarded", HOOK_TC_INGRESS, 0, GUARD, "g0", WIRE, FAR, { "10.1.1.2", "fd01:1::2" }, WIRE, "w0", 14 },
	{ "TC egress", HOOK_TC_EGRESS, 0, GUARD, "g0", GUARD, WIRE, { "10.1.0.2", "fd01:0::2" }, GUARD, "g0", 14 },
	{ "TC egress, forwarded", HOOK_TC_EGRESS, 0, GUARD, "g1", WIRE, FAR, { "10.1.1.2", "fd01:1::2" }, WIRE, "w0", 14 },
	{ "TC egress of lo", HOOK_TC_EGRESS, 0, GUARD, "lo", GUARD, GUARD, { "127.0.0.1", "::1", "10.1.0.1", "fd01:0::1" }, GUARD, "lo", 14 },
	{ "TC ingress of lo", HOOK_TC_INGRESS, 0, GUARD, "lo", GUARD, GUARD, { "127.0.0.1", "::1", "10.1.0.1", "fd01:0::1" }, GUARD, "lo", 14 },
	{ "TC egress without link header", HOOK_TC_EGRESS, 0, GUARD, "tun0", GUARD, SPACES, { "10.1.2.2", "fd01:2::2" }, GUARD, "tun0", 0 },
	/* clang-format on */
};

static bool attach(const struct where *w)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = w->hook == HOOK_TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int r;

	enter(w->space);
	hook.ifindex = if_nametoindex(w->device);
	xdp->bss->raw_ip = tc->bss->raw_ip = !w->link;
	if (w->hook == HOOK_XDP)
		return !bpf_xdp_attach(hook.ifindex, bpf_program__fd(xdp->progs.reject_xdp), w->flags, NULL);
	opts.prog_fd = bpf_program__fd(w->hook == HOOK_TC_INGRESS ? tc->progs.reject_ingress : tc->progs.reject_egress);
	r = bpf_tc_hook_create(&hook);
	return (!r || r == -EEXIST) && !bpf_tc_attach(&hook, &opts);
}

static void detach(const struct where *w)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	enter(w->space);
	hook.ifindex = if_nametoindex(w->device);
	if (w->hook == HOOK_XDP)
		bpf_xdp_detach(hook.ifindex, w->flags, NULL);
	else
		bpf_tc_hook_destroy(&hook);
}

static void set(uint32_t what, uint32_t port)
{
	xdp->bss->reject = tc->bss->reject = what;
	xdp->bss->port = tc->bss->port = port;
	xdp->bss->answers_paid = tc->bss->answers_paid = 0;
}

/* A sum that a sender leaves to the device stays so in generic XDP, whatever a program makes of the packet. */
static bool leaves_sums(const struct where *w)
{
	return w->flags == XDP_FLAGS_SKB_MODE;
}

static void try_ask(const struct where *w, const char *to, int type, uint32_t what)
{
	const char *words = type == SOCK_DGRAM ? "a datagram" : what == RESET ? "a reset" : "ICMP to a connection";
	int ear = listen_to(w->listener, w->listens), error, came;
	uint64_t before = now_ms(), took;

	set(what, PORT);
	error = ask(w->asker, to, type);
	took = now_ms() - before;
	check(error == ECONNREFUSED, "%s, %s, %s: %s", w->name, to, words, strerror(error));
	/* Linux takes no ICMP while it sends the SYN itself: the second SYN is refused. */
	check(took < (type == SOCK_STREAM && what == ICMP ? SECOND_SYN : AT_ONCE), "%s, %s, %s: took %llu ms", w->name,
	      to, words, (unsigned long long)took);
	came = answers(ear, w->link, 0, leaves_sums(w));
	check(came > 0, "%s, %s, %s: %s", w->name, to, words, came ? "a sum is wrong" : "no answer was seen");
	close(ear);
}

/* A connection that is refused in its middle, with much to send. */
static void try_interrupt(const struct where *w, const char *address)
{
	static char much[1 << 20];
	struct sockaddr_storage to;
	socklen_t n = name(&to, address);
	int door = a_socket(w->server, &to, SOCK_STREAM), s = a_socket(w->asker, &to, SOCK_STREAM), one = 1;
	int ear = listen_to(w->listener, w->listens), error = 0, came;

	set(RESET, PORT_NONE);
	setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(door, (struct sockaddr *)&to, n) || listen(door, 1) || connect(s, (struct sockaddr *)&to, n) ||
	    write(s, much, 1000) != 1000)
		error = -1;
	set(RESET, PORT);
	for (int i = 0; i < 8 && !error; i++)
		if (write(s, much, sizeof(much)) < 0)
			error = errno;
	came = answers(ear, w->link, 0, leaves_sums(w));
	check(error == ECONNRESET || error == EPIPE, "%s, %s: a connection is reset: %s", w->name, address,
	      error < 0 ? "it was never there" : strerror(error));
	check(came > 0, "%s, %s, a connection: %s", w->name, address, came ? "a sum is wrong" : "no reset was seen");
	close(ear);
	close(s);
	close(door);
}

static void try_where(const struct where *w)
{
	if (!check(attach(w), "%s: cannot attach", w->name))
		return;
	for (int i = 0; i < 4 && w->to[i]; i++) {
		try_ask(w, w->to[i], SOCK_STREAM, RESET);
		try_ask(w, w->to[i], SOCK_STREAM, ICMP);
		try_ask(w, w->to[i], SOCK_DGRAM, ICMP);
		if (w->server != SPACES)
			try_interrupt(w, w->to[i]);
	}
	detach(w);
}

/* ---- packets without sockets ---- */

/* A SYN to the port; with a pseudo header of zeros for a sum, which nobody looks at. */
static size_t syn(uint8_t *ip, const char *from, const char *to)
{
	static const uint8_t header[20] = { 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6 };
	static const uint8_t tcp[20] = { 0x30, 0x39, PORT >> 8, PORT & 0xff, 1, 2, 3, 4, [12] = 0x50, 2, 0xff, 0xff };
	uint32_t sum;

	memcpy(ip, header, 20);
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	sum = ~add_up(0, ip, 20);
	ip[10] = sum >> 8;
	ip[11] = sum;
	memcpy(ip + 20, tcp, 20);
	return 40;
}

static void try_tun(void)
{
	static const struct where w = { .hook = HOOK_TC_INGRESS, .space = GUARD, .device = "tun0" };
	struct pollfd readable = { .fd = tun, .events = POLLIN };
	uint8_t packet[2000];
	int answer = 0;

	set(RESET, PORT);
	check(attach(&w), "tun0: cannot attach");
	check(write(tun, packet, syn(packet, "10.1.2.2", "10.1.2.1")) == 40, "tun0: cannot write");
	while (!answer && poll(&readable, 1, PATIENCE) == 1) {
		ssize_t n = read(tun, packet, sizeof(packet));

		answer = n > 0 ? judge(packet, n) : -1;
	}
	check(answer == 1, "TC ingress without link header");
	detach(&w);
}

/* A frame of wire, with tags; the outer one comes back beside the answer. */
static void try_tags(bool two, const struct where *w)
{
	uint8_t frame[100] = { 0 }, mac[2][6];
	size_t link = two ? 18 : 14;
	int ear = listen_to(WIRE, "w0"), came;
	struct ifreq request = { .ifr_name = "w0" };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };

	ioctl(ear, SIOCGIFHWADDR, &request);
	memcpy(mac[0], request.ifr_hwaddr.sa_data, 6);
	to.sll_ifindex = if_nametoindex("w0");
	enter(GUARD);
	{
		int s = socket(AF_INET, SOCK_DGRAM, 0);

		strcpy(request.ifr_name, "g0");
		ioctl(s, SIOCGIFHWADDR, &request);
		memcpy(mac[1], request.ifr_hwaddr.sa_data, 6);
		close(s);
	}
	memcpy(frame, mac[1], 6);
	memcpy(frame + 6, mac[0], 6);
	memcpy(frame + 12, (uint8_t[]){ 0x81, 0, 0, 5 }, 4);
	if (two)
		memcpy(frame + 16, (uint8_t[]){ 0x81, 0, 0, 6 }, 4);
	memcpy(frame + link + 2, (uint8_t[]){ 8, 0 }, 2);
	syn(frame + link + 4, "10.1.0.2", "10.1.0.1");
	set(RESET, PORT);
	check(attach(w), "tags: cannot attach");
	check(sendto(ear, frame, link + 44, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)link + 44,
	      "tags: cannot send");
	for (int i = 0; i < 100 && !(came = answers(ear, link, 5, false)); i++)
		usleep(2000);
	check(came == 1, "%s: an answer behind %s: %s", w->name, two ? "two tags" : "a tag",
	      came < 0 ? "sum or tag is wrong" : "none came");
	detach(w);
	close(ear);
}

static bool load(void)
{
	libbpf_set_print(NULL);
	xdp = t_answer_xdp_bpf__open_and_load();
	tc = t_answer_tc_bpf__open_and_load();
	if (!xdp || !tc || !make_world())
		return false;
	enter(WIRE);
	return !bpf_xdp_attach(if_nametoindex("w0"), bpf_program__fd(xdp->progs.pass_xdp), XDP_FLAGS_DRV_MODE, NULL);
}

int main(void)
{
	if (geteuid() != 0) {
		printf("SKIP needs root\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	if (!load()) {
		printf("FAIL cannot load the programs and make namespaces\n0 passed, 1 failed\n");
		return 1;
	}
	for (size_t i = 0; i < sizeof(wheres) / sizeof(*wheres); i++)
		try_where(&wheres[i]);
	try_tun();
	for (int i = 0; i < 3; i++) {
		try_tags(false, &wheres[i]);
		try_tags(true, &wheres[i]);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
