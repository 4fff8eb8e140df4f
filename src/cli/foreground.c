/* SPDX-License-Identifier: Apache-2.0 */
/* foreground — see foreground.h. */
#include "cli/foreground.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/attach.h"
#include "container/attach.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

void foreground_leave(struct container_io *io)
{
        io->status_fd = fd_close(io->status_fd);
        io->attach_fd = fd_close(io->attach_fd);
}

int foreground_start(const struct dirs *d, struct container *c, struct container_start_opts *o,
                     struct container_io *ret, struct err **reterr)
{
        AUTO_STRV warnings = {0};
        int r;

        o->warnings = &warnings;
        r = container_start(d, c, o, ret, reterr);
        o->warnings = NULL;
        for (size_t i = 0; i < warnings.n; i++)
                log_warn("%s", warnings.v[i]);
        return r;
}

/* Looked up each time: what was known before the start says nothing of the process, and looking costs nothing while no signal
 * comes. A container that has just ended cannot be signalled: not worth words, its exit code is on its way. */
static int pass_signal(int sig, void *arg)
{
        const struct foreground_opts *o = arg;
        AUTO(container_freep) struct container *c = NULL;
        AUTO_ERR struct err *err = NULL;
        int r = container_find(o->dirs, o->container->id, &c, &err);

        if (r >= 0)
                r = container_kill(o->dirs, c, sig, &err);
        if (r < 0)
                log_debug("signal %d is not passed on: %s", sig, err_message(err));
        return r;
}

/* Detaching leaves the cursor wherever the container's program left it. */
static int detached(const struct foreground_opts *o)
{
        if (o->terminal && fd_is_terminal(STDERR_FILENO))
                fputs("\r\n", stderr);
        if (o->container)
                container_detached(o->dirs, o->container);
        return 0;
}

/* A monitor that was killed, or that ended between taking our connection and looking at it, has told us no code: the records know. */
static int exit_code(const struct foreground_opts *o, const struct attach_result *end,
                     struct container_io *io, struct err **reterr)
{
        if (io->status_fd >= 0)
                return container_await_exit(io, reterr);
        return end->code >= 0 ? end->code : container_wait(o->dirs, o->container, false, reterr);
}

static int left_behind(const struct foreground_opts *o, enum attach_end end, struct err **reterr)
{
        const char *name = o->container ? o->container->name : "";
        int r;

        if (end == ATTACH_END_FULL)
                return err_new(reterr, ERR_BUSY,
                               "attach to container '%s': as many clients as it can have are "
                               "attached already",
                               name);
        r = err_new(
            reterr, ERR_BUSY,
            "detached: the output was not read for a while, and others were waiting for it");
        return o->container ? err_hint(reterr, r, "'kelp logs %s' has what is missing", name) : r;
}

int foreground_run(const struct foreground_opts *o, struct container_io *io, struct err **reterr)
{
        struct attach_opts ao = {
            .fd = io->attach_fd,
            .forward_stdin = o->forward_stdin,
            .forward_stdout = o->forward_stdout,
            .forward_stderr = o->forward_stderr,
            .terminal = o->terminal,
            .redraw = o->redraw,
            .detach_keys = o->detach_keys,
            .proxy = o->sig_proxy ? pass_signal : NULL,
            .proxy_arg = (void *)(uintptr_t)o,
        };
        struct attach_result result = {.end = ATTACH_END_OUTPUT};
        int r = attach_run(&ao, &result, reterr);

        if (r >= 0) {
                switch (result.end) {
                case ATTACH_END_OUTPUT:
                        r = exit_code(o, &result, io, reterr);
                        break;
                case ATTACH_END_DETACHED:
                        r = detached(o);
                        break;
                case ATTACH_END_SIGNAL:
                        r = 128 + result.signal;
                        break;
                case ATTACH_END_PIPE:
                        r = 128 + SIGPIPE;
                        break;
                case ATTACH_END_SLOW:
                case ATTACH_END_FULL:
                        r = left_behind(o, result.end, reterr);
                        break;
                }
        }
        foreground_leave(io);
        return r;
}
