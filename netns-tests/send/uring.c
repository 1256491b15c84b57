// SPDX-License-Identifier: GPL-2.0
/* One request at a time through io_uring, with the bare system calls. */
#include "send.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

struct ring {
	int fd;
	bool polled; /* a thread of the kernel takes our requests */
	unsigned int *tail, *mask, *array, *flags;
	unsigned int *answers_head, *answers_tail, *answers_mask;
	struct io_uring_sqe *requests;
	struct io_uring_cqe *answers;
};

static void *map(int fd, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	return at == MAP_FAILED ? NULL : at;
}

static int ring_open(struct ring *ring, bool polled)
{
	struct io_uring_params p = { .flags = polled ? IORING_SETUP_SQPOLL : 0, .sq_thread_idle = 100 };
	char *sq, *cq;

	ring->polled = polled;
	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring->fd < 0)
		return -errno;
	sq = map(ring->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = map(ring->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	ring->requests = map(ring->fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	if (!sq || !cq || !ring->requests)
		return -ENOMEM;
	ring->tail = (void *)(sq + p.sq_off.tail);
	ring->mask = (void *)(sq + p.sq_off.ring_mask);
	ring->array = (void *)(sq + p.sq_off.array);
	ring->flags = (void *)(sq + p.sq_off.flags);
	ring->answers_head = (void *)(cq + p.cq_off.head);
	ring->answers_tail = (void *)(cq + p.cq_off.tail);
	ring->answers_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->answers = (void *)(cq + p.cq_off.cqes);
	return 0;
}

/* One ring a process: who sends makes it. */
static int ring_do(bool polled, const struct io_uring_sqe *request)
{
	static struct ring ring;
	unsigned int place, enter = IORING_ENTER_GETEVENTS;
	int r;

	if (!ring.requests) {
		r = ring_open(&ring, polled);
		if (r < 0)
			return r;
	}
	place = *ring.tail & *ring.mask;
	ring.requests[place] = *request;
	ring.array[place] = place;
	__atomic_store_n(ring.tail, *ring.tail + 1, __ATOMIC_SEQ_CST);
	if (ring.polled && __atomic_load_n(ring.flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		enter |= IORING_ENTER_SQ_WAKEUP;
	do
		r = syscall(SYS_io_uring_enter, ring.fd, ring.polled ? 0 : 1, 1, enter, NULL, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	place = *ring.answers_head;
	if (place == __atomic_load_n(ring.answers_tail, __ATOMIC_ACQUIRE))
		return -EIO;
	r = ring.answers[place & *ring.answers_mask].res;
	__atomic_store_n(ring.answers_head, place + 1, __ATOMIC_RELEASE);
	return r < 0 ? r : 0;
}

int uring_connect(struct job *job)
{
	return ring_do(job->way->how & URING_SQPOLL, &(struct io_uring_sqe){ .opcode = IORING_OP_CONNECT,
									     .fd = job->fd,
									     .addr = (uintptr_t)&job->to,
									     .off = job->to_len });
}

int uring_send(struct job *job)
{
	const char *text = job->way->type == SOCK_STREAM ? REQUEST : DATAGRAM;

	return ring_do(job->way->how & URING_SQPOLL,
		       &(struct io_uring_sqe){
			       .opcode = IORING_OP_SEND, .fd = job->fd, .addr = (uintptr_t)text, .len = strlen(text) });
}

int uring_sendmsg(struct job *job)
{
	struct iovec data = { DATAGRAM, strlen(DATAGRAM) };
	struct msghdr message = job_message(job, &data);

	return ring_do(job->way->how & URING_SQPOLL,
		       &(struct io_uring_sqe){
			       .opcode = IORING_OP_SENDMSG, .fd = job->fd, .addr = (uintptr_t)&message, .len = 1 });
}
