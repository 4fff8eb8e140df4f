/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a transfer may leave a setuid or setgid bit: on the container's own root file system and its volumes, which only containers run programs of. In
 * a directory of the host that it shares, a program of the container's, or of a stranger's archive, would run with the rights of the
 * caller for whoever starts it.
 *
 * A mount is known by its root, which no name and no link in the container can change: a bind mount of a volume begins at the volume's directory.
 */
#include "base/fd.h"
#include "image/transfer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#define DEPTH_MAX 4096 /* of a directory below its mount point; the container chooses it */

static bool mount_id(int fd, uint64_t *ret)
{
        struct statx st;

        if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
                return false;
        *ret = st.stx_mnt_id;
        return true;
}

/* False: it is too deep, or was moved out of what is mounted. */
static bool find_mount_root(int dir, uint64_t mount, struct stat *ret)
{
        AUTO_CLOSE int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        for (int depth = 0; at >= 0 && depth < DEPTH_MAX; depth++) {
                int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                uint64_t above;

                if (up < 0 || !mount_id(up, &above) || (above != mount && fstat(at, ret) < 0)) {
                        (void)fd_close(up);
                        return false;
                }
                (void)fd_close(at);
                at = up;
                if (above != mount)
                        return true;
        }
        return false;
}

bool transfer_keeps_setid(const struct transfer *x, int dir)
{
        struct stat root = {0};
        uint64_t mount, own;

        if (!x->keep || x->to_root < 0 || !mount_id(dir, &mount) || !mount_id(x->to_root, &own))
                return false;
        if (mount == own)
                return true;
        if (x->n_volumes == 0 || !find_mount_root(dir, mount, &root))
                return false;
        for (size_t i = 0; i < x->n_volumes; i++) {
                if (x->volumes[i].dev == root.st_dev && x->volumes[i].ino == root.st_ino)
                        return true;
        }
        return false;
}
