/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of rootfs/ share; all child-safe. */
#include "rootfs/child.h"

#include <stdbool.h>

extern const char *const rootfs_dev_names[ROOTFS_DEV_NODES]; /* "null", … */

/* A detached mount of a file system; the kernel's words go to @note. -errno. */
int rootfs_fs_mount(const char *fs, const struct rootfs_param *params, size_t n, uint64_t attrs,
                    struct child_note *note);
/* Mount @tree on the O_PATH descriptor @target. */
int rootfs_attach(int tree, int target);
/* O_PATH descriptor of a mount point, made when missing: a directory, or an empty file. */
int rootfs_target(int root, const char *path, bool directory, bool no_links);
/* Copies the content of directory @from into directory @to: owners, modes, links; devices and sockets are left out. */
int rootfs_copy_tree(int from, int to);
/* The rest of a file. */
int rootfs_copy_bytes(int in, int out);
/* child_secret.c: behind all other mounts, so that none of them hides one. */
int rootfs_child_secrets(const struct rootfs_plan *p, struct child_note *note);
/* The directories of an overlay, topmost first; without upper_fd it is read-only. */
struct rootfs_overlay {
        const int *fds;
        size_t n;
        int upper_fd, work_fd; /* -EBADF: none */
        bool is_volatile;
};
/* A detached mount. -EOPNOTSUPP: this kernel knows no "lowerdir+". */
int rootfs_overlay_new(const struct rootfs_overlay *o, struct child_note *note);
/* The older way: mounts it on @target, a directory that is opened. */
int rootfs_overlay_old(const struct rootfs_overlay *o, int target);
/* child_volume.c: a tree to attach. Consumes @tree. */
int rootfs_subpath(const struct rootfs_plan *p, int tree, const char *subpath, bool recursive);
int rootfs_open_overlay(const struct rootfs_plan *p, const struct rootfs_op *op,
                        struct child_note *note);
int rootfs_overlay_tree(const struct rootfs_plan *p, const struct rootfs_op *op,
                        struct child_note *note);
int rootfs_child_fill_dev(struct rootfs_plan *p, int dev_mount, struct child_note *note);
