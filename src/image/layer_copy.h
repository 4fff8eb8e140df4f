/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* layer_copy — copying a layer's files: whole with its whiteouts (a variant), or merged into a plain tree (storage driver "copy"). */
#include <stdbool.h>
#include <sys/stat.h>

struct err;

/* Copies everything below @from_fd into @to_fd: content (shared extents where the file system can), holes, hard links, modes, owners, extended
 * attributes, times. @merge: whiteouts and opaque directories act on what @to_fd has; else they are copied as they are. No descriptor
 * is held per level of depth. */
int layer_copy_tree(int from_fd, int to_fd, bool merge, struct err **reterr);
/* The same without merging; where the file system cannot share extents, @link is asked first for every regular file: 1: it gave the inode of one that is
 * just as the copy is to be the name @name in @to_dir, 0: copy it. @dir/@name is its path. */
struct layer_reuse {
        int (*link)(void *arg, const char *dir, const char *name, const struct stat *st,
                    int to_dir);
        void *arg;
};
int layer_copy_reusing(int from_fd, int to_fd, const struct layer_reuse *reuse,
                       struct err **reterr);
