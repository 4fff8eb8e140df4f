/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/tree.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/process.h"
#include "monitor/monitor.h"
#include "monitor/record.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* pidfd of its pid 1; -ESRCH: it is not running. */
static int open_running(int dir_fd)
{
        struct run_record rec;

        if (!lock_is_held(dir_fd, RECORD_LOCK) || run_record_read(dir_fd, &rec, NULL) <= 0)
                return -ESRCH;
        return process_open(&rec.process, NULL);
}

/* A used layer that is read needs no lock. Everything else is about to be changed: it must not be started under our hands. */
static int take_lock(struct container_tree *t, struct err **reterr)
{
        t->lock_fd = lock_try(t->dir_fd, RECORD_LOCK, true, reterr);
        if (t->lock_fd == -EWOULDBLOCK)
                return err_new(reterr, ERR_BUSY, "it is being started or stopped just now");
        return t->lock_fd < 0 ? t->lock_fd : 0;
}

/* Mount points are made by a start, or when it is mounted to be written to. */
static bool needs_writing(const struct container_tree *t)
{
        return t->spec->n_mounts > 0 && t->spec->work &&
               faccessat(t->dir_fd, "work/work", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

int container_tree_open(const struct dirs *d, const char *id, bool write, bool mounts,
                        struct container_tree **ret, struct err **reterr)
{
        AUTO(container_tree_freep) struct container_tree *t = xnew(struct container_tree);
        AUTO_FREE char *path = xasprintf("containers/%s", id);
        AUTO_CLOSE int pidfd = -EBADF;
        int r;

        t->lock_fd = -EBADF;
        t->dir_fd = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (t->dir_fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", id);
        r = monitor_read_spec(d, t->dir_fd, &t->spec, reterr);
        if (r < 0)
                return r;
        pidfd = open_running(t->dir_fd);
        t->running = pidfd >= 0;
        write |= mounts && needs_writing(t);
        if (!t->running && write)
                r = take_lock(t, reterr);
        if (r >= 0)
                r = rootfs_tree_open(&(struct rootfs_tree_opts){.spec = t->spec,
                                                                .data_root = d->root,
                                                                .pidfd = pidfd,
                                                                .write = write,
                                                                .mounts = mounts},
                                     &t->root, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

struct container_tree *container_tree_free(struct container_tree *t)
{
        if (!t)
                return NULL;
        t->root = rootfs_tree_free(t->root);
        t->spec = spec_free(t->spec);
        (void)fd_close(t->lock_fd);
        (void)fd_close(t->dir_fd);
        free(t);
        return NULL;
}
