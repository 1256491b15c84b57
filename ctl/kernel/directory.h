/* SPDX-License-Identifier: GPL-2.0 */
/* The directory of the pins. Who can write there, or put another one in its place, decides what the kernel enforces. */
#pragma once

#include <stdbool.h>

#include "../lang/diag.h"

/*
 * Opens it without following a symbolic link: this user's own, mode 0700, on a BPF file system, and below directories in
 * which no other user can replace it. create: makes what is missing. A descriptor, or a negative errno with a problem;
 * -ENOENT without one.
 */
int directory_open(const char *path, bool create, struct diag *diag);
/* All that is in it must be this user's alone: directories, and files in them. */
int directory_check(int fd, const char *path, struct diag *diag);
