/* SPDX-License-Identifier: Apache-2.0 */
#include "image/whiteout.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/path.h"
#include "base/str.h"

/* fuse-overlayfs reads it too. */
#define OPAQUE_NAME "user.overlay.opaque"

enum whiteout whiteout_parse(const char *base, const char **ret_name)
{
        if (!str_starts(base, ".wh."))
                return WHITEOUT_NONE;
        if (strcmp(base, ".wh..wh..opq") == 0)
                return WHITEOUT_OPAQUE;
        if (str_starts(base, ".wh..wh."))
                return WHITEOUT_IGNORED;
        if (!path_is_clean_name(base + 4))
                return WHITEOUT_INVALID;
        *ret_name = base + 4;
        return WHITEOUT_NAME;
}

int whiteout_make(int dirfd, const char *name)
{
        return mknodat(dirfd, name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

int whiteout_set_opaque(int dirfd)
{
        return fsetxattr(dirfd, OPAQUE_NAME, "y", 1, 0) < 0 ? -errno : 0;
}

bool whiteout_is_opaque(int dirfd)
{
        char c = 0;

        return fgetxattr(dirfd, OPAQUE_NAME, &c, 1) == 1 && c == 'y';
}

bool whiteout_is_own_xattr(const char *name)
{
        return str_starts(name, "user.overlay.") || str_starts(name, "user.fuseoverlayfs.") ||
               str_starts(name, "trusted.overlay.");
}
