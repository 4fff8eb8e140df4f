/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * dirs — where Kelp keeps things (docs/state.md). Honours XDG, --root / KELP_ROOT, and falls back to a private directory of our own,
 * /tmp/kelp-UID (0700, owner checked), when XDG_RUNTIME_DIR is unset, missing or another's.
 */
#include "base/macros.h"

struct err;

struct dirs {
        char *root;    /* persistent tree */
        char *runtime; /* what a reboot may lose; one per root: its hash is part of the path */
        char *cache;   /* compiled seccomp filters */
        int root_fd;   /* O_DIRECTORY, usable for *at(); owned */
        int runtime_fd;
};
/* @root_option: --root or NULL. Creates missing directories with 0700. */
int dirs_open(const char *root_option, struct dirs **ret, struct err **reterr);
/* To look at what is there, and make nothing: of the result only root and root_fd may be used. -ENOENT and the like without words. */
int dirs_open_existing(const char *root_option, struct dirs **ret);
/* A subdirectory of root, made when missing; caller owns the descriptor. */
int dirs_sub(const struct dirs *d, const char *name, struct err **reterr);
int dirs_cache_fd(const struct dirs *d, struct err **reterr);
struct dirs *dirs_free(struct dirs *d);
DEFINE_CLEANUP(struct dirs *, dirs_free);
