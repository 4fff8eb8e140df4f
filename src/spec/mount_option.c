/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/mount_option.h"

#include "base/macros.h"
#include "base/str.h"

#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#define IDMAP "idmap="

/*
 * In alphabetical order, as "features" lists them. norelatime leaves the kernel its choice, which is relatime; the kernel has had no
 * mandatory locks since 5.15, keeps i_version by itself, and silent only concerns what it writes to its log.
 */
static const struct mount_option mount_options[] = {
    {"async", MOUNT_OPTION_SUPER_CLEAR, false, MS_SYNCHRONOUS},
    {"atime", MOUNT_OPTION_ATIME, false, MOUNT_ATTR_RELATIME},
    {"bind", MOUNT_OPTION_BIND, false, 0},
    {"copy-symlink", MOUNT_OPTION_COPY_SYMLINK, false, 0},
    {"defaults", MOUNT_OPTION_NOTHING, false, 0},
    {"dest-nofollow", MOUNT_OPTION_TARGET_NOFOLLOW, false, 0},
    {"dev", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_NODEV},
    {"diratime", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_NODIRATIME},
    {"dirsync", MOUNT_OPTION_SUPER_SET, false, MS_DIRSYNC},
    {"exec", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_NOEXEC},
    {"idmap", MOUNT_OPTION_IDMAP, false, 0},
    {"iversion", MOUNT_OPTION_SUPER_SET, false, MS_I_VERSION},
    {"lazytime", MOUNT_OPTION_SUPER_SET, false, MS_LAZYTIME},
    {"loud", MOUNT_OPTION_SUPER_CLEAR, false, MS_SILENT},
    {"mand", MOUNT_OPTION_SUPER_SET, false, MS_MANDLOCK},
    {"noatime", MOUNT_OPTION_ATIME, false, MOUNT_ATTR_NOATIME},
    {"nodev", MOUNT_OPTION_SET, false, MOUNT_ATTR_NODEV},
    {"nodiratime", MOUNT_OPTION_SET, false, MOUNT_ATTR_NODIRATIME},
    {"noexec", MOUNT_OPTION_SET, false, MOUNT_ATTR_NOEXEC},
    {"noiversion", MOUNT_OPTION_SUPER_CLEAR, false, MS_I_VERSION},
    {"nolazytime", MOUNT_OPTION_SUPER_CLEAR, false, MS_LAZYTIME},
    {"nomand", MOUNT_OPTION_SUPER_CLEAR, false, MS_MANDLOCK},
    {"norelatime", MOUNT_OPTION_NOTHING, false, 0},
    {"nostrictatime", MOUNT_OPTION_ATIME, false, MOUNT_ATTR_RELATIME},
    {"nosuid", MOUNT_OPTION_SET, false, MOUNT_ATTR_NOSUID},
    {"nosymfollow", MOUNT_OPTION_SET, false, MOUNT_ATTR_NOSYMFOLLOW},
    {"private", MOUNT_OPTION_PROPAGATION, false, MS_PRIVATE},
    {"ratime", MOUNT_OPTION_ATIME, true, MOUNT_ATTR_RELATIME},
    {"rbind", MOUNT_OPTION_BIND, true, 0},
    {"rdev", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_NODEV},
    {"rdiratime", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_NODIRATIME},
    {"relatime", MOUNT_OPTION_ATIME, false, MOUNT_ATTR_RELATIME},
    {"remount", MOUNT_OPTION_REMOUNT, false, 0},
    {"rexec", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_NOEXEC},
    {"ridmap", MOUNT_OPTION_IDMAP, true, 0},
    {"rnoatime", MOUNT_OPTION_ATIME, true, MOUNT_ATTR_NOATIME},
    {"rnodev", MOUNT_OPTION_SET, true, MOUNT_ATTR_NODEV},
    {"rnodiratime", MOUNT_OPTION_SET, true, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", MOUNT_OPTION_SET, true, MOUNT_ATTR_NOEXEC},
    {"rnorelatime", MOUNT_OPTION_NOTHING, true, 0},
    {"rnostrictatime", MOUNT_OPTION_ATIME, true, MOUNT_ATTR_RELATIME},
    {"rnosuid", MOUNT_OPTION_SET, true, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", MOUNT_OPTION_SET, true, MOUNT_ATTR_NOSYMFOLLOW},
    {"ro", MOUNT_OPTION_SET, false, MOUNT_ATTR_RDONLY},
    {"rprivate", MOUNT_OPTION_PROPAGATION, true, MS_PRIVATE},
    {"rrelatime", MOUNT_OPTION_ATIME, true, MOUNT_ATTR_RELATIME},
    {"rro", MOUNT_OPTION_SET, true, MOUNT_ATTR_RDONLY},
    {"rrw", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_RDONLY},
    {"rshared", MOUNT_OPTION_PROPAGATION, true, MS_SHARED},
    {"rslave", MOUNT_OPTION_PROPAGATION, true, MS_SLAVE},
    {"rstrictatime", MOUNT_OPTION_ATIME, true, MOUNT_ATTR_STRICTATIME},
    {"rsuid", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_NOSUID},
    {"rsymfollow", MOUNT_OPTION_CLEAR, true, MOUNT_ATTR_NOSYMFOLLOW},
    {"runbindable", MOUNT_OPTION_PROPAGATION, true, MS_UNBINDABLE},
    {"rw", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_RDONLY},
    {"shared", MOUNT_OPTION_PROPAGATION, false, MS_SHARED},
    {"silent", MOUNT_OPTION_SUPER_SET, false, MS_SILENT},
    {"slave", MOUNT_OPTION_PROPAGATION, false, MS_SLAVE},
    {"src-nofollow", MOUNT_OPTION_SOURCE_NOFOLLOW, false, 0},
    {"strictatime", MOUNT_OPTION_ATIME, false, MOUNT_ATTR_STRICTATIME},
    {"suid", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_NOSUID},
    {"symfollow", MOUNT_OPTION_CLEAR, false, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", MOUNT_OPTION_SUPER_SET, false, MS_SYNCHRONOUS},
    {"tmpcopyup", MOUNT_OPTION_COPY_UP, false, 0},
    {"unbindable", MOUNT_OPTION_PROPAGATION, false, MS_UNBINDABLE},
};

const struct mount_option *mount_option_find(const char *text)
{
        size_t from = 0, to = ARRAY_SIZE(mount_options);

        if (str_starts(text, IDMAP))
                text = "idmap";
        while (from < to) {
                size_t middle = from + (to - from) / 2;
                int order = strcmp(text, mount_options[middle].name);

                if (order == 0)
                        return &mount_options[middle];
                if (order < 0)
                        to = middle;
                else
                        from = middle + 1;
        }
        return NULL;
}

const struct mount_option *mount_option_at(size_t i)
{
        return i < ARRAY_SIZE(mount_options) ? &mount_options[i] : NULL;
}
