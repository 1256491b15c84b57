// SPDX-License-Identifier: GPL-2.0
/*
 * `weir learn`: who on this host talks to what. An object of its own, attached to a cgroup for as long as the command
 * runs; it only looks on.
 *
 * Calls know the process: connect and sendmsg. A connected UDP socket is noted with its first packet, since programs
 * connect UDP sockets to ask for a source address, and send nothing. What is sent without such a call (ping and raw
 * sockets) is noted by the packet, with the owner of the socket alone. Connections from outside are noted once they stand
 * (sock_ops), so that no forged address gets in, with the process that listened; UDP from outside with the first packet to a port that was bound by
 * number, unless its sender was talked to first.
 */
#include <stdbool.h>

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "kernel_types.h"
#include "learn_abi.h"
#include "task_names.h"

#define GO_ON 1

#define AF_INET6           10
#define SOCK_STREAM        1
#define SOCK_DGRAM         2
#define SOCK_BINDPORT_LOCK 8 /* of sk_userlocks: the port was asked for by its number */

/* Set before loading. */
const volatile __u64 learn_netns; /* cookie of the network namespace that is learned */
const volatile __u32 learn_news;  /* 1: somebody reads the ring */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LEARN_IDENTITIES);
	__type(key, struct learn_who);
	__type(value, __u32);
} identity_numbers SEC(".maps");

/* Filled before its number is in identity_numbers, never changed afterwards. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LEARN_IDENTITIES);
	__type(key, __u32);
	__type(value, struct learn_identity);
} identities SEC(".maps");

/* Plain hashes: those of the kind LRU forget keys before they are full. Full: the talk is counted as lost. */
#define TALKS(name)                                                                                                    \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_HASH);                                                                       \
		__uint(map_flags, BPF_F_NO_PREALLOC);                                                                  \
		__uint(max_entries, LEARN_TALKS);                                                                      \
		__type(key, struct learn_talk);                                                                        \
		__type(value, struct learn_count);                                                                     \
	} name SEC(".maps")

TALKS(talks_out);
TALKS(talks_in);

/* By own port and other end: enum learn_direction of who spoke first. Forgets the oldest: they have their answers. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LEARN_TALKS);
	__type(key, struct learn_talk);
	__type(value, __u32);
} dialogs SEC(".maps");

/* Who took a port since: index of identities. Forgets the oldest: clients bind UDP ports, too. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LEARN_SERVERS);
	__type(key, struct learn_server);
	__type(value, __u32);
} servers SEC(".maps");

/* Who connected a UDP socket that sent nothing yet. Gone with the socket. */
struct learn_intent {
	__u32 waits; /* 1: the first packet is still to come */
	struct learn_talk talk;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct learn_intent);
} intents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} news SEC(".maps");

__u32 learn_n_identities;
__u64 learn_losses[LEARN_LOSS_MAX];

static __always_inline void lose(enum learn_loss loss)
{
	__sync_fetch_and_add(&learn_losses[loss], 1);
}

/* ---- sockets ---- */

/* Verifier: members of a socket in a context are few. Its address, as a number, reads them all. */
static __always_inline const struct sock *sock_of(const void *sk)
{
	const struct sock *ret = NULL;

	bpf_probe_read_kernel(&ret, sizeof(ret), &sk);
	return ret;
}

static __always_inline __u16 sock_port(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_num);
}

static __always_inline __u64 sock_netns(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
}

static __always_inline bool has_ports(__u32 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP;
}

/* ---- addresses ---- */

static __always_inline void talk_address4(struct learn_talk *talk, __u32 addr_be)
{
	talk->family = 4;
	talk->addr[0] = bpf_ntohl(addr_be);
}

/* An IPv4 address in the form ::ffff:192.0.2.1 is one of IPv4. */
static __always_inline void talk_address6(struct learn_talk *talk, const __u32 addr_be[4])
{
	if (!addr_be[0] && !addr_be[1] && addr_be[2] == bpf_htonl(0xffff)) {
		talk_address4(talk, addr_be[3]);
		return;
	}
	talk->family = 6;
	for (int i = 0; i < 4; i++)
		talk->addr[i] = bpf_ntohl(addr_be[i]);
}

/* It never comes to a device, or goes nowhere. */
static __always_inline bool stays_here(const struct learn_talk *talk)
{
	if (talk->family == 4)
		return talk->addr[0] >> 24 == 127 || !talk->addr[0];
	return !talk->addr[0] && !talk->addr[1] && !talk->addr[2] && talk->addr[3] <= 1;
}

/* ---- who; news are waited for for long, while cgroups of sessions and containers come and go: there these do not count ---- */

static __always_inline int identity_make(const struct learn_who *who, const struct task_struct *task,
					 const struct cgroup *cgroup, __u32 *ret)
{
	__u32 number = __sync_fetch_and_add(&learn_n_identities, 1);
	struct learn_identity *identity = bpf_map_lookup_elem(&identities, &number);
	const __u32 *other;

	if (!identity) {
		__sync_fetch_and_sub(&learn_n_identities, 1);
		return -1;
	}
	identity->who = *who;
	if (task) {
		identity->pid = BPF_CORE_READ(task, tgid);
		task_name_exe(identity->exe, task);
	}
	cgroup_names(identity->cgroup, cgroup);
	*ret = number;
	if (!bpf_map_update_elem(&identity_numbers, who, &number, BPF_NOEXIST))
		return 0;
	/* Another CPU was faster; this number stays unused. */
	other = bpf_map_lookup_elem(&identity_numbers, who);
	if (!other)
		return -1;
	*ret = *other;
	return 0;
}

static __always_inline void who_runs(struct learn_who *who, const struct task_struct *task)
{
	const struct mm_struct *mm = task->mm;
	const struct file *exe = mm ? mm->exe_file : NULL;
	const struct inode *inode = exe ? exe->f_inode : NULL;

	if (!inode)
		return;
	who->exe_inode = inode->i_ino;
	who->exe_device = inode->i_sb->s_dev;
}

/*
 * The number of who the current task is, sending by this socket. A function, since four programs ask it. Members are read in
 * place where each call needs them: a helper that reads one costs as much as all of these.
 */
__noinline int identity_of_task(__u32 owner, __u32 *ret)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	const struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	struct learn_who who = {
		.euid = task->cred->euid.val,
		.owner = owner,
		.cgroup_id = learn_news ? 0 : cgroup->kn->id,
	};
	const __u32 *known;

	if (!ret)
		return -1;
	who_runs(&who, task);
	known = bpf_map_lookup_elem(&identity_numbers, &who);
	if (!known)
		return identity_make(&who, task, cgroup, ret);
	*ret = *known;
	return 0;
}

/* The same of a packet: its socket says whose it is, and in which cgroup it was made. */
__noinline int identity_of_sock(__u64 sock, __u32 *ret)
{
	const struct sock *sk = (const struct sock *)sock;
	const struct cgroup *cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	__u32 owner = BPF_CORE_READ(sk, sk_uid.val);
	struct learn_who who = { .euid = owner,
				 .owner = owner,
				 .cgroup_id = learn_news ? 0 : BPF_CORE_READ(cgroup, kn, id) };
	const __u32 *known;

	if (!ret)
		return -1;
	known = bpf_map_lookup_elem(&identity_numbers, &who);
	if (!known)
		return identity_make(&who, NULL, cgroup, ret);
	*ret = *known;
	return 0;
}

/* ---- talks ---- */

static __always_inline void tell(enum learn_direction direction, const struct learn_talk *talk)
{
	struct learn_news *record;

	if (!learn_news)
		return;
	record = bpf_ringbuf_reserve(&news, sizeof(*record), 0);
	if (!record) {
		lose(LEARN_LOST_NEWS);
		return;
	}
	record->direction = direction;
	record->pad = 0;
	record->talk = *talk;
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void note(void *talks, enum learn_direction direction, const struct learn_talk *talk)
{
	struct learn_count *count = bpf_map_lookup_elem(talks, talk);
	__u64 now = bpf_ktime_get_coarse_ns();
	struct learn_count first = { .n = 1, .first_ns = now, .last_ns = now };

	if (!count) {
		if (!bpf_map_update_elem(talks, talk, &first, BPF_NOEXIST)) {
			tell(direction, talk);
			return;
		}
		count = bpf_map_lookup_elem(talks, talk);
		if (!count) {
			lose(direction == LEARN_OUT ? LEARN_LOST_OUT : LEARN_LOST_IN);
			return;
		}
	}
	__sync_fetch_and_add(&count->n, 1);
	count->last_ns = now;
}

/* ---- UDP sockets that are bound to a port by its number: is it a server's, or a client's? Who spoke first says it. ---- */

static __always_inline bool is_bound(const struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK;
}

/* Is this direction the one that began? port: the socket's own. */
static __always_inline bool began(enum learn_direction direction, const struct learn_talk *talk, __u16 port)
{
	struct learn_talk dialog = *talk;
	__u32 first = direction;
	const __u32 *known;

	dialog.identity = 0;
	dialog.port = port;
	known = bpf_map_lookup_elem(&dialogs, &dialog);
	if (known)
		return *known == direction;
	bpf_map_update_elem(&dialogs, &dialog, &first, BPF_NOEXIST);
	return true;
}

/* ---- calls ---- */

static __always_inline int call(struct bpf_sock_addr *ctx, struct learn_talk *talk, const bool sends)
{
	struct bpf_sock *socket = ctx->sk;
	const struct sock *sk = sock_of(socket);
	struct learn_intent *intent;
	__u32 proto = ctx->protocol;

	if (stays_here(talk))
		return GO_ON;
	if (proto == IPPROTO_MPTCP)
		proto = IPPROTO_TCP;
	talk->proto = proto;
	talk->port = has_ports(proto) ? bpf_ntohs(ctx->user_port) : 0;
	if (has_ports(proto) && !talk->port)
		return GO_ON;
	if (bpf_get_netns_cookie(ctx) != learn_netns) {
		lose(LEARN_FOREIGN);
		return GO_ON;
	}
	if (proto == IPPROTO_UDP && is_bound(sk) && !began(LEARN_OUT, talk, sock_port(sk)))
		return GO_ON;
	if (identity_of_task(BPF_CORE_READ(sk, sk_uid.val), &talk->identity)) {
		lose(LEARN_LOST_IDENTITIES);
		return GO_ON;
	}
	if (proto == IPPROTO_UDP && !sends) {
		intent = bpf_sk_storage_get(&intents, socket, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (intent) {
			intent->talk = *talk;
			intent->waits = 1;
		}
		return GO_ON;
	}
	note(&talks_out, LEARN_OUT, talk);
	return GO_ON;
}

static __always_inline int call4(struct bpf_sock_addr *ctx, const bool sends)
{
	struct learn_talk talk = { 0 };

	talk_address4(&talk, ctx->user_ip4);
	return call(ctx, &talk, sends);
}

static __always_inline int call6(struct bpf_sock_addr *ctx, const bool sends)
{
	__u32 addr_be[4] = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] };
	struct learn_talk talk = { 0 };

	talk_address6(&talk, addr_be);
	return call(ctx, &talk, sends);
}

SEC("cgroup/connect4")
int learn_connect4(struct bpf_sock_addr *ctx)
{
	return call4(ctx, false);
}

SEC("cgroup/connect6")
int learn_connect6(struct bpf_sock_addr *ctx)
{
	return call6(ctx, false);
}

SEC("cgroup/sendmsg4")
int learn_sendmsg4(struct bpf_sock_addr *ctx)
{
	return call4(ctx, true);
}

SEC("cgroup/sendmsg6")
int learn_sendmsg6(struct bpf_sock_addr *ctx)
{
	return call6(ctx, true);
}

/* ---- packets ---- */

/* The other end's address and the protocol, from the IP header; its length, or 0 where there is none. */
static __always_inline __u32 packet_read(struct __sk_buff *skb, struct learn_talk *talk, enum learn_direction direction)
{
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return 0;
		talk_address4(talk, direction == LEARN_OUT ? ip.daddr : ip.saddr);
		talk->proto = ip.protocol;
		return ip.ihl * 4;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, &ip6, sizeof(ip6)))
		return 0;
	talk_address6(talk, direction == LEARN_OUT ? ip6.daddr.in6_u.u6_addr32 : ip6.saddr.in6_u.u6_addr32);
	talk->proto = ip6.nexthdr;
	return sizeof(ip6);
}

/* What no call told of: ping and raw sockets of programs. */
static __always_inline void packet_sent(struct __sk_buff *skb, const struct sock *sk)
{
	struct learn_talk talk = { 0 };
	__u16 ports_be[2];
	__u32 header;

	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock) || sock_netns(sk) != learn_netns)
		return;
	header = packet_read(skb, &talk, LEARN_OUT);
	if (!header || stays_here(&talk))
		return;
	if (has_ports(talk.proto) && !bpf_skb_load_bytes(skb, header, ports_be, sizeof(ports_be)))
		talk.port = bpf_ntohs(ports_be[1]);
	if (identity_of_sock((__u64)sk, &talk.identity))
		lose(LEARN_LOST_IDENTITIES);
	else
		note(&talks_out, LEARN_OUT, &talk);
}

SEC("cgroup_skb/egress")
int learn_egress(struct __sk_buff *skb)
{
	struct bpf_sock *socket = skb->sk;
	struct learn_intent *intent;

	if (!socket)
		return GO_ON;
	socket = bpf_sk_fullsock(socket);
	if (!socket || socket->type == SOCK_STREAM)
		return GO_ON;
	if (socket->type != SOCK_DGRAM || socket->protocol != IPPROTO_UDP) {
		packet_sent(skb, sock_of(socket));
		return GO_ON;
	}
	intent = bpf_sk_storage_get(&intents, socket, NULL, 0);
	if (intent && intent->waits) {
		struct learn_talk talk =
			intent->talk; /* Verifier: a key is on the stack, or in a map that others know */

		intent->waits = 0;
		note(&talks_out, LEARN_OUT, &talk);
	}
	return GO_ON;
}

static __always_inline void arrived(struct learn_talk *talk, const struct sock *sk)
{
	if (identity_of_sock((__u64)sk, &talk->identity))
		lose(LEARN_LOST_IDENTITIES);
	else
		note(&talks_in, LEARN_IN, talk);
}

SEC("cgroup_skb/ingress")
int learn_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *socket = skb->sk;
	struct learn_talk talk = { 0 };
	const struct sock *sk;

	if (!socket)
		return GO_ON;
	socket = bpf_sk_fullsock(socket);
	if (!socket || socket->type != SOCK_DGRAM || socket->protocol != IPPROTO_UDP)
		return GO_ON;
	sk = sock_of(socket);
	if (!is_bound(sk) || sock_netns(sk) != learn_netns || !packet_read(skb, &talk, LEARN_IN) || stays_here(&talk))
		return GO_ON;
	talk.proto = IPPROTO_UDP;
	talk.port = sock_port(sk);
	if (began(LEARN_IN, &talk, talk.port))
		arrived(&talk, sk);
	return GO_ON;
}

/* ---- ports ---- */

/* When somebody comes, the process is not known any more. */
static __always_inline void serves(const struct sock *sk, __u8 proto, __u16 port)
{
	struct learn_server server = { .port = port, .proto = proto, .owner = BPF_CORE_READ(sk, sk_uid.val) };
	__u32 identity = 0;

	if (sock_netns(sk) == learn_netns && !identity_of_task(server.owner, &identity))
		bpf_map_update_elem(&servers, &server, &identity, BPF_ANY);
}

static __always_inline int bound(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_UDP)
		serves(sock_of(ctx), IPPROTO_UDP, ctx->src_port);
	return GO_ON;
}

SEC("cgroup/post_bind4")
int learn_bind4(struct bpf_sock *ctx)
{
	return bound(ctx);
}

SEC("cgroup/post_bind6")
int learn_bind6(struct bpf_sock *ctx)
{
	return bound(ctx);
}

SEC("sockops")
int learn_sockops(struct bpf_sock_ops *ctx)
{
	struct learn_talk talk = { .proto = IPPROTO_TCP };
	const struct sock *sk;

	if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		serves(sock_of(ctx->sk), IPPROTO_TCP, ctx->local_port);
	if (ctx->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return GO_ON;
	if (ctx->family == AF_INET6) {
		__u32 addr_be[4] = { ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2], ctx->remote_ip6[3] };

		talk_address6(&talk, addr_be);
	} else {
		talk_address4(&talk, ctx->remote_ip4);
	}
	sk = sock_of(ctx->sk);
	if (stays_here(&talk))
		return GO_ON;
	if (sock_netns(sk) != learn_netns) {
		lose(LEARN_FOREIGN);
		return GO_ON;
	}
	talk.port = ctx->local_port;
	arrived(&talk, sk);
	return GO_ON;
}

char LICENSE[] SEC("license") = "GPL";
