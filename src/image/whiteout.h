/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * whiteout — deletions: the archive's form (".wh.NAME", ".wh..wh..opq") and the form on disk that the kernel's overlay understands
 * with "userxattr" (a character device 0:0, which needs no privilege since Linux 5.8; user.overlay.opaque).
 */
#include <stdbool.h>
#include <sys/stat.h>

enum whiteout {
        WHITEOUT_NONE,
        WHITEOUT_NAME,    /* hides one lower name */
        WHITEOUT_OPAQUE,  /* hides all lower names of the directory */
        WHITEOUT_IGNORED, /* other bookkeeping of aufs */
        WHITEOUT_INVALID, /* hides nothing that could be a name */
};
/* @base: last component. For WHITEOUT_NAME *ret_name points at the hidden name inside @base. */
enum whiteout whiteout_parse(const char *base, const char **ret_name);

static inline bool whiteout_is(const struct stat *st)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}
int whiteout_make(int dirfd, const char *name); /* 0 or -errno */
/* Marks and asks for marks; @dirfd may not be O_PATH. */
int whiteout_set_opaque(int dirfd);
bool whiteout_is_opaque(int dirfd);
/* Attributes that belong to union file systems: an archive cannot bring them, a plain copy does not keep them. */
bool whiteout_is_own_xattr(const char *name);
