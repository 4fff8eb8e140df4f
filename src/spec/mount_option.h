/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * mount_option — the one table of mount options: those of runtime-spec, and those that crun added. What is not in it belongs to the file
 * system. rootfs/ carries them out, "features" lists them. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mount_option_effect {
        MOUNT_OPTION_SET,         /* value: MOUNT_ATTR_* that the mount gets */
        MOUNT_OPTION_CLEAR,       /* value: MOUNT_ATTR_* that it loses */
        MOUNT_OPTION_ATIME,       /* value: what the field MOUNT_ATTR__ATIME becomes */
        MOUNT_OPTION_PROPAGATION, /* value: MS_SHARED … */
        MOUNT_OPTION_BIND,
        MOUNT_OPTION_REMOUNT,
        MOUNT_OPTION_SUPER_SET, /* value: MS_* of the file system itself: a bind leaves it alone */
        MOUNT_OPTION_SUPER_CLEAR, /* value: MS_* that stood further left */
        MOUNT_OPTION_COPY_UP,     /* a tmpfs begins with what it covers */
        MOUNT_OPTION_IDMAP,
        MOUNT_OPTION_COPY_SYMLINK,    /* a source that is a link is made again instead of bound */
        MOUNT_OPTION_SOURCE_NOFOLLOW, /* a source that is a link is bound as that */
        MOUNT_OPTION_TARGET_NOFOLLOW, /* a target that is a link is mounted on */
        MOUNT_OPTION_NOTHING,         /* what every mount has anyway */
};
struct mount_option {
        const char *name;
        enum mount_option_effect effect;
        bool recursive; /* for the mounts below, too */
        uint64_t value;
};

/* "ro", or "idmap=…" for idmap. NULL: not ours. */
const struct mount_option *mount_option_find(const char *text);
/* The @i-th, in alphabetical order; NULL behind the last. */
const struct mount_option *mount_option_at(size_t i);
