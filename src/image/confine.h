/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * confine — what kelp-image gives up before it reads a byte of an archive.
 *
 * Should:  leave only the capabilities over U that files need; end the use of system calls that no reader of archives makes; let the
 *          file system be seen only below the data root and the directories given.
 * Mustn't: fail where the kernel lacks Landlock (the other two always work); be undone.
 */
#include <stddef.h>

struct err;
struct confine_dir {
        int fd;
        int writable;
};
int confine(const struct confine_dir *dirs, size_t n, struct err **reterr);
