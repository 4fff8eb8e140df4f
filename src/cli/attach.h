/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * attach — kelp's side of an ATTACH connection (monitor/protocol.h): our standard streams, terminal and signals to and
 * from the container.
 *
 * Nothing is lost and nothing waits for the wrong thing: what a slow reader of our output does not take holds back the
 * monitor, never our reading of signals and input. Output ends at the connection's end, not at the container's.
 */
#include "cli/term.h"

#include <stdbool.h>
#include <sys/types.h>

struct err;

struct attach_opts {
        int fd; /* ATTACH socket; borrowed, becomes non-blocking */
        bool forward_stdin;
        bool forward_stdout, forward_stderr; /* false: that output is dropped */
        bool terminal; /* the container has one: raw mode and window size are ours to handle */
        bool redraw;   /* with a terminal: make the program draw its screen again */
        const char *detach_keys; /* NULL: default; only with a terminal */
        /* Passes a signal on; NULL: signals end the session. */
        int (*proxy)(int sig, void *arg);
        void *proxy_arg;
};
enum attach_end {
        ATTACH_END_OUTPUT,   /* the connection ended: the container's output is complete */
        ATTACH_END_DETACHED, /* the user typed the keys, or somebody detached us */
        ATTACH_END_SIGNAL,   /* *ret_signal ended the session */
        ATTACH_END_PIPE,     /* nobody reads our output any more */
        ATTACH_END_SLOW, /* we did not take the output, and others waited for it: more may follow that we do not get */
        ATTACH_END_FULL, /* too many are attached already */
};
struct attach_result {
        enum attach_end end;
        int signal;
        int code; /* with ATTACH_END_OUTPUT: the exit code, or -1 when the connection did not tell */
};
int attach_run(const struct attach_opts *o, struct attach_result *ret, struct err **reterr);
