/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* foreground — a started container, or a process in one, with our streams attached until it ends or we leave it. */
#include "container/container.h"

struct foreground_opts {
        const struct dirs *dirs;
        struct container *container; /* NULL: a process in one, which only its monitor knows */
        bool sig_proxy; /* signals are passed on to the container; else they end our session */
        bool forward_stdin, forward_stdout, forward_stderr;
        bool terminal, redraw;
        const char *detach_keys;
};
/* Takes over @io, of container_start(), container_exec() or container_attach(). Returns the exit code: the process's, 0 after detaching, 128 + n when a signal or a closed pipe made us leave,
 * 137 when the monitor was killed. */
int foreground_run(const struct foreground_opts *o, struct container_io *io, struct err **reterr);
/* container_start(), and what it has to say to the user. */
int foreground_start(const struct dirs *d, struct container *c, struct container_start_opts *o,
                     struct container_io *ret, struct err **reterr);
/* Closes what container_start() opened: we do not wait for this one. */
void foreground_leave(struct container_io *io);
