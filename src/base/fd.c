/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include "base/err.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fd_close(int fd)
{
        int saved = errno;

        if (fd < 0)
                return -EBADF;
        /* Any other error leaves the descriptor closed all the same; EBADF means that somebody closed what is not theirs. */
        if (close(fd) < 0)
                assert(errno != EBADF);
        errno = saved;
        return -EBADF;
}

int fd_dup(int fd, struct err **reterr)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return err_sys(reterr, errno, "duplicate a descriptor");
        return copy;
}

int fd_move_above_stdio_take(int fd, struct err **reterr)
{
        int r;

        if (fd < 0 || fd > STDERR_FILENO)
                return fd;
        r = fd_dup(fd, reterr);
        (void)fd_close(fd);
        return r;
}

static int fd_set_flag(int fd, int get, int set, int flag, bool on)
{
        int flags = fcntl(fd, get);

        if (flags < 0)
                return -errno;
        if (!!(flags & flag) == on)
                return 0;
        if (fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0)
                return -errno;
        return 0;
}

int fd_set_nonblock(int fd, bool on, struct err **reterr)
{
        int r = fd_set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);

        return r < 0 ? err_sys(reterr, -r, "set a descriptor's mode") : 0;
}

int fd_set_cloexec(int fd, bool on, struct err **reterr)
{
        int r = fd_set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);

        return r < 0 ? err_sys(reterr, -r, "set a descriptor's flags") : 0;
}

char *fd_path(int fd, char buf[FD_PATH_MAX])
{
        static const char prefix[] = "/proc/self/fd/";
        char digits[12];
        size_t n = 0, at = sizeof(prefix) - 1;
        unsigned value = fd < 0 ? 0 : (unsigned)fd;

        assert(fd >= 0);
        memcpy(buf, prefix, at);
        do
                digits[n++] = (char)('0' + value % 10);
        while ((value /= 10) > 0);
        while (n > 0)
                buf[at++] = digits[--n];
        buf[at] = '\0';
        return buf;
}

int fd_sanitize_stdio(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                int r;

                if (fcntl(fd, F_GETFD) >= 0)
                        continue;
                /* The lowest free number is the one that was found closed. No O_CLOEXEC: stdio is to be inherited. */
                r = open("/dev/null", O_RDWR); /* lint-allow: open */
                if (r < 0)
                        return -errno;
                assert(r == fd);
        }
        return 0;
}

bool fd_is_terminal(int fd)
{
        return isatty(fd) == 1;
}

int fd_pipe(int ret_fds[2], struct err **reterr)
{
        if (pipe2(ret_fds, O_CLOEXEC) < 0)
                return err_sys(reterr, errno, "make a pipe");
        return 0;
}

int fd_socketpair(int type, int ret_fds[2], struct err **reterr)
{
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret_fds) < 0)
                return err_sys(reterr, errno, "make a socket pair");
        return 0;
}

/* The kernel's own limit is 253 (SCM_MAX_FD); we never send as many and keep the buffer on the stack. */
union fd_control {
        char buf[CMSG_SPACE(sizeof(int) * FD_SEND_MAX)];
        struct cmsghdr align;
};

ssize_t fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
        union fd_control control = {0};
        struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        if (n_fds > FD_SEND_MAX)
                return -EINVAL;
        if (n_fds > 0) {
                struct cmsghdr *c;

                msg.msg_control = control.buf;
                msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }
        do
                n = sendmsg(sock, &msg, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static void fd_close_all(const int *fds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                (void)fd_close(fds[i]);
}

/* Takes every received descriptor out of @msg, so that none can leak. Returns their number. */
static size_t fd_collect(struct msghdr *msg, int fds[FD_SEND_MAX])
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                count = MIN(count, FD_SEND_MAX - n);
                memcpy(fds + n, CMSG_DATA(c), count * sizeof(int));
                n += count;
        }
        return n;
}

ssize_t fd_recv(int sock, void *data, size_t len, int *fds, size_t *n_fds)
{
        union fd_control control;
        struct iovec iov = {.iov_base = data, .iov_len = len};
        struct msghdr msg = {
            .msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = control.buf,
            .msg_controllen = sizeof(control.buf),
        };
        int got[FD_SEND_MAX];
        size_t room = n_fds ? *n_fds : 0, n_got;
        ssize_t n;

        if (n_fds)
                *n_fds = 0;
        do
                n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        n_got = fd_collect(&msg, got);
        if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n_got > room) {
                fd_close_all(got, n_got);
                return -EPROTO;
        }
        if (n_got > 0)
                memcpy(fds, got, n_got * sizeof(int));
        if (n_fds)
                *n_fds = n_got;
        return n;
}
