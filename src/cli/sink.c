/* SPDX-License-Identifier: Apache-2.0 */
/* sink — see sink.h. */
#include "cli/sink.h"

#include "base/fd.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

void sink_open(struct sink *k, int fd)
{
        char path[FD_PATH_MAX];
        struct stat st;
        int own;

        *k = (struct sink){.fd = fd};
        if (fstat(fd, &st) < 0)
                return; /* writing will say what is wrong with it */
        k->regular = S_ISREG(st.st_mode);
        if (!S_ISFIFO(st.st_mode))
                return;
        /* Fails when the pipe is another user's (su, sudo), or its reader is gone. */
        own = open(fd_path(fd, path), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (own >= 0)
                *k = (struct sink){.fd = own, .own = true};
}

static bool is_ready(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        return poll(&p, 1, 0) > 0;
}

ptrdiff_t sink_write(const struct sink *k, const void *data, size_t n)
{
        const char *p = data;
        size_t done = 0;

        while (done < n && (k->own || k->regular || is_ready(k->fd))) {
                size_t left = n - done;
                ssize_t w = write(k->fd, p + done,
                                  k->own || k->regular ? left : MIN(left, (size_t)PIPE_BUF));

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0 && errno == EAGAIN)
                        break;
                if (w < 0)
                        return -errno;
                done += (size_t)w;
        }
        return (ptrdiff_t)done;
}

void sink_close(struct sink *k)
{
        if (k->own)
                (void)fd_close(k->fd);
        *k = SINK_NONE;
}
