/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* mount_options — runtime-spec mount options to attributes, propagation and parameters. Pure. */
#include "rootfs/child.h"

struct err;
struct spec_mount;
struct strv;

/* Fills attrs, propagation, recursive, copy_up, and params (with strings kept in @strings) of @op. *ret_bind: the options ask for a
 * bind mount whatever the type says. ERR_USAGE names mount and option. */
int mount_options_parse(const struct spec_mount *m, struct rootfs_op *op, struct strv *strings,
                        bool *ret_bind, struct err **reterr);
