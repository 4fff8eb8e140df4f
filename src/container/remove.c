/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "container/container_internal.h"
#include "monitor/record.h"
#include "monitor/removal.h"

#include <errno.h>

/* It may be starting: its monitor holds the lock. Who forces waits until that is through, one way or the other. */
static int take_lock(const struct dirs *d, struct container *c, bool force, struct err **reterr)
{
        int dir = container_dir(d, c, reterr), fd;

        if (dir < 0)
                return dir;
        fd = force ? lock_acquire(dir, RECORD_LOCK, true, reterr)
                   : lock_try(dir, RECORD_LOCK, true, reterr);
        if (fd == -EWOULDBLOCK)
                return err_new(reterr, ERR_BUSY, "container '%s' is being started", c->name);
        return fd;
}

static int stop_first(const struct dirs *d, struct container *c,
                      const struct container_remove_opts *o, struct err **reterr)
{
        int r;

        if (!o->force) {
                r = err_new(reterr, ERR_BUSY, "container '%s' is running", c->name);
                return err_hint(reterr, r, "stop it first, or use --force");
        }
        return container_stop(d, c, o->timeout_s, reterr);
}

int container_remove(const struct dirs *d, struct container *c,
                     const struct container_remove_opts *o, struct err **reterr)
{
        AUTO_CLOSE int lock = -EBADF;
        AUTO_ERR struct err *e = NULL;
        int r;

        if (c->status == CONTAINER_RUNNING) {
                bool gone = container_auto_remove(c);

                r = stop_first(d, c, o, reterr);
                if (r < 0 || gone)
                        return r; /* its monitor, or who settled it, has removed it */
        }
        lock = take_lock(d, c, o->force, &e);
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
        /* The lock goes with the tree and keeps sweepers away from it. */
        r = container_tmp_delete(d, c->id, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "remove container '%s'", c->name) : 0;
}
