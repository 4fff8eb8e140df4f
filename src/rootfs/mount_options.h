/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* mount_options — mount options (spec/mount_option.h) to attributes, propagation and parameters. Pure. */
#include "rootfs/child.h"

struct err;
struct spec_mount;
struct strv;

/* What the options ask for besides what they say about the mount itself. */
struct mount_options {
        bool bind; /* whatever the type says */
        bool remount;
        bool idmap, idmap_recursive;
        const char *idmap_text; /* behind "idmap="; NULL: only the word. The mount's own string */
        bool copy_symlink;
        uint64_t super; /* MS_* of the file system; has no effect on a bind */
};
/*
 * Fills attributes, propagation, recursive, copy_up, source_nofollow, target_nofollow, and params (with strings kept in @strings) of @op.
 * @oci: of a bundle: a negative option takes the flag away from what is bound, too, and only a recursive one reaches the mounts below.
 * Of Kelp's own command line: a negative option only takes back what stood further left, and with one recursive option all are. ERR_USAGE names
 * mount and option.
 */
int mount_options_parse(const struct spec_mount *m, bool oci, struct rootfs_op *op,
                        struct strv *strings, struct mount_options *ret, struct err **reterr);
