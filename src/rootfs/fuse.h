/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* fuse — fuse-overlayfs as the root file system, for hosts whose kernel refuses overlay to users. */
#include "rootfs/child.h"

#include <sys/types.h>

struct err;

/* Starts Debian's program on a mount of ours. On success p->mount_fd is the detached mount, owned by the plan's owner. */
int rootfs_fuse_start(struct rootfs_plan *p, pid_t *ret_pid, int *ret_pidfd, struct err **reterr);
