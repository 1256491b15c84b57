// SPDX-License-Identifier: GPL-2.0
/* The kernel's own tables as programs (tables.bpf.c): loaded and pinned, each by itself, since a kernel may lack one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "drive.h"
#include "tables.skel.h"

static char said[200]; /* the first thing that libbpf, or through it the verifier, complained of */

static int hear(enum libbpf_print_level level, const char *format, va_list values)
{
	char text[sizeof(said)];

	if (level > LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, values);
	if (!said[0] || strstr(text, "kfunc") || strstr(text, "extern"))
		snprintf(said, sizeof(said), "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

static int pin_one(const char *path, const char *name)
{
	struct tables_bpf *tables = tables_bpf__open();
	struct bpf_program *each, *wanted;
	int r;

	if (!tables)
		return -errno;
	wanted = bpf_object__find_program_by_name(tables->obj, name);
	if (!wanted)
		die("there is no such program", 0);
	bpf_map__set_max_entries(tables->maps.hash, strcmp(name, "hash_xdp") ? 1 : o.entries);
	bpf_map__set_max_entries(tables->maps.lru, strcmp(name, "lru_xdp") ? 1 : o.entries);
	bpf_object__for_each_program(each, tables->obj)
	{
		bpf_program__set_autoload(each, each == wanted);
	}
	r = tables_bpf__load(tables);
	if (!r)
		r = bpf_program__pin(wanted, path);
	tables_bpf__destroy(tables);
	return r;
}

/* The program that the path's last part names; prints why it cannot be had. */
void table_pin(const char *path)
{
	const char *name = strrchr(path, '/');
	int r;

	libbpf_set_print(hear);
	r = pin_one(path, name ? name + 1 : path);
	if (r)
		printf("%s: %s\n", strerror(-r), said);
}
