/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * rootfs — the parent's half of the root file system: turns a spec's mounts into the child's list of operations (child.h).
 *
 * Process: the monitor, inside U. Nothing is mounted here, since the monitor lives in the host's mount namespace; the exception is
 * the fuse-overlayfs helper, which makes its mount in a namespace of its own and hands it over as a descriptor.
 *
 * What the kernel refuses to an unprivileged user, and what stands in for it:
 *   pid namespace of the host     /proc is the host's, bound read-only (writable when privileged)
 *   network of the host, or of    /sys is the host's, bound read-only with all that is mounted below it
 *   another user namespace
 *   cgroup namespace of the host  /sys/fs/cgroup is the host's, bound read-only
 *   no cgroup2, no mqueue         an empty read-only directory
 *   fresh /proc or /sys inside a container that masks its own: an error with a hint; nothing could stand in for them
 */
#include "base/macros.h"
#include "rootfs/child.h"

#include <stdint.h>
#include <sys/types.h>

struct err;
struct spec;
struct rootfs;

/* @data_root: absolute path that relative layer paths refer to. Makes missing bind sources (create_missing) and gives a fresh upper
 * directory the owner and mode of the topmost layer's root. */
int rootfs_new(const struct spec *s, const char *data_root, struct rootfs **ret,
               struct err **reterr);
struct rootfs *rootfs_free(struct rootfs *r);
DEFINE_CLEANUP(struct rootfs *, rootfs_free);
/* The child's view; valid as long as @r. */
struct rootfs_plan *rootfs_child_plan(struct rootfs *r);
/* Gives the mounts that have the option U to @uid:@gid, ids of the container. */
int rootfs_give_mounts(const struct spec *s, const char *data_root, uint32_t uid, uint32_t gid,
                       struct err **reterr);
/* What can be done about the mount of operation @op, which @uid:@gid of the container cannot write to; NULL when it is not the caller's to
 * change. One line; caller owns. */
char *rootfs_advise(const struct spec *s, const struct rootfs_plan *p, size_t op, uint32_t uid,
                    uint32_t gid);
/* Starts fuse-overlayfs when the spec asks for it; else *ret_pid is 0. The helper is our child and ends with the mount, or with us. */
int rootfs_start_helper(struct rootfs *r, pid_t *ret_pid, int *ret_pidfd, struct err **reterr);
