/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A child that is held has nothing left to do but what comes after "start". It listens on a socket that its creator has bound in the container's directory
 * of state, and so outlives it. Each connection is a question (closed without a word: somebody wanted to know whether we wait) or a release, a message
 * START. With it the listener goes, so that a second release is refused, and the connection takes the place of the socket to the creator.
 *
 * It is us who listen, not the creator: the kernel then gives our pid to whoever connects, also when the creator was killed before it wrote it down.
 */
#include "base/sys.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

static int accept_one(const struct child *c)
{
        int fd;

        do
                fd = accept4(c->hold_fd, NULL, NULL, SOCK_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : fd;
}

static void answer(int fd, int errnum)
{
        struct child_report report = {.what = REPORT_FAILED, .stage = STAGE_HOLD, .value = errnum};

        (void)sync_send(fd, &report, NULL, 0);
        (void)sys_close(fd);
}

static bool wants_start(int fd)
{
        struct child_report report;
        int fds[SYNC_FDS], r = sync_recv(fd, &report, fds);

        for (size_t i = 0; i < SYNC_FDS; i++) {
                if (fds[i] >= 0)
                        (void)sys_close(fds[i]);
        }
        return r == 0 && report.what == REPORT_START;
}

/* The creator may still have the listener open: with a shutdown connections are refused nevertheless. Those in the queue would wait for ever. */
static void stop_listening(struct child *c)
{
        int fd;

        (void)shutdown(c->hold_fd, SHUT_RDWR);
        while ((fd = accept_one(c)) >= 0)
                answer(fd, ECONNREFUSED);
        (void)sys_close(c->hold_fd);
        c->hold_fd = -EBADF;
}

static int wait_for_start(struct child *c)
{
        for (;;) {
                int fd = accept_one(c);

                if (fd < 0)
                        return fd;
                if (!wants_start(fd)) {
                        (void)sys_close(fd);
                        continue;
                }
                if (!c->plan->argv[0]) {
                        answer(fd, ENOEXEC);
                        continue;
                }
                stop_listening(c);
                c->sync = fd;
                return 0;
        }
}

int child_stage_hold(struct child *c)
{
        int r;

        if (c->hold_fd < 0)
                return 0;
        /* Who creates is to hear of a program that is missing. */
        r = c->plan->argv[0] ? child_probe_program(c) : 0;
        if (r < 0)
                child_fail(c, STAGE_EXEC, -r);
        child_note_set(c->note, "");
        r = child_ask_death_signal(c);
        if (r < 0)
                return r;
        /* A signal must not wait for the start as we do. */
        child_reset_signals();
        if (listen(c->hold_fd, BACKLOG) < 0)
                return -errno;
        r = child_report_ready(c, REPORT_HELD, STAGE_HOLD);
        if (r < 0)
                return r;
        (void)sys_close(c->sync);
        c->sync = -EBADF;
        return wait_for_start(c);
}
