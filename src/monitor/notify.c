/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/notify.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/path.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_DIR    "notify" /* of the container's directory */
#define NOTIFY_NAME   "notify.sock"
#define NOTIFY_INSIDE "/run/notify"
#define MESSAGE_MAX   4096

struct notify {
        int out; /* connected to the service manager */
        int in;  /* what the container's NOTIFY_SOCKET leads to; -EBADF: mode conmon */
        struct loop_source *watch;
        bool when_healthy; /* mode healthy, and it has not been yet */
};

struct notify *notify_free(struct notify *n)
{
        if (!n)
                return NULL;
        n->watch = loop_remove(n->watch);
        (void)fd_close(n->out);
        (void)fd_close(n->in);
        free(n);
        return NULL;
}

/* A path, or with "@" a name in the abstract space. -errno. */
static int connect_manager(const char *address)
{
        AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        size_t n = strlen(address);
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);

        if (fd < 0)
                return -errno;
        if ((address[0] != '/' && address[0] != '@') || n >= sizeof(addr.sun_path))
                return -EINVAL;
        memcpy(addr.sun_path, address, n);
        if (address[0] == '@')
                addr.sun_path[0] = '\0';
        else
                len++;
        return connect(fd, (struct sockaddr *)&addr, len) < 0 ? -errno : TAKE_FD(fd);
}

/* By descriptors: what a name leads to is known only for as long as nobody else writes there. */
static int open_to_all(int dir)
{
        AUTO_CLOSE int fd = openat(dir, NOTIFY_NAME, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char path[FD_PATH_MAX];

        if (fd < 0 || chmod(fd_path(fd, path), 0666) < 0)
                return -errno;
        return fchmod(dir, 0755) < 0 ? -errno : 0;
}

static int listen_inside(int dir_fd, struct err **reterr)
{
        AUTO_CLOSE int dir = -EBADF, fd = -EBADF;
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        char path[FD_PATH_MAX];
        int r;

        /* A container with the rights to make its mount writable may have left anything there. */
        r = path_remove_tree(dir_fd, NOTIFY_DIR, reterr);
        if (r < 0)
                return r;
        dir = path_mkdir_open(dir_fd, NOTIFY_DIR, 0755, reterr);
        if (dir < 0)
                return dir;
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" NOTIFY_NAME, fd_path(dir, path));
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* Whoever the program is in the container: no one else can get at the directory. */
        r = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno
                                                                           : open_to_all(dir);
        if (r < 0)
                return err_sys(reterr, -r, "listen for the container's readiness");
        return TAKE_FD(fd);
}

static void show_inside(const struct dirs *d, struct spec *s)
{
        AUTO_FREE char *source = xasprintf("%s/containers/%s/" NOTIFY_DIR, d->root, s->id);

        /* Read-only: it lies outside the container's layer and limits. Connecting to a socket writes nothing. */
        (void)spec_add_mount(s, NOTIFY_INSIDE, "bind", source,
                             "bind,ro,rprivate,nosuid,nodev,noexec");
        strv_env_set(&s->process.env, "NOTIFY_SOCKET=" NOTIFY_INSIDE "/" NOTIFY_NAME);
}

int notify_new(const struct dirs *d, int dir_fd, struct spec *s, struct notify **ret,
               struct err **reterr)
{
        const char *address = getenv("NOTIFY_SOCKET"), *mode = s->sdnotify;
        struct notify *n;
        int fd, r = 0;

        *ret = NULL;
        if (!address || !*address || (mode && strcmp(mode, "ignore") == 0))
                return 0;
        fd = connect_manager(address);
        if (fd < 0 && !mode) {
                /* Nobody has asked: a variable that was left over is no reason to fail, as with sd_notify(3). */
                log_debug("NOTIFY_SOCKET '%s': %s", address, strerrorname_np(-fd));
                return 0;
        }
        if (fd < 0)
                return err_sys(reterr, -fd, "NOTIFY_SOCKET '%s'", address);
        n = xnew(struct notify);
        n->out = fd;
        n->in = -EBADF;
        n->when_healthy = mode && strcmp(mode, "healthy") == 0;
        if (!mode || strcmp(mode, "container") == 0) {
                n->in = r = listen_inside(dir_fd, reterr);
                show_inside(d, s);
        }
        if (r < 0) {
                notify_free(n);
                return r;
        }
        *ret = n;
        return 0;
}

/* A manager that does not listen is no reason to end the container. */
static void tell(const struct notify *n, const char *text)
{
        if (send(n->out, text, strlen(text), MSG_NOSIGNAL) < 0)
                log_debug("NOTIFY_SOCKET: %s", strerrorname_np(errno));
}

void notify_healthy(struct notify *n)
{
        if (!n || !n->when_healthy)
                return;
        n->when_healthy = false;
        tell(n, "READY=1\n");
}

static bool may_pass(const char *line)
{
        static const char *const known[] = {
            "READY=",          "RELOADING=", "STOPPING=",
            "STATUS=",         "ERRNO=",     "BUSERROR=",
            "MONOTONIC_USEC=", "WATCHDOG=",  "EXTEND_TIMEOUT_USEC="};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (str_starts(line, known[i]))
                        return true;
        }
        return false;
}

/* One message at a time, so that a container that talks without end does not keep us from everything else. Descriptors that it
 * sends along are dropped by the kernel: we ask for none. */
static int on_message(struct loop *l, int fd, uint32_t events, void *arg)
{
        const struct notify *n = arg;
        char buf[MESSAGE_MAX + 1];
        AUTO_STRV lines = {0};
        AUTO_STRBUF out = {0};
        ssize_t got = recv(fd, buf, MESSAGE_MAX, 0);

        if (got <= 0)
                return 0;
        buf[got] = '\0';
        strv_split(&lines, buf, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                if (may_pass(lines.v[i]))
                        strbuf_addf(&out, "%s\n", lines.v[i]);
        }
        if (out.len > 0)
                tell(n, out.data);
        return 0;
}

int notify_started(struct notify *n, struct loop *l, struct err **reterr)
{
        char text[64];

        if (!n)
                return 0;
        /* We end with the container, and the command that started us may have ended before. */
        (void)snprintf(text, sizeof(text), "MAINPID=%d\n%s", (int)getpid(),
                       n->in < 0 && !n->when_healthy ? "READY=1\n" : "");
        tell(n, text);
        return n->in < 0 ? 0 : loop_add_fd(l, n->in, EPOLLIN, on_message, n, &n->watch, reterr);
}
