/* SPDX-License-Identifier: Apache-2.0 */
/* foreground — see foreground.h. */
#include "cli/foreground.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "cli/attach.h"

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
        int r = container_find(o->dirs, o->id, &c, &err);

        if (r >= 0)
                r = container_kill(o->dirs, c, sig, &err);
        if (r < 0)
                log_debug("signal %d is not passed on: %s", sig, err_message(err));
        return r;
}

/* Detaching leaves the cursor wherever the container's program left it. */
static void say_detached(const struct foreground_opts *o)
{
        if (o->terminal && fd_is_terminal(STDERR_FILENO))
                fputs("\r\n", stderr);
}

int foreground_run(const struct foreground_opts *o, struct container_io *io, struct err **reterr)
{
        struct attach_opts ao = {
            .fd = io->attach_fd,
            .forward_stdin = o->forward_stdin,
            .forward_stdout = o->forward_stdout,
            .forward_stderr = o->forward_stderr,
            .terminal = o->terminal,
            .detach_keys = o->detach_keys,
            .proxy = o->id ? pass_signal : NULL,
            .proxy_arg = (void *)(uintptr_t)o,
        };
        enum attach_end end = ATTACH_END_OUTPUT;
        int sig = 0;
        int r = attach_run(&ao, &end, &sig, reterr);

        if (r >= 0 && end == ATTACH_END_OUTPUT)
                r = container_await_exit(io, reterr);
        else if (r >= 0 && end == ATTACH_END_SIGNAL)
                r = 128 + sig;
        else if (r >= 0 && end == ATTACH_END_PIPE)
                r = 128 + SIGPIPE;
        else if (r >= 0)
                say_detached(o);
        foreground_leave(io);
        return r;
}
