/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the parent's files of rootfs/ share: the plan while it is being made. */
#include "base/str.h"
#include "rootfs/child.h"
#include "rootfs/mount_options.h"

#include <stdbool.h>

struct err;
struct spec;
struct spec_mount;

struct rootfs {
        struct rootfs_plan plan;
        const struct spec *spec;
        struct rootfs_op *ops;
        struct strv strings; /* everything the plan points to and that is not the spec's */
        const char **layers;
        struct rootfs_param *sysctls;
        struct rootfs_secret *secrets;
        struct rootfs_device *devices;
        struct rootfs_cgroup *cgroups; /* of the host; NULL: not looked for yet */
        size_t n_cgroups;
        int *trees, *layer_fds, *secret_fds, *secret_targets, *device_trees;
        int *prepared; /* per mount: what the parent has made of it; -EBADF: nothing */
};

const char *rootfs_keep(struct rootfs *r, char *s);
/* The container's user namespace owns it, so that the kernel lets us mount its file system. */
bool rootfs_ns_is_owned(const struct spec *s, int ns);
/* A mount namespace of the container's own: without one nothing can be mounted. */
bool rootfs_has_mounts(const struct spec *s);

/* Without the group of terminals where it is not mapped. */
int rootfs_devpts(struct rootfs *r, struct rootfs_op *op, struct err **reterr);

/* oci.c: what bundles have in place of Kelp's own; the operation has target and options. */
int rootfs_oci_mount(struct rootfs *r, const struct spec_mount *m, const struct mount_options *o,
                     struct rootfs_op *op, struct err **reterr);
/* ERR_UNSUPPORTED for what cannot be without a mount namespace, or not at all. */
int rootfs_oci_root(struct rootfs *r, struct err **reterr);
/* oci_devices.c */
int rootfs_oci_devices(struct rootfs *r, struct err **reterr);
/* oci_cgroup.c: for type "cgroup". */
int rootfs_oci_cgroup(struct rootfs *r, struct rootfs_op *op, struct err **reterr);
void rootfs_oci_cgroup_free(struct rootfs *r);
/* oci_idmap.c: a detached mount of the operation's source whose ids are mapped; owned by the caller. */
int rootfs_oci_idmap(const struct rootfs *r, const struct spec_mount *m,
                     const struct mount_options *o, const struct rootfs_op *op, int *ret_tree,
                     struct err **reterr);
