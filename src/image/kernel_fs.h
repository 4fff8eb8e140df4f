/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* kernel_fs — file systems that are views of the kernel's (/proc, /sys, cgroups, …): they have no end, and files that block. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Does @fd (O_PATH will do) belong to one? */
bool kernel_fs_is(int fd);
/* Is the size in @st of the regular file @fd none that can be relied on, as that of what the kernel makes up when it is read? */
bool kernel_fs_makes_up(int fd, const struct stat *st);
/* All of it to the end of @to, but not without end (KERNEL_FS_MAX). How much that was, or -errno. */
#define KERNEL_FS_MAX ((uint64_t)64 * 1024 * 1024)
int64_t kernel_fs_copy(int from, int to);
