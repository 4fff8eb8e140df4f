/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* kernel_fs — file systems that are views of the kernel's (/proc, /sys, cgroups, …): they have no end, and files that block. */
#include <stdbool.h>

/* Does @fd (O_PATH will do) belong to one? */
bool kernel_fs_is(int fd);
