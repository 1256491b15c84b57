/* SPDX-License-Identifier: GPL-2.0 */
/* The file system that keeps programs, links and maps alive without a process. */
#pragma once

#include "kernel.h"

#define BPFFS "/sys/fs/bpf"

bool bpffs_holds(const char *path);
bool bpffs_holds_fd(int fd);
/* -EXDEV and a problem where a path below BPFFS cannot be seen or made to last from here. */
int bpffs_check(const char *path, struct diag *diag);
/* Mounts one at BPFFS where path is below it and nothing is mounted yet. */
int bpffs_mount(const char *path, struct diag *diag);
