/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/removal.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/path.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void removal_unlink_name(const struct dirs *d, const char *id, const char *name)
{
        AUTO_FREE char *path = NULL;
        char target[128], want[128];
        ssize_t n;

        if (!name || !path_is_clean_name(name))
                return;
        path = xasprintf("names/%s", name);
        (void)snprintf(want, sizeof(want), "../containers/%s", id);
        n = readlinkat(d->root_fd, path, target, sizeof(target));
        /* No race with somebody who takes the name over: that is done only with names that lead nowhere, and this one leads to a
         * container that still exists. */
        if (n == (ssize_t)strlen(want) && memcmp(target, want, (size_t)n) == 0)
                (void)unlinkat(d->root_fd, path, 0);
}

/*
 * Its range of ids (container/create_ids.c), for who comes while its files are still being deleted. After the commit: killed before, the
 * container is there and must keep them; killed now, they lead nowhere and are free as soon as nobody deletes the files. Under the lock of those who
 * take over what leads nowhere.
 */
static void release_ids(const struct dirs *d, const char *id)
{
        int fd = openat(d->root_fd, "ids", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_CLOSE int lock = fd < 0 ? -EBADF : lock_acquire(fd, ".lock", true, NULL);
        AUTO_FREE char *want = xasprintf("../containers/%s", id);
        DIR *dir = lock < 0 ? NULL : fdopendir(fd);
        char target[128];

        if (!dir) {
                (void)fd_close(fd);
                return;
        }
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                ssize_t n = readlinkat(fd, e->d_name, target, sizeof(target));

                if (n == (ssize_t)strlen(want) && memcmp(target, want, (size_t)n) == 0)
                        (void)unlinkat(fd, e->d_name, 0);
        }
        (void)closedir(dir);
}

int removal_commit(const struct dirs *d, const char *id, const char *name, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("containers/%s", id), *to = xasprintf("tmp/%s", id);
        int r;

        /* The name first. Killed between the two, the container is still there and is found by its id and in listings; the other
         * order would leave a name whose removal could hit the next one who takes it. */
        removal_unlink_name(d, id, name);
        FAULT_POINT("removal-unnamed");
        r = renameat(d->root_fd, from, d->root_fd, to);
        if (r < 0 && errno == ENOENT && mkdirat(d->root_fd, "tmp", 0700) == 0)
                r = renameat(d->root_fd, from, d->root_fd, to);
        if (r < 0 && errno == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", id);
        if (r < 0)
                return err_sys(reterr, errno, "remove container '%s'", id);
        FAULT_POINT("removal-renamed");
        release_ids(d, id);
        return 0;
}

int removal_delete(const struct dirs *d, const char *id, struct err **reterr)
{
        AUTO_CLOSE int tmp_fd = dirs_sub(d, "tmp", reterr);

        if (tmp_fd < 0)
                return tmp_fd;
        volume_take_listed(d, id);
        return path_remove_tree(tmp_fd, id, reterr);
}
