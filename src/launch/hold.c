/* SPDX-License-Identifier: Apache-2.0 */
/* hold.c — the other end of a child that is held (child_hold.c): who releases it, in whatever process, and who asks whether it waits. */
#include "base/err.h"
#include "base/fd.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Its path may be longer than the address of a socket: by the directory's descriptor. 0 or -errno. */
static int connect_to(int dir_fd, const char *name, int flags, int *ret)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        char dir[FD_PATH_MAX];
        AUTO_CLOSE int fd = -EBADF;
        int n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", fd_path(dir_fd, dir), name);

        if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int not_waiting(struct err **reterr)
{
        (void)err_new(reterr, ERR_BUSY, "it is not waiting to be started");
        return -ECONNREFUSED;
}

static int hold_failed(const struct child_report *report, struct err **reterr)
{
        if (report->stage != STAGE_HOLD)
                return launch_report_failed(report, reterr);
        if (report->value == ECONNREFUSED)
                return not_waiting(reterr);
        if (report->value == ENOEXEC)
                return err_new(reterr, ERR_USAGE, "its configuration has no process to start");
        return launch_report_failed(report, reterr);
}

/* Until EOF after NEXT_IS_EXEC. */
static int follow(int sock, struct err **reterr)
{
        bool ready = false;

        for (;;) {
                struct child_report report;
                int fds[SYNC_FDS], r = sync_recv(sock, &report, fds);

                if (r == -ECONNRESET && ready)
                        return 0;
                if (r < 0)
                        return launch_receive_failed(r, reterr);
                for (size_t i = 0; i < SYNC_FDS; i++)
                        fds[i] = fd_close(fds[i]);
                if (report.what == REPORT_FAILED)
                        return hold_failed(&report, reterr);
                if (report.what != REPORT_NEXT_IS_EXEC || ready)
                        return launch_receive_failed(-EPROTO, reterr);
                ready = true;
        }
}

int launch_release(int dir_fd, const char *name, struct err **reterr)
{
        struct child_report start = {.what = REPORT_START, .stage = STAGE_HOLD};
        AUTO_CLOSE int sock = -EBADF;
        int r = connect_to(dir_fd, name, 0, &sock);

        if (r == -ECONNREFUSED || r == -ENOENT)
                return not_waiting(reterr);
        if (r < 0)
                return err_sys(reterr, -r, "connect to '%s'", name);
        r = sync_send(sock, &start, NULL, 0);
        /* Refused before it was read: the answer is there all the same. */
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                return err_sys(reterr, -r, "tell the container's first process to start");
        return follow(sock, reterr);
}

bool launch_is_held(int dir_fd, const char *name)
{
        AUTO_CLOSE int sock = -EBADF;
        int r = connect_to(dir_fd, name, SOCK_NONBLOCK, &sock);

        return r == 0 || r == -EAGAIN; /* its queue is full */
}
