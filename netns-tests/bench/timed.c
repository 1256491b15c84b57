// SPDX-License-Identifier: GPL-2.0
/*
 * timed COMMAND...: run it, then say on the last line of stdout `TIMED <us> <peak resident KB> <exit code>`.
 *
 * A program of its own because the kernel counts what a process was before exec into its peak: a child of a large
 * interpreter looks as large as that.
 */
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long microseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	long start = microseconds();
	struct rusage usage;
	int status;
	pid_t child;

	if (argc < 2)
		return 2;
	child = fork();
	if (child < 0) {
		perror("timed: cannot fork");
		return 1;
	}
	if (child == 0) {
		execvp(argv[1], argv + 1);
		fprintf(stderr, "timed: %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	if (wait4(child, &status, 0, &usage) != child)
		return 1;
	printf("\nTIMED %ld %ld %d\n", microseconds() - start, usage.ru_maxrss,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}
