/* SPDX-License-Identifier: Apache-2.0 */
/* run_lifetime — the process whose end is the container's (container/lifetime.h): it is held by its pidfd, so no poll and no reused number. */
#include "base/err.h"
#include "base/fd.h"
#include "base/loop.h"
#include "monitor/run_internal.h"

#include <errno.h>

static int on_anchor_end(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct run *run = arg;

        run->anchor_watch = loop_remove(run->anchor_watch);
        run_end(run);
        return 0;
}

int run_live_with(struct run *run, struct err **reterr)
{
        if (run->a->lives_with.pid == 0)
                return 0;
        run->anchor = process_open(&run->a->lives_with, NULL);
        if (run->anchor < 0)
                return err_hint(reterr,
                                err_new(reterr, ERR_BUSY,
                                        "process %d, whose end is to be its end, is gone already",
                                        (int)run->a->lives_with.pid),
                                "start it from a session or job that is still there");
        return loop_add_fd(run->loop, run->anchor, EPOLLIN, on_anchor_end, run, &run->anchor_watch,
                           reterr);
}
