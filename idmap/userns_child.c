/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The child is forked before anything big is loaded or read, since its memory is what a holder costs. After GO it lets go of everything:
 * terminal, directory, descriptors; it keeps only the path of holder.json. Holding a descriptor of the runtime directory would keep
 * a logged-out user's file system from being unmounted.
 *
 * It ends when holder.json is gone or another's (inotify tells at once, where it can be had), when nobody has touched the file for
 * the idle time, or by a signal. The idle end takes holder.lock first: whoever holds that is about to look for us.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/sys.h"
#include "idmap/userns_program.h"

#define HOLDER_TITLE "kelp-holder"
#define IDLE_DEFAULT 300U
#define IDLE_MAX     (7U * 24 * 3600)
#define BLIND_MS     30000 /* how often to look without inotify */
#define NS_PER_MS    1000000LL
#define MS_PER_S     1000LL

enum step { STEP_UNSHARED, STEP_CAPABILITY, STEP_DETACH, STEP_READY };
struct message {
        uint32_t step;
        int32_t errnum;
};

struct holder {
        char directory[PATH_MAX];
        char file[PATH_MAX];
        char nonce[HOLDER_NONCE_LEN + 1];
        int64_t idle_ms;
        int inotify;
};

/* ---- the holder ---- */

static int64_t idle_ms(void)
{
        const char *s = getenv("KELP_HOLDER_IDLE");
        uint32_t v;

        if (!s || parse_u32(s, &v) < 0 || v > IDLE_MAX)
                v = IDLE_DEFAULT;
        /* Less would end the holder before whoever asked for it has had a look. */
        return MAX(v, 1U) * MS_PER_S;
}

/* Does holder.json name us? Then also how long ago it was touched. */
static bool is_named(const struct holder *h, int64_t *ret_age_ms)
{
        AUTO_CLOSE int fd = open(h->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        char head[HOLDER_HEAD];
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return false;
        n = io_read_some(fd, head, sizeof(head));
        if (n < 0 || !memmem(head, (size_t)n, h->nonce, HOLDER_NONCE_LEN))
                return false;
        *ret_age_ms =
            (clock_now_ns() - (st.st_mtim.tv_sec * MS_PER_S * NS_PER_MS + st.st_mtim.tv_nsec)) /
            NS_PER_MS;
        /* The clock was set back: start counting here, or we would linger for as long as it was. */
        if (*ret_age_ms < 0) {
                (void)futimens(fd, NULL);
                *ret_age_ms = 0;
        }
        return true;
}

/* True when the file is removed and nobody can be about to use it: time to go. */
static bool end_idle(const struct holder *h)
{
        AUTO_CLOSE int dir = open(h->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_CLOSE int lock = -EBADF;
        int64_t age;

        if (dir < 0)
                return true;
        lock = lock_try(dir, HOLDER_LOCK, true, NULL);
        if (lock < 0)
                return false;
        if (is_named(h, &age)) {
                if (age < h->idle_ms)
                        return false;
                FAULT_POINT("holder-idle");
                (void)unlinkat(dir, HOLDER_FILE, 0);
        }
        return true;
}

static void wait_for_change(const struct holder *h, int64_t ms)
{
        struct pollfd p = {.fd = h->inotify, .events = POLLIN};
        char events[1024];

        if (h->inotify < 0)
                ms = MIN(ms, (int64_t)BLIND_MS);
        if (poll(&p, h->inotify >= 0, (int)MIN(ms, (int64_t)INT_MAX)) > 0)
                (void)sys_read(h->inotify, events, sizeof(events));
}

static void serve(struct holder *h)
{
        int64_t age;

        /*
         * On the file's inode, for its end only: rename over it and unlink both are one. A watch on the directory, or for
         * attributes, would wake us at every start of a container. Out of instances: we look now and then.
         */
        h->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (h->inotify >= 0 &&
            inotify_add_watch(h->inotify, h->file, IN_DELETE_SELF | IN_MOVE_SELF) < 0)
                h->inotify = fd_close(h->inotify);
        while (is_named(h, &age)) {
                if (age < h->idle_ms)
                        wait_for_change(h, h->idle_ms - age);
                else if (end_idle(h))
                        return;
                else
                        wait_for_change(h, MS_PER_S);
        }
}

/* ---- becoming the holder ---- */

static void set_title(char **argv)
{
        size_t n = strlen(argv[0]);

        (void)prctl(PR_SET_NAME, HOLDER_TITLE, 0, 0, 0);
        if (n < strlen(HOLDER_TITLE))
                return;
        memset(argv[0], 0, n);
        memcpy(argv[0], HOLDER_TITLE, strlen(HOLDER_TITLE));
}

/*
 * Should: leave nothing by which the starter's terminal, files, pipes or directory are kept. Mustn't: lose @sock, whose end of file says
 * that the parent is done. Returns the number that @sock has afterwards.
 */
static int detach(int sock)
{
        int null;

        if (setsid() < 0 || chdir("/") < 0)
                return -errno;
        (void)umask(077);
        sock = fcntl(sock, F_DUPFD_CLOEXEC, 3);
        if (sock < 0)
                return -errno;
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
                return -errno;
        for (int i = 0; i < 3; i++)
                if (dup3(null, i, 0) < 0) /* lint-allow: these three stay open by intent */
                        return -errno;
        if ((sock > 3 && sys_close_range(3, (unsigned)sock - 1, 0) < 0) ||
            sys_close_range((unsigned)sock + 1, ~0U, 0) < 0)
                return -errno;
        return sock;
}

static bool send_step(int sock, enum step step, int errnum)
{
        struct message m = {.step = step, .errnum = errnum};

        return fd_send(sock, &m, sizeof(m), NULL, 0) == (ssize_t)sizeof(m);
}

/* One byte says GO; the end of file that the parent is gone. */
static bool wait_go(int sock)
{
        char go;

        return sys_read(sock, &go, 1) == 1;
}

static bool prepare(struct holder *h, const struct holder_child_opts *o)
{
        char link[FD_PATH_MAX];
        ssize_t n = readlink(fd_path(o->runtime_fd, link), h->directory, sizeof(h->directory) - 1);

        if (n <= 0)
                return false;
        h->directory[n] = '\0';
        if (snprintf(h->file, sizeof(h->file), "%s/%s", h->directory, HOLDER_FILE) >=
            (int)sizeof(h->file))
                return false;
        memcpy(h->nonce, o->nonce, sizeof(h->nonce));
        h->idle_ms = idle_ms();
        return true;
}

static void child_main(int sock, const struct holder_child_opts *o)
{
        struct holder h = {.inotify = -EBADF};
        int r = sys_unshare(CLONE_NEWUSER);

        if (!send_step(sock, STEP_UNSHARED, -r) || r < 0 || !wait_go(sock))
                return;
        /*
         * A security module may allow the namespace and then no capability in it. A namespace of names is the cheapest thing
         * that needs one; it keeps nothing alive, unlike one of mounts.
         */
        r = sys_unshare(CLONE_NEWUTS);
        if (r < 0) {
                (void)send_step(sock, STEP_CAPABILITY, -r);
                return;
        }
        /* Others of this user open /proc/PID/ns/user: nothing may have made us undumpable. */
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || !prepare(&h, o)) {
                (void)send_step(sock, STEP_DETACH, errno);
                return;
        }
        r = detach(sock);
        if (r < 0) {
                (void)send_step(sock, STEP_DETACH, -r);
                return;
        }
        sock = r;
        set_title(o->argv);
        FAULT_POINT("holder-detached");
        if (!send_step(sock, STEP_READY, 0))
                return;
        (void)wait_go(sock); /* the end of file, whatever the parent came to */
        (void)fd_close(sock);
        serve(&h);
}

/* ---- the parent's side ---- */

int holder_child_start(const struct holder_child_opts *o, struct holder_child *ret,
                       struct err **reterr)
{
        int pair[2] = {-EBADF, -EBADF};
        int r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        pid_t pid;

        if (r < 0)
                return r;
        pid = fork();
        if (pid == 0) {
                (void)fd_close(pair[0]);
                child_main(pair[1], o);
                _exit(0);
        }
        r = errno;
        (void)fd_close(pair[1]);
        if (pid < 0) {
                (void)fd_close(pair[0]);
                return err_sys(reterr, r, "start the namespace holder");
        }
        *ret = (struct holder_child){.pid = pid, .sock = pair[0]};
        return 0;
}

static int wait_step(const struct holder_child *c, struct message *ret, struct err **reterr)
{
        size_t no_fds = 0;
        ssize_t n = fd_recv(c->sock, ret, sizeof(*ret), NULL, &no_fds);

        if (n == (ssize_t)sizeof(*ret))
                return 0;
        return err_new(reterr, ERR_REMOTE, "the namespace holder ended while it was made");
}

int holder_child_wait_unshared(const struct holder_child *c, struct err **reterr)
{
        struct message m;
        int r = wait_step(c, &m, reterr);

        if (r < 0)
                return r;
        return m.errnum > 0 ? userns_advice_unshare(reterr, m.errnum) : 0;
}

int holder_child_go(const struct holder_child *c, struct err **reterr)
{
        struct message m;
        int r = io_write_full(c->sock, "G", 1);

        if (r < 0)
                return err_sys(reterr, -r, "tell the namespace holder to go");
        r = wait_step(c, &m, reterr);
        if (r < 0 || m.step == STEP_READY)
                return r;
        if (m.step == STEP_CAPABILITY)
                return userns_advice_capability(reterr, MAX(m.errnum, 1));
        return err_sys(reterr, MAX(m.errnum, 1), "detach the namespace holder");
}

void holder_child_kill(struct holder_child *c)
{
        c->sock = fd_close(c->sock);
        if (c->pid <= 0)
                return;
        /* Our own unreaped child: the number cannot be another's. */
        (void)kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        c->pid = 0;
}
