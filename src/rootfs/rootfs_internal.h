/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of rootfs/ share; all child-safe. */
#include "rootfs/child.h"

#include <stdbool.h>

extern const char *const rootfs_dev_names[ROOTFS_DEV_NODES]; /* "null", … */

struct rootfs_dev_link {
        const char *name, *to;
};
#define ROOTFS_DEV_LINKS 6
extern const struct rootfs_dev_link rootfs_dev_links[ROOTFS_DEV_LINKS];

/* A detached mount of a file system. @source: only for the eye, in /proc/mounts; NULL: its type. The kernel's words go to @note. -errno. */
int rootfs_fs_mount(const char *fs, const char *source, const struct rootfs_param *params, size_t n,
                    uint64_t attrs, struct child_note *note);
/* child_mounts.c: attributes and propagation of what is mounted, or about to be. */
int rootfs_set_attrs(const struct rootfs_op *op, int tree, struct child_note *note);
/* child_oci.c: what only bundles have. */
int rootfs_op_mount(struct rootfs_plan *p, const struct rootfs_op *op, struct child_note *note);
int rootfs_op_remount(const struct rootfs_plan *p, const struct rootfs_op *op,
                      struct child_note *note);
int rootfs_op_link(const struct rootfs_plan *p, const struct rootfs_op *op);
int rootfs_child_devices(const struct rootfs_plan *p, struct child_note *note);
/* child_cgroup.c */
int rootfs_op_cgroup1(const struct rootfs_plan *p, const struct rootfs_op *op,
                      struct child_note *note);
/* Mount @tree on the O_PATH descriptor @target. */
int rootfs_attach(int tree, int target);
/* O_PATH descriptor of a mount point, made when missing: a directory, or an empty file. */
int rootfs_target(int root, const char *path, bool directory, bool no_links);
/* The same for @op. */
int rootfs_op_target(const struct rootfs_plan *p, const struct rootfs_op *op, bool directory);
/* O_PATH descriptor of the directory that @path lies in, made when missing. Puts into @name, of NAME_MAX + 1 bytes, what it is called there. */
int rootfs_target_parent(int root, const char *path, char *name);
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
