// SPDX-License-Identifier: GPL-2.0
/* The driver's programs: sized for the flows, loaded, filled, told what to call. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "drive.h"
#include "scaffold.skel.h"

struct scaffold_bpf *bpf;
unsigned char frame[FRAME_ROOM];

static void *map_file(const char *path, size_t *ret_size)
{
	struct stat s;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0 || fstat(fd, &s))
		die(path, errno);
	at = mmap(NULL, s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		die(path, errno);
	close(fd);
	*ret_size = s.st_size;
	return at;
}

const struct flow_file *flows_open(const char *path)
{
	size_t size;
	const struct flow_file *file = map_file(path, &size);

	if (size < sizeof(*file) || file->magic != FLOW_MAGIC || !file->count ||
	    (file->words != FLOW4_WORDS && file->words != FLOW_WORDS) ||
	    size != sizeof(*file) + 4ul * file->words * file->count)
		die("that is not a file of flows", 0);
	return file;
}

static void load_flows(const struct flow_file *file)
{
	size_t record = 4ul * file->words, bytes = file->count * ((record + 7) & ~7ul);
	size_t page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map__fd(bpf->maps.flows);
	void *to;

	if (record % 8)
		die("a record is not a multiple of 8 bytes", 0);
	bytes = (bytes + page - 1) & ~(page - 1);
	to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		die("cannot map the flows", errno);
	memcpy(to, file + 1, record * file->count);
	munmap(to, bytes);
}

/* What the record says is written by the programs; here is what stays. */
static void make_frame(bool ipv6)
{
	memset(frame, 0, sizeof(frame));
	memcpy(frame, o.dmac, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x02", 6);
	frame[12] = ipv6 ? 0x86 : 0x08;
	frame[13] = ipv6 ? 0xdd : 0x00;
	frame[14] = ipv6 ? 0x60 : 0x45;
}

void programs_load(const struct flow_file *file)
{
	struct scaffold_bpf__rodata *ro;
	bool any = file && file->words == FLOW_WORDS;
	int r;

	bpf = scaffold_bpf__open();
	if (!bpf)
		die("cannot open the bench's programs", errno);
	ro = bpf->rodata;
	if (file) {
		if (any && o.size < FRAME_MIN_6)
			o.size = FRAME_MIN_6;
		ro->frame.words = file->words;
		ro->frame.count = file->count;
		ro->frame.tcp = file->tcp;
		/* The shortest frame is a bare header and padding, a longer one is full. */
		ro->frame.total4 = o.size == FRAME_MIN ? 40 : o.size - 14;
		ro->frame.transport4 = ro->frame.total4 - 20;
		ro->frame.payload6 = any ? o.size - 54 : 0;
		bpf_map__set_value_size(bpf->maps.flows, 4 * file->words);
		bpf_map__set_max_entries(bpf->maps.flows, file->count);
	}
	r = scaffold_bpf__load(bpf);
	if (r)
		die("cannot load the bench's programs", r);
	if (file)
		load_flows(file);
	make_frame(any);
}

static int attached_fd(const char *ifindex)
{
	__u32 id = 0;
	int r = bpf_xdp_query_id(number(ifindex), 0, &id);

	if (r || !id)
		die("no XDP program is attached where one was expected", r);
	return bpf_prog_get_fd_by_id(id);
}

void target_set_program(int slot, const char *program)
{
	struct bpf_program *drop = o.tc ? bpf->progs.drop_tc : bpf->progs.drop_xdp;
	struct bpf_program *parse = o.tc ? bpf->progs.parse_tc : bpf->progs.parse_xdp;
	int array = bpf_map__fd(o.tc ? bpf->maps.tc_targets : bpf->maps.xdp_targets), fd;

	if (!strcmp(program, "drop"))
		fd = bpf_program__fd(drop);
	else if (!strcmp(program, "parse"))
		fd = bpf_program__fd(parse);
	else if (!strncmp(program, "xdp:", 4)) {
		targets[slot].ifindex = number(program + 4);
		fd = attached_fd(program + 4);
	} else
		fd = bpf_obj_get(program);
	if (fd < 0)
		die(program, errno);
	if (bpf_map_update_elem(array, &slot, &fd, BPF_ANY))
		die("the program under test cannot be called from the bench's", errno);
}

void programs_pin(const char *directory)
{
	struct bpf_program *each;
	char path[400];

	programs_load(NULL);
	bpf_object__for_each_program(each, bpf->obj)
	{
		snprintf(path, sizeof(path), "%s/%s", directory, bpf_program__name(each));
		if (bpf_program__pin(each, path))
			die(path, errno);
	}
}
