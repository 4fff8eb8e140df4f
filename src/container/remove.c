/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "container/container_internal.h"
#include "monitor/record.h"
#include "monitor/removal.h"
#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* As a monitor has it that takes the lock to start the container. */
#define LOCK_TRIES    200
#define LOCK_PAUSE_NS 1000000L

static int stop_first(const struct dirs *d, struct container *c,
                      const struct container_remove_opts *o, struct err **reterr)
{
        int r;

        if (!o->force) {
                r = err_new(reterr, ERR_BUSY, "container '%s' is running", c->name);
                return err_hint(reterr, r, "stop it first, or use --force");
        }
        return container_stop(d, c, 0, o->timeout_s, reterr);
}

/*
 * The lock of a container that does not run. Who only looks at its state holds it for a moment; a monitor that starts the container holds it
 * for as long as that runs. So it is never waited for as such: who forces looks again, and stops what has come up meanwhile.
 */
static int take_lock(const struct dirs *d, struct container *c,
                     const struct container_remove_opts *o, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
        int dir = container_dir(d, c, reterr);

        if (dir < 0)
                return dir;
        for (int i = 0; o->force || i < LOCK_TRIES; i++) {
                int r, fd = lock_try(dir, RECORD_LOCK, true, reterr);

                if (fd != -EWOULDBLOCK)
                        return fd;
                r = container_refresh(d, dir, c, reterr);
                if (r >= 0 && container_is_up(c)) {
                        bool gone = container_auto_remove(c);

                        r = stop_first(d, c, o, reterr);
                        if (r >= 0 && gone)
                                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s",
                                               c->name);
                }
                if (r < 0)
                        return r;
                /* lint-allow: nanosleep: who holds it for a moment tells nobody when he lets go */
                (void)nanosleep(&pause, NULL);
        }
        return err_new(reterr, ERR_BUSY, "container '%s' is being started", c->name);
}

int container_remove_damaged(const struct dirs *d, const char *name, struct err **reterr)
{
        AUTO(container_freep) struct container *c = NULL;
        AUTO_CLOSE int dir = -EBADF, lock = -EBADF;
        AUTO_ERR struct err *e = NULL;
        AUTO_FREE char *path = NULL;
        char id[65];
        int r;

        if (container_find(d, name, &c, &e) >= 0 || err_kind(e) != ERR_INVALID ||
            container_find_id(d, name, id, NULL) <= 0)
                return 0;
        path = xasprintf(CONTAINERS "/%s", id);
        dir = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return 0;
        lock = lock_try(dir, RECORD_LOCK, true, reterr);
        if (lock == -EWOULDBLOCK)
                return err_new(reterr, ERR_BUSY, "container '%s' is running", name);
        r = lock < 0 ? lock : removal_commit(d, id, name, reterr);
        if (r >= 0)
                r = container_tmp_delete(d, id, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "remove container '%s'", name) : 1;
}

int container_remove(const struct dirs *d, struct container *c,
                     const struct container_remove_opts *o, struct err **reterr)
{
        AUTO_CLOSE int lock = -EBADF;
        AUTO_ERR struct err *e = NULL;
        int r;

        if (c->is_infra && !o->of_pod) {
                r = err_new(reterr, ERR_BUSY, "container '%s' holds the namespaces of a pod",
                            c->name);
                return err_hint(reterr, r, "remove the pod: kelp pod rm %s", c->name);
        }
        if (container_is_up(c)) {
                bool gone = container_auto_remove(c);

                r = stop_first(d, c, o, reterr);
                if (r < 0 || gone)
                        return r; /* its monitor, or who settled it, has removed it */
        }
        lock = take_lock(d, c, o, &e);
        /* Without the list its volumes stay, whoever deletes the files. */
        if (lock >= 0 && !o->volumes && !container_auto_remove(c))
                (void)unlinkat(c->dir_fd, VOLUME_LIST, 0);
        if (lock >= 0)
                r = removal_commit(d, c->id, c->name, &e);
        else
                r = lock;
        if (r < 0) {
                /* With force, what is gone already is what was asked for. */
                if (o->force && err_kind(e) == ERR_NOT_FOUND)
                        return 0;
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return err_wrap(reterr, r, "remove container '%s'", c->name);
        }
        container_event(d, c, "destroy", NULL);
        /* The lock goes with the tree and keeps sweepers away from it. */
        r = container_tmp_delete(d, c->id, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "remove container '%s'", c->name) : 0;
}
