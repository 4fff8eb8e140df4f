/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* tree — a container's root file system by the container's id: for modes that read or change its files (rootfs/tree.h says how to walk it). */
#include "base/macros.h"
#include "rootfs/tree.h"

#include <stdbool.h>

struct dirs;
struct err;
struct spec;

struct container_tree {
        struct rootfs_tree *root; /* root->fd is what to walk */
        struct spec *spec;
        int dir_fd; /* containers/<id> */
        int lock_fd; /* .write of one that does not run: its lock, so that it is not started meanwhile */
        bool running;
};
/* After monitor_enter(). @mounts: through its volumes and bind mounts, too; else only the container's own files. ERR_BUSY: @write while it is
 * just being started. A container that ends while we look takes its mounts along: what was found missing may be because of that. */
int container_tree_open(const struct dirs *d, const char *id, bool write, bool mounts,
                        struct container_tree **ret, struct err **reterr);
struct container_tree *container_tree_free(struct container_tree *t);
DEFINE_CLEANUP(struct container_tree *, container_tree_free);
