/* SPDX-License-Identifier: Apache-2.0 */
/* run_join — the namespaces of other containers that this one shares. */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "monitor/record.h"
#include "monitor/run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int not_running(const char *id, struct err **reterr)
{
        int r = err_new(reterr, ERR_BUSY,
                        "container %.12s, whose namespaces it shares, is not running", id);

        return err_hint(reterr, r, "start that first: kelp start %.12s", id);
}

/* The namespaces of a container that runs now. They are opened by its number later: see run_joined_still_run(). */
static int join_one(struct run *run, struct spec *s, const char *join, struct err **reterr)
{
        static const char *const files[SPEC_NS_COUNT] = {
            [SPEC_NS_USER] = "user",     [SPEC_NS_MOUNT] = "mnt", [SPEC_NS_PID] = "pid",
            [SPEC_NS_NET] = "net",       [SPEC_NS_IPC] = "ipc",   [SPEC_NS_UTS] = "uts",
            [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",
        };
        unsigned ns = (unsigned)(join[0] - '0');
        const char *id = join[0] && join[1] == ':' ? join + 2 : "";
        AUTO_FREE char *path = xasprintf("containers/%s", id);
        AUTO_CLOSE int dir = -EBADF;
        struct run_record rec;
        int pidfd = -EBADF;

        if (ns >= SPEC_NS_COUNT || !str_is_hex(id, 64))
                return err_new(reterr, ERR_USAGE, "'%s' names no namespace of a container", join);
        if (run->n_targets == ARRAY_SIZE(run->targets))
                return err_new(reterr, ERR_USAGE, "more namespaces to share than there are");
        dir = openat(run->d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0 && run_record_read(dir, &rec, NULL) > 0)
                pidfd = process_open(&rec.process, NULL);
        if (pidfd < 0)
                return not_running(id, reterr);
        run->targets[run->n_targets++] = pidfd;
        free(s->ns[ns].path);
        s->ns[ns].path = xasprintf("/proc/%d/ns/%s", (int)rec.process.pid, files[ns]);
        return 0;
}

void run_let_go_of_joined(struct run *run)
{
        while (run->n_targets > 0)
                (void)fd_close(run->targets[--run->n_targets]);
}

/* While its pidfd answers, a process has its number: what was opened by the number before is its own. */
int run_joined_still_run(struct run *run, struct err **reterr)
{
        for (size_t i = 0; i < run->n_targets; i++) {
                if (sys_pidfd_send_signal(run->targets[i], 0) == -ESRCH)
                        return not_running(run->a->joins.v[i] + 2, reterr);
        }
        run_let_go_of_joined(run);
        return 0;
}

int run_join(struct run *run, struct spec *s, struct err **reterr)
{
        int r = 0;

        for (size_t i = 0; i < run->a->joins.n && r >= 0; i++)
                r = join_one(run, s, run->a->joins.v[i], reterr);
        return r;
}
