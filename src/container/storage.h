/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * storage — which driver gives containers their root file system on this host: the kernel's overlay, fuse-overlayfs, or copying.
 *
 * Found out by mounting for real, inside U, in the data root itself (the file system there matters); remembered in the runtime
 * directory for this boot. Never silent: `why` says what decided, and why a better one is not used.
 */
#include "base/macros.h"

struct dirs;
struct err;

struct storage_info {
        char *driver; /* "overlay", "fuse-overlayfs" or "copy" */
        char *why;
};
/* @option: --storage-driver, which is checked by name and taken; NULL: the best that works. */
int storage_probe(const struct dirs *d, const char *option, struct storage_info **ret,
                  struct err **reterr);
struct storage_info *storage_info_free(struct storage_info *s);
DEFINE_CLEANUP(struct storage_info *, storage_info_free);
