/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restart — stop and start as one step: as long as restart.lock is held, a container that its end would remove (--rm) is kept, by its
 * monitor and by who looks at it. Killed in between, the lock is free: then the container is stopped, or (--rm) removed by the next look.
 */
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "container/container_internal.h"
#include "monitor/record.h"

static int start_again(const struct dirs *d, struct container *c, struct err **reterr)
{
        struct container_start_opts start = {.passthrough = container_passes_through(c)};
        struct container_io io = {-EBADF, -EBADF};
        int r = container_start(d, c, &start, &io, reterr);

        container_io_close(&io);
        return r;
}

int container_restart(const struct dirs *d, struct container *c, int signal, int64_t timeout_s,
                      struct err **reterr)
{
        AUTO_CLOSE int lock = -EBADF;
        int r, dir = container_dir(d, c, reterr);

        if (dir < 0)
                return dir;
        /* Two at once restart it twice, one after the other. */
        lock = lock_acquire(dir, RECORD_RESTART, true, reterr);
        r = lock < 0 ? lock : container_reload(d, c, reterr);
        if (r >= 0)
                r = container_stop(d, c, signal, timeout_s, reterr);
        FAULT_POINT("restart-stopped");
        if (r >= 0)
                r = start_again(d, c, reterr);
        if (r < 0)
                return r;
        container_event(d, c, "restart", NULL);
        return 0;
}
