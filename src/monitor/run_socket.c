/* SPDX-License-Identifier: Apache-2.0 */
/* run_socket — where further clients attach. */
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "monitor/protocol.h"
#include "monitor/run_internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * The socket lies in the container's directory, bound through its descriptor: nobody wipes that as the session manager does the runtime
 * directory at logout. A file system that holds no sockets must not keep a container from running: it takes no further clients then.
 */
int run_listen(struct run *run, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        char dir[FD_PATH_MAX];

        (void)unlinkat(run->dir_fd, MONITOR_SOCKET, 0); /* of one that was killed */
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" MONITOR_SOCKET,
                       fd_path(run->dir_fd, dir));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_sys(reterr, errno, "make a socket");
        if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0) {
                if (errno == EPERM || errno == EOPNOTSUPP)
                        return 0;
                return err_sys(reterr, errno, "listen on '%s'", MONITOR_SOCKET);
        }
        FAULT_POINT("monitor-listening");
        return session_listen_take(run->session, TAKE_FD(fd), reterr);
}

void run_remove_socket(const struct run *run)
{
        (void)unlinkat(run->dir_fd, MONITOR_SOCKET, 0);
}
