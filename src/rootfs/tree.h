/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tree — a container's merged root file system, for those who walk it from outside: cp, mount.
 *
 * Process: a mode of kelp-monitor, inside U (monitor_enter()), single-threaded. We stay in the host's mount namespace: a child of ours makes
 * the mounts in one of its own (or enters the running container's) and hands over the root's descriptor, so that our /proc, our names
 * and our other descriptors keep their meaning. Everything below the root was chosen by the container: resolve names with
 * path_open_in_root(t->fd, …), never follow a last component that you mean to change, and expect the tree to change while you look.
 * Owners are those that U sees: translate with the container's maps (id_map_to_inside(&spec->uid_map, …)), which are empty when the
 * container runs in U itself.
 *
 *   running         what its processes see (.mounts), or the root file system alone, whose mount points are then what lies below
 *                   the mounts
 *   not running     .write: mounted as a start would, so nobody else may (the caller holds the container's lock), --read-only included; else read-only, nothing on
 *                   disk changes and a start may happen meanwhile. .mounts adds its bind mounts and volumes, but none of the
 *                   kernel's file systems and no tmpfs
 *
 * Use: monitor/tree.h finds the container and does all this; what it returns is released with rootfs_tree_free().
 */
#include "base/macros.h"

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct spec;
struct rootfs;

struct rootfs_tree_opts {
        struct spec
            *spec; /* with absolute upper, work and root_path; is changed. Must outlive the tree */
        const char *data_root;
        int pidfd; /* of its pid 1; -EBADF: it is not running */
        bool write, mounts;
};
struct rootfs_tree {
        int fd;       /* the root, O_PATH */
        int sock;     /* the keeper lives as long as this is open */
        pid_t keeper; /* holds the mounts, ends with us */
        int keeper_pidfd;
        pid_t helper; /* fuse-overlayfs; 0: none */
        int helper_pidfd;
        struct rootfs *rootfs;
};
int rootfs_tree_open(const struct rootfs_tree_opts *o, struct rootfs_tree **ret,
                     struct err **reterr);
/* Everything that was written is given to the file system before the mounts go. NULL ok; returns NULL. */
struct rootfs_tree *rootfs_tree_free(struct rootfs_tree *t);
DEFINE_CLEANUP(struct rootfs_tree *, rootfs_tree_free);
