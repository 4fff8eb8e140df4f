/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * sink — a standard stream of ours that output goes to, without ever blocking on it for long.
 *
 * Standard streams keep their flags: O_NONBLOCK belongs to everybody who shares the open file (the shell that started us). A pipe is opened
 * again, which gives an open file of our own that need not block; where that is not possible, and with terminals, readiness is
 * asked for instead and at most PIPE_BUF bytes are written at a time. Files take any amount.
 */
#include <stdbool.h>
#include <stddef.h>

struct sink {
        int fd;       /* -EBADF: what comes is dropped */
        bool own;     /* ours alone, non-blocking */
        bool regular; /* a file */
};
#define SINK_NONE ((struct sink){.fd = -EBADF})

/* @fd is borrowed. */
void sink_open(struct sink *k, int fd);
/* Bytes taken, fewer than @n when it takes no more now; -errno when it is broken. */
ptrdiff_t sink_write(const struct sink *k, const void *data, size_t n);
/* From now on everything is dropped. */
void sink_close(struct sink *k);
