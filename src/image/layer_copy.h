/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* layer_copy — copying a layer's files: whole with its whiteouts (a variant), or merged into a plain tree (storage driver "copy"). */
#include <stdbool.h>

struct err;

/* Copies everything below @from_fd into @to_fd: content (shared extents where the file system can), holes, hard links, modes, owners, extended
 * attributes, times. @merge: whiteouts and opaque directories act on what @to_fd has; else they are copied as they are. No descriptor
 * is held per level of depth. */
int layer_copy_tree(int from_fd, int to_fd, bool merge, struct err **reterr);
