/* SPDX-License-Identifier: Apache-2.0 */
/* attach — a further client of a running container's streams. */
#include "container/attach.h"

#include "base/err.h"
#include "base/fd.h"
#include "container/container_internal.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

static int not_running(const struct container *c, struct err **reterr)
{
        return err_hint(
            reterr, err_new(reterr, ERR_BUSY, "container '%s' is not running", c->name),
            "'kelp start -a %s' starts it attached, 'kelp logs %s' shows what it has written",
            c->name, c->name);
}

static int connect_failed(const struct container *c, int errnum, struct err **reterr)
{
        if (errnum == ECONNREFUSED)
                return not_running(c, reterr); /* it ends just now */
        if (errnum == ENOENT)
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "container '%s' takes no further clients: its directory's "
                                        "file system holds no sockets, or it has just ended",
                                        c->name),
                                "'kelp logs -f %s' follows its output", c->name);
        return err_sys(reterr, errnum, "attach to container '%s'", c->name);
}

static int check(const struct container *c, struct err **reterr)
{
        if (c->status != CONTAINER_RUNNING)
                return not_running(c, reterr);
        if (container_passes_through(c))
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "container '%s' has the streams of who started it "
                                        "(log driver passthrough)",
                                        c->name),
                                "'kelp exec -it %s sh' enters it", c->name);
        return 0;
}

int container_attach(const struct dirs *d, struct container *c, struct container_io *ret,
                     struct err **reterr)
{
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        AUTO_CLOSE int fd = -EBADF;
        char path[FD_PATH_MAX];
        int dir, r = check(c, reterr);

        if (r < 0)
                return r;
        dir = container_dir(d, c, reterr);
        if (dir < 0)
                return dir;
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" MONITOR_SOCKET,
                       fd_path(dir, path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_sys(reterr, errno, "attach to container '%s'", c->name);
        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
                return connect_failed(c, errno, reterr);
        *ret = (struct container_io){.status_fd = -EBADF, .attach_fd = TAKE_FD(fd)};
        container_event(d, c, "attach", NULL);
        return 0;
}

void container_detached(const struct dirs *d, struct container *c)
{
        container_event(d, c, "detach", NULL);
}
