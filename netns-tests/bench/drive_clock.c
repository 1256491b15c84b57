// SPDX-License-Identifier: GPL-2.0
/* The driver's clock, and time that belongs to a run but not to its thread. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drive.h"

static int ksoftirqd = -1;

unsigned long now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("cannot read a clock", errno);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}

/* ksoftirqd of our CPU; its run time is the first number of schedstat. */
void ksoftirqd_open(void)
{
	char path[300], want[32], comm[32];
	DIR *proc = opendir("/proc");
	struct dirent *each;

	snprintf(want, sizeof(want), "ksoftirqd/%lu", o.cpu);
	while (proc && ksoftirqd < 0 && (each = readdir(proc))) {
		FILE *f;

		if (!isdigit((unsigned char)each->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", each->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && (comm[strcspn(comm, "\n")] = 0, !strcmp(comm, want))) {
			snprintf(path, sizeof(path), "/proc/%s/schedstat", each->d_name);
			ksoftirqd = open(path, O_RDONLY | O_CLOEXEC);
		}
		fclose(f);
	}
	if (proc)
		closedir(proc);
	if (ksoftirqd < 0)
		die("cannot find the run time of ksoftirqd: live frames could not be charged", 0);
}

unsigned long ksoftirqd_ns(void)
{
	char text[100];
	ssize_t n;

	if (ksoftirqd < 0)
		return 0;
	n = pread(ksoftirqd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		die("cannot read the run time of ksoftirqd", errno);
	text[n] = 0;
	return strtoul(text, NULL, 10);
}

/* A kernel that keeps interrupt time apart takes softirqs out of the thread's time: live frames would look free. */
void clock_check(void)
{
	FILE *f = popen("zcat /proc/config.gz 2>/dev/null || cat /boot/config-$(uname -r) 2>/dev/null", "re");
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		if (!strcmp(line, "CONFIG_IRQ_TIME_ACCOUNTING=y\n") && o.live)
			die("this kernel keeps interrupt time apart (IRQ_TIME_ACCOUNTING): boot it with tsc=noirqtime",
			    0);
	if (f)
		pclose(f);
}

void clock_settle_on_cpu(void)
{
	struct sched_param most = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(o.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("cannot stay on one CPU", errno);
	if (sched_setscheduler(0, SCHED_FIFO, &most))
		fprintf(stderr, "drive: no SCHED_FIFO here: %s; the figures are noisier\n", strerror(errno));
}
