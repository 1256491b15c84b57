// SPDX-License-Identifier: GPL-2.0
#include "learn.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cgroup.h"
#include "learn.skel.h"
#include "load.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define LINKS 16

struct learn {
	struct learn_bpf *bpf;
	struct bpf_link *link[LINKS];
	size_t n_links;
	struct ring_buffer *news;
	struct cgroup top, cgroup;
	int64_t started;             /* seconds since 1970 */
	int64_t offset_ns;           /* from the monotonic clock to the calendar */
	struct socket_infos sockets; /* at the start, and each time that somebody asked for what is not there */
	size_t n_older;              /* of them, at the start */
	struct ifaddrs *own;         /* addresses of this host, as of the last reading */
	struct talks told;           /* texts of the talks that handlers got */
	talk_handler handler;        /* of this learn_poll() */
	void *context;
	int result;
};

/* ---- talks ---- */

void talks_clear(struct talks *talks)
{
	for (size_t i = 0; i < talks->n_text; i++)
		free(talks->text[i]);
	free(talks->text);
	free(talks->talk);
	*talks = (struct talks){ 0 };
}

int talks_add(struct talks *talks, const struct talk *talk)
{
	if (talks->n == talks->capacity) {
		size_t capacity = talks->capacity ? talks->capacity * 2 : 64;
		struct talk *grown = realloc(talks->talk, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		talks->talk = grown;
		talks->capacity = capacity;
	}
	talks->talk[talks->n++] = *talk;
	return 0;
}

const char *talks_text(struct talks *talks, const char *text)
{
	char **grown;
	char *copy;

	for (size_t i = 0; i < talks->n_text; i++)
		if (!strcmp(talks->text[i], text))
			return talks->text[i];
	copy = strdup(text);
	grown = copy ? realloc(talks->text, (talks->n_text + 1) * sizeof(*grown)) : NULL;
	if (!grown) {
		free(copy);
		return "";
	}
	talks->text = grown;
	talks->text[talks->n_text++] = copy;
	return copy;
}

/* ---- loading ---- */

static uint64_t netns_cookie(void)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length))
		cookie = 0;
	close(fd);
	return cookie;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int attach(struct learn *learn, struct diag *diag)
{
	struct bpf_program *program;
	int fd = cgroup_open(&learn->cgroup), r = 0;

	if (fd < 0)
		return diag_errno(diag, -fd, "cannot open the cgroup '%s'", learn->cgroup.path);
	bpf_object__for_each_program(program, learn->bpf->obj)
	{
		struct bpf_link *link = learn->n_links < LINKS ? bpf_program__attach_cgroup(program, fd) : NULL;

		if (!link) {
			r = diag_errno(diag, errno, "cannot attach %s to the cgroup '%s' (%s)",
				       bpf_program__name(program), learn->cgroup.path, load_log_tail());
			break;
		}
		learn->link[learn->n_links++] = link;
	}
	close(fd);
	return r;
}

static int on_news(void *context, void *data, size_t size);

static int load(struct learn *learn, bool news, struct diag *diag)
{
	uint64_t cookie = netns_cookie();

	if (!cookie)
		return diag_errno(diag, EOPNOTSUPP, "cannot learn: the kernel does not number network namespaces");
	load_log_reset();
	learn->bpf = learn_bpf__open();
	if (!learn->bpf)
		return diag_errno(diag, errno, "cannot open the BPF object (%s)", load_log_tail());
	learn->bpf->rodata->learn_netns = cookie;
	learn->bpf->rodata->learn_news = news;
	if (learn_bpf__load(learn->bpf))
		return diag_errno(diag, errno, "cannot load the programs that learn (%s)", load_log_tail());
	if (!news)
		return 0;
	learn->news = ring_buffer__new(bpf_map__fd(learn->bpf->maps.news), on_news, learn, NULL);
	return learn->news ? 0 : diag_errno(diag, errno, "cannot open the ring buffer");
}

size_t learn_verified(struct verified *ret, size_t most)
{
	static const char *const names[] = { "learn_connect4", "learn_connect6", "learn_sendmsg4",
					     "learn_sendmsg6", "learn_bind4",    "learn_bind6",
					     "learn_egress",   "learn_ingress",  "learn_sockops" };
	struct learn_bpf *bpf = learn_bpf__open_and_load();
	size_t n = 0;

	for (size_t i = 0; bpf && i < sizeof(names) / sizeof(names[0]) && n < most; i++) {
		const struct bpf_program *program = bpf_object__find_program_by_name(bpf->obj, names[i]);
		struct bpf_prog_info info = { 0 };
		uint32_t length = sizeof(info);

		if (program && !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length))
			ret[n++] = (struct verified){ names[i], info.verified_insns };
	}
	if (bpf)
		learn_bpf__destroy(bpf);
	return n;
}

int learn_open(struct learn **ret, const char *cgroup, bool news, struct diag *diag)
{
	struct learn *learn = calloc(1, sizeof(*learn));
	int r;

	if (!learn)
		return diag_oom(diag);
	learn->offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	learn->started = clock_ns(CLOCK_REALTIME) / 1000000000;
	r = cgroup_top(&learn->top, diag);
	learn->cgroup = learn->top;
	if (r == 0 && cgroup)
		r = cgroup_at(&learn->cgroup, cgroup, diag);
	if (r == 0)
		r = load(learn, news, diag);
	if (r == 0)
		r = attach(learn, diag);
	if (r == 0)
		r = learn_sockets_list(&learn->sockets, diag);
	learn->n_older = learn->sockets.n;
	if (r) {
		learn_close(learn);
		return r;
	}
	*ret = learn;
	return 0;
}

void learn_close(struct learn *learn)
{
	if (!learn)
		return;
	for (size_t i = 0; i < learn->n_links; i++)
		bpf_link__destroy(learn->link[i]);
	ring_buffer__free(learn->news);
	if (learn->bpf)
		learn_bpf__destroy(learn->bpf);
	if (learn->own)
		freeifaddrs(learn->own);
	free(learn->sockets.socket);
	talks_clear(&learn->told);
	free(learn);
}

/* ---- reading ---- */

#define PATH_ROOM (GUARD_PARTS * (GUARD_PART + 1) + 8)

/* "/usr/bin/curl" of its parts, the last one first; a path with more parts than were read begins with "...". */
static void join(char *ret, size_t size, const char parts[GUARD_PARTS][GUARD_PART])
{
	size_t n = 0;

	*ret = '\0';
	while (n < GUARD_PARTS && parts[n][0])
		n++;
	if (n == GUARD_PARTS)
		strncat(ret, "...", size - 1);
	while (n--) {
		strncat(ret, "/", size - strlen(ret) - 1);
		strncat(ret, parts[n], size - strlen(ret) - 1);
	}
}

static const struct socket_info *socket_find(const struct learn *learn, uint8_t proto, uint16_t port, uint32_t uid)
{
	/* The last one first: what is now. */
	for (size_t i = learn->sockets.n; i--;) {
		const struct socket_info *socket = &learn->sockets.socket[i];

		if (socket->listens && socket->proto == proto && socket->sport == port && socket->uid == uid &&
		    socket->exe[0])
			return socket;
	}
	return NULL;
}

#define SOCKETS_MOST 65536 /* remembered: a service may come and go, but not fill the memory */

/* Who took the port since, else who had it at the start; a socket that was handed over, who has it now. */
static const char *server_exe(struct learn *learn, struct talks *texts, const struct talk *talk)
{
	const struct learn_server server = { .port = talk->port, .proto = talk->proto, .owner = talk->owner };
	const struct socket_info *socket;
	struct learn_identity identity;
	char text[PATH_ROOM];
	struct diag ignored;
	uint32_t number;

	if (!bpf_map_lookup_elem(bpf_map__fd(learn->bpf->maps.servers), &server, &number) &&
	    !bpf_map_lookup_elem(bpf_map__fd(learn->bpf->maps.identities), &number, &identity)) {
		join(text, sizeof(text), identity.exe);
		return talks_text(texts, text);
	}
	socket = socket_find(learn, talk->proto, talk->port, talk->owner);
	if (!socket && learn->sockets.n < SOCKETS_MOST) {
		diag_init(&ignored);
		learn_sockets_list(&learn->sockets, &ignored);
		diag_clear(&ignored);
		socket = socket_find(learn, talk->proto, talk->port, talk->owner);
	}
	return talks_text(texts, socket ? socket->exe : "");
}

static int64_t seconds(const struct learn *learn, uint64_t time_ns)
{
	return ((int64_t)time_ns + learn->offset_ns) / 1000000000;
}

static int talk_of(struct learn *learn, struct talks *texts, enum learn_direction direction,
		   const struct learn_talk *key, const struct learn_count *count, struct talk *ret)
{
	char text[PATH_ROOM];
	struct learn_identity identity;

	if (bpf_map_lookup_elem(bpf_map__fd(learn->bpf->maps.identities), &key->identity, &identity))
		return -errno;
	*ret = (struct talk){ .direction = direction,
			      .proto = key->proto,
			      .family = key->family,
			      .port = key->port,
			      .euid = identity.who.euid,
			      .owner = identity.who.owner,
			      .n = count->n,
			      .first = seconds(learn, count->first_ns),
			      .last = seconds(learn, count->last_ns) };
	memcpy(ret->addr, key->addr, sizeof(ret->addr));
	if (learn_is_own(learn->own, ret))
		return -ENOENT;
	join(text, sizeof(text), identity.cgroup);
	ret->cgroup = talks_text(texts, *text ? text : "/");
	join(text, sizeof(text), identity.exe);
	ret->exe = direction == LEARN_IN ? server_exe(learn, texts, ret) : talks_text(texts, text);
	return 0;
}

static int read_map(struct learn *learn, const struct bpf_map *map, enum learn_direction direction, struct talks *ret)
{
	int fd = bpf_map__fd(map), r = 0;
	struct learn_talk key, *last = NULL;
	size_t most = ret->n + LEARN_TALKS; /* programs add meanwhile, so the walk may begin again */

	while (r == 0 && ret->n < most && !bpf_map_get_next_key(fd, last, &key)) {
		struct learn_count count;
		struct talk talk;

		last = &key;
		if (bpf_map_lookup_elem(fd, &key, &count) || talk_of(learn, ret, direction, &key, &count, &talk))
			continue;
		r = talks_add(ret, &talk);
	}
	return r;
}

static bool is_inside(const struct learn *learn, const struct socket_info *socket)
{
	size_t top = strlen(learn->top.path), length = strlen(learn->cgroup.path);

	if (learn->cgroup.id == learn->top.id)
		return true;
	return length > top && !strncmp(learn->cgroup.path, learn->top.path, top) &&
	       !strncmp(socket->cgroup, learn->cgroup.path + top, length - top) &&
	       (!socket->cgroup[length - top] || socket->cgroup[length - top] == '/');
}

static bool is_served(const struct learn *learn, const struct socket_info *socket)
{
	for (size_t i = 0; i < learn->sockets.n; i++) {
		const struct socket_info *other = &learn->sockets.socket[i];

		if (other->listens && other->proto == socket->proto && other->sport == socket->sport)
			return true;
	}
	return false;
}

static bool is_local(const struct socket_info *socket)
{
	if (socket->family == 4)
		return socket->daddr[0] >> 24 == 127;
	return !socket->daddr[0] && !socket->daddr[1] && !socket->daddr[2] && socket->daddr[3] <= 1;
}

/* What was connected before somebody looked. */
static int read_older(struct learn *learn, struct talks *ret)
{
	int r = 0;

	for (size_t i = 0; i < learn->n_older && r == 0; i++) {
		const struct socket_info *socket = &learn->sockets.socket[i];
		bool served = is_served(learn, socket);
		struct talk talk = { .direction = served ? LEARN_IN : LEARN_OUT,
				     .proto = socket->proto,
				     .family = socket->family,
				     .port = served ? socket->sport : socket->dport,
				     .euid = socket->uid,
				     .owner = socket->uid,
				     .n = 1,
				     .first = learn->started,
				     .last = learn->started };

		memcpy(talk.addr, socket->daddr, sizeof(talk.addr));
		if (socket->listens || !socket->dport || is_local(socket) || !is_inside(learn, socket) ||
		    learn_is_own(learn->own, &talk))
			continue;
		talk.exe = talks_text(ret, socket->exe);
		talk.cgroup = talks_text(ret, socket->cgroup);
		r = talks_add(ret, &talk);
	}
	return r;
}

void learn_losses(const struct learn *learn, uint64_t ret[LEARN_LOSS_MAX])
{
	for (int i = 0; i < LEARN_LOSS_MAX; i++)
		ret[i] = *(volatile __u64 *)&learn->bpf->bss->learn_losses[i];
}

static void read_own(struct learn *learn)
{
	if (learn->own)
		freeifaddrs(learn->own);
	if (getifaddrs(&learn->own))
		learn->own = NULL;
}

int learn_read(struct learn *learn, struct talks *ret, struct diag *diag)
{
	struct talks talks = { 0 };
	int r;

	read_own(learn);
	r = read_older(learn, &talks);
	if (r == 0)
		r = read_map(learn, learn->bpf->maps.talks_out, LEARN_OUT, &talks);
	if (r == 0)
		r = read_map(learn, learn->bpf->maps.talks_in, LEARN_IN, &talks);
	if (r) {
		talks_clear(&talks);
		return diag_oom(diag);
	}
	learn_losses(learn, talks.losses);
	*ret = talks;
	return 0;
}

/* ---- news ---- */

int learn_older(struct learn *learn, talk_handler handler, void *context, struct diag *diag)
{
	struct talks talks = { 0 };
	int r;

	read_own(learn);
	r = read_older(learn, &talks);
	if (r)
		r = diag_oom(diag);
	for (size_t i = 0; i < talks.n && r == 0; i++)
		r = handler(context, &talks.talk[i]);
	talks_clear(&talks);
	return r;
}

static void forget_map(struct learn *learn, const struct bpf_map *map, enum learn_direction direction,
		       talk_handler handler, void *context)
{
	static const struct learn_count once = { .n = 1 };
	struct learn_talk key, next;
	int fd = bpf_map__fd(map);
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	for (size_t i = 0; more && i < LEARN_TALKS; i++) {
		struct talk talk;

		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (talk_of(learn, &learn->told, direction, &key, &once, &talk) || handler(context, &talk) == 1)
			bpf_map_delete_elem(fd, &key);
	}
}

void learn_forget(struct learn *learn, talk_handler handler, void *context)
{
	read_own(learn);
	forget_map(learn, learn->bpf->maps.talks_out, LEARN_OUT, handler, context);
	forget_map(learn, learn->bpf->maps.talks_in, LEARN_IN, handler, context);
}

static int on_news(void *context, void *data, size_t size)
{
	static const struct learn_count once = { .n = 1 };
	const struct learn_news *news = data;
	struct learn *learn = context;
	struct talk talk;

	read_own(learn);
	if (size < sizeof(*news) || news->direction >= LEARN_DIRECTION_MAX ||
	    talk_of(learn, &learn->told, (enum learn_direction)news->direction, &news->talk, &once, &talk))
		return 0;
	learn->result = learn->handler(learn->context, &talk);
	return learn->result ? -ECANCELED : 0;
}

int learn_poll(struct learn *learn, int timeout_ms, talk_handler handler, void *context, struct diag *diag)
{
	int r;

	learn->handler = handler;
	learn->context = context;
	learn->result = 0;
	r = ring_buffer__poll(learn->news, timeout_ms);
	if (learn->result)
		return learn->result;
	return r < 0 && r != -EINTR ? diag_errno(diag, -r, "cannot read the ring buffer") : 0;
}
