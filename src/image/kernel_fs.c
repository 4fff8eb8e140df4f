/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernel_fs.h"

#include <errno.h>
#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/macros.h"

#define SAID_MAX (64 * 1024) /* pages are of that size at most */

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

/* Sizes are said to be none (/proc), or a page whatever there is (/sys). */
bool kernel_fs_makes_up(int fd, const struct stat *st)
{
        return st->st_size <= SAID_MAX && kernel_fs_is(fd);
}

int64_t kernel_fs_copy(int from, int to)
{
        char buf[65536];
        uint64_t done = 0;

        while (done < KERNEL_FS_MAX) {
                ssize_t n = read(from, buf, sizeof(buf));
                int r = n < 0 ? -errno : io_write_full(to, buf, (size_t)n);

                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return r;
                if (n == 0)
                        break;
                done += (uint64_t)n;
        }
        return (int64_t)done;
}
