/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c — what is done to the processes of a cgroup. The container may have made cgroups below its own (it is root of its own namespace): every
 * walk goes down, through directories only, and by a bounded depth.
 */
#include "cgroup/cgroup_internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX     64
#define FREEZE_MS     10000
#define REMOVE_MS     10000
#define REMOVE_STEP   5
#define KILL_ATTEMPTS 100
#define NS_PER_MS     1000000

/* ---- waiting: the kernel reports a change of cgroup.events as POLLPRI ---- */

static bool events_say(int fd, const char *key, bool want)
{
        AUTO_FREE char *events = cgroup_read(fd, "cgroup.events");

        return !events || (cgroup_keyed(events, key) != 0) == want;
}

/* false: @ms passed. A cgroup that is gone is as wanted. */
static bool wait_for(int fd, const char *key, bool want, int ms)
{
        AUTO_CLOSE int watch = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        int64_t end = clock_monotonic_ns() + (int64_t)ms * NS_PER_MS;
        char c;

        for (;;) {
                int64_t left = (end - clock_monotonic_ns()) / NS_PER_MS;
                struct pollfd p = {.fd = watch, .events = POLLPRI};

                /* Reading arms the descriptor for what comes after. */
                (void)!pread(watch, &c, 1, 0);
                if (watch < 0 || events_say(fd, key, want))
                        return true;
                if (left <= 0)
                        return false;
                (void)poll(&p, 1, (int)left);
        }
}

/* ---- freezing ---- */

int cgroup_freeze(struct cgroup *cg, bool on, struct err **reterr)
{
        int r;

        if (cg->fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "cgroup '%s' is gone", cg->path);
        r = cgroup_write(cg->fd, "cgroup.freeze", on ? "1" : "0");
        if (r < 0)
                return err_sys(reterr, -r, "%s cgroup '%s'", on ? "freeze" : "thaw", cg->path);
        if (wait_for(cg->fd, "frozen", on, FREEZE_MS))
                return 0;
        if (on) /* not half of it */
                (void)cgroup_write(cg->fd, "cgroup.freeze", "0");
        return err_sys(reterr, ETIMEDOUT, "%s cgroup '%s'", on ? "freeze" : "thaw", cg->path);
}

bool cgroup_is_frozen(const struct cgroup *cg)
{
        AUTO_FREE char *text = cg ? cgroup_read(cg->fd, "cgroup.freeze") : NULL;

        return text && text[0] == '1';
}

/* ---- the processes ---- */

struct pids {
        pid_t *v;
        size_t n, cap;
};

static void add_pids(int fd, struct pids *ret)
{
        AUTO_FREE char *text = cgroup_read(fd, "cgroup.procs");
        AUTO_STRV lines = {0};

        if (text)
                strv_split(&lines, text, '\n');
        for (size_t i = 0; i < lines.n; i++) {
                uint32_t pid = 0;

                if (parse_u32(lines.v[i], &pid) < 0 || pid == 0 || pid > INT32_MAX)
                        continue;
                if (ret->n == ret->cap) {
                        ret->cap = ret->cap ? 2 * ret->cap : 16;
                        ret->v = xrealloc(ret->v, ret->cap, sizeof *ret->v);
                }
                ret->v[ret->n++] = (pid_t)pid;
        }
}

/* Calls @below for every cgroup directly below; consumes nothing. */
static void each_below(int fd, unsigned depth,
                       void (*below)(int fd, const char *name, unsigned depth, void *arg),
                       void *arg)
{
        int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = again >= 0 ? fdopendir(again) : NULL;
        const struct dirent *d;

        if (!dir) {
                (void)fd_close(again);
                return;
        }
        while (depth < DEPTH_MAX && (d = readdir(dir)) != NULL) {
                if (d->d_type == DT_DIR && d->d_name[0] != '.')
                        below(fd, d->d_name, depth + 1, arg);
        }
        (void)closedir(dir);
}

static void collect(int parent, const char *name, unsigned depth, void *arg)
{
        AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return;
        add_pids(fd, arg);
        each_below(fd, depth, collect, arg);
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_n, struct err **reterr)
{
        struct pids p = {0};

        if (cg->fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "cgroup '%s' is gone", cg->path);
        collect(cg->fd, ".", 0, &p);
        *ret = p.v;
        *ret_n = p.n;
        return 0;
}

/* ---- killing ---- */

static size_t signal_all(const struct cgroup *cg, int sig)
{
        struct pids p = {0};
        size_t sent = 0;

        collect(cg->fd, ".", 0, &p);
        for (size_t i = 0; i < p.n; i++)
                sent += kill(p.v[i], sig) == 0;
        free(p.v);
        return sent;
}

/* Kernels before 5.14: frozen, so that none can fork away from the list; a frozen process dies all the same. */
static void kill_one_by_one(const struct cgroup *cg)
{
        (void)cgroup_write(cg->fd, "cgroup.freeze", "1");
        for (int i = 0; i < KILL_ATTEMPTS && signal_all(cg, SIGKILL) > 0; i++) {
                if (wait_for(cg->fd, "populated", false, REMOVE_STEP))
                        break;
        }
        (void)cgroup_write(cg->fd, "cgroup.freeze", "0");
}

int cgroup_kill(struct cgroup *cg, int sig, struct err **reterr)
{
        int r;

        if (cg->fd < 0)
                return 0;
        if (sig != SIGKILL) {
                (void)signal_all(cg, sig);
                return 0;
        }
        r = cgroup_write(cg->fd, "cgroup.kill", "1");
        if (r == -ENOENT || r == -EOPNOTSUPP)
                kill_one_by_one(cg);
        else if (r < 0 && r != -ENODEV) /* ENODEV: removed meanwhile */
                return err_sys(reterr, -r, "kill the processes of cgroup '%s'", cg->path);
        return 0;
}

/* ---- removing ---- */

static void remove_below(int parent, const char *name, unsigned depth, void *arg)
{
        AUTO_CLOSE int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd >= 0)
                each_below(fd, depth, remove_below, arg);
        (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* rmdir is refused while the kernel has not yet let go of the last process. */
static int remove_directory(const struct cgroup *cg)
{
        int64_t end = clock_monotonic_ns() + (int64_t)REMOVE_MS * NS_PER_MS;

        for (;;) {
                int r;

                each_below(cg->fd, 0, remove_below, NULL);
                r = unlinkat(cg->mount.fd, cg->path + 1, AT_REMOVEDIR) < 0 ? -errno : 0;
                if (r == 0 || r == -ENOENT)
                        return 0;
                if (r != -EBUSY || clock_monotonic_ns() >= end)
                        return r;
                (void)poll(NULL, 0, REMOVE_STEP);
        }
}

int cgroup_remove(struct cgroup *cg, struct err **reterr)
{
        int r;

        if (!cg || cg->fd < 0)
                return 0;
        r = cgroup_kill(cg, SIGKILL, reterr);
        if (r < 0)
                return r;
        (void)wait_for(cg->fd, "populated", false, REMOVE_MS);
        r = remove_directory(cg);
        if (r < 0)
                return err_sys(reterr, -r, "remove cgroup '%s'", cg->path);
        cg->fd = fd_close(cg->fd);
        return 0;
}

/* ---- noticing ---- */

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
        AUTO_FREE char *events = cgroup_read(cg->fd, "memory.events");

        return cgroup_keyed(events, "oom_kill");
}

bool cgroup_wait(const struct cgroup *cg, int timeout_ms)
{
        AUTO_CLOSE int events = openat(cg->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        AUTO_CLOSE int memory = openat(cg->fd, "memory.events", O_RDONLY | O_CLOEXEC);
        struct pollfd p[] = {{.fd = events, .events = POLLPRI}, {.fd = memory, .events = POLLPRI}};
        char c;

        (void)!pread(events, &c, 1, 0);
        (void)!pread(memory, &c, 1, 0);
        if (events < 0 || events_say(cg->fd, "populated", false))
                return false;
        (void)poll(p, ARRAY_SIZE(p), timeout_ms);
        return !events_say(cg->fd, "populated", false);
}
