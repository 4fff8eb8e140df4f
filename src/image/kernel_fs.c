/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernel_fs.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

#include "base/macros.h"

bool kernel_fs_is(int fd)
{
        static const long types[] = {
            PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
            DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   DEVPTS_SUPER_MAGIC,
            BINFMTFS_MAGIC,   BPF_FS_MAGIC,  PSTOREFS_MAGIC,     EFIVARFS_MAGIC,
        };
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if ((long)fs.f_type == types[i])
                        return true;
        return false;
}
