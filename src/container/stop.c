/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop — kill, stop, wait.
 *
 * Waiting is waiting for the container's lock: its monitor lets go of it when the exit is recorded, and the kernel does when the monitor
 * is killed. Any number may wait, and nobody has to be told of them. The record of a container that is removed on exit is
 * in the lock file itself, which a waiter has open (monitor/record.h).
 */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "monitor/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DEFAULT_STOP_TIMEOUT 10

static int not_running(const struct container *c, struct err **reterr)
{
        return err_new(reterr, ERR_BUSY, "container '%s' is not running", c->name);
}

static void tell_of_signal(const struct dirs *d, struct container *c, int sig)
{
        char number[16];

        (void)snprintf(number, sizeof(number), "%d", sig);
        container_event(d, c, "kill", (const char *const[]){"signal", number, NULL});
}

int container_kill(const struct dirs *d, struct container *c, int sig, struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF;
        int r;

        if (c->status != CONTAINER_RUNNING)
                return not_running(c, reterr);
        pidfd = process_open(&c->process, NULL);
        if (pidfd < 0)
                return not_running(c, reterr);
        r = sys_pidfd_send_signal(pidfd, sig);
        if (r == -ESRCH)
                return not_running(c, reterr);
        if (r < 0)
                return err_sys(reterr, -r, "send a signal to container '%s'", c->name);
        tell_of_signal(d, c, sig);
        return 0;
}

/* Waits until the monitor is through with it. 1 and the record from the lock file, 0 when the record is elsewhere. */
static int wait_for_lock(int lock_fd, struct exit_record *ret, struct err **reterr)
{
        while (flock(lock_fd, LOCK_SH) < 0) {
                if (errno != EINTR)
                        return err_sys(reterr, errno, "wait for the container");
        }
        (void)flock(lock_fd, LOCK_UN);
        return exit_record_read_lock(lock_fd, ret, reterr);
}

static int open_lock(const struct dirs *d, struct container *c, struct err **reterr)
{
        int dir = container_dir(d, c, reterr), fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, RECORD_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? err_sys(reterr, errno, "wait for container '%s'", c->name) : fd;
}

int container_wait(const struct dirs *d, struct container *c, bool removed, struct err **reterr)
{
        struct exit_record rec = {0};
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int lock = -EBADF;
        int code, r;

        if (c->status != CONTAINER_RUNNING && !removed)
                return c->exit_code;
        lock = open_lock(d, c, reterr);
        if (lock < 0)
                return lock;
        r = wait_for_lock(lock, &rec, reterr);
        if (r < 0)
                return r;
        code = rec.code;
        exit_record_release(&rec);
        if (r > 0)
                return code;
        /* The directory is open: it can be read even when it has been moved away to be deleted. */
        r = container_refresh(d, c->dir_fd, c, &e);
        if (r < 0 && err_kind(e) == ERR_NOT_FOUND)
                return 137; /* removed on exit by us, since its monitor was killed */
        if (r < 0) {
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return r;
        }
        return c->exit_code;
}

static int stop_signal(struct container *c, int64_t *timeout)
{
        struct json_at root = json_root(c->config, CONFIG_FILE);
        struct json_at config = json_key(&root, "Config");
        const char *text = NULL;
        int sig = SIGTERM;
        int64_t s = DEFAULT_STOP_TIMEOUT;

        if (config.obj) {
                (void)json_opt_i64(&config, "StopTimeout", &s, NULL);
                if (json_opt_string(&config, "StopSignal", &text, NULL) >= 0 && text)
                        (void)parse_signal(text, &sig);
        }
        if (*timeout < 0)
                *timeout = s;
        return sig;
}

/* True when pid 1 is gone within the time. */
static bool wait_for_death(int pidfd, int64_t seconds)
{
        int64_t end = clock_monotonic_ns() + MIN(seconds, (int64_t)INT32_MAX) * 1000000000;

        for (;;) {
                struct pollfd p = {.fd = pidfd, .events = POLLIN};
                int64_t left = (end - clock_monotonic_ns()) / 1000000;
                int r = poll(&p, 1, left < 0 ? 0 : (int)MIN(left + 1, (int64_t)INT32_MAX));

                if (r > 0)
                        return true;
                if (r == 0 && left <= 0)
                        return false;
                if (r < 0 && errno != EINTR)
                        return false;
        }
}

int container_stop(const struct dirs *d, struct container *c, int signal, int64_t timeout_s,
                   struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF, lock = -EBADF;
        struct exit_record rec = {0};
        int own = stop_signal(c, &timeout_s), r;

        if (c->status != CONTAINER_RUNNING)
                return 0; /* it is what was asked for */
        /* Opened first: of one that is removed on exit nothing can be opened afterwards. */
        lock = open_lock(d, c, reterr);
        if (lock < 0)
                return lock;
        pidfd = process_open(&c->process, NULL);
        if (pidfd >= 0) {
                (void)sys_pidfd_send_signal(pidfd, signal ? signal : own);
                tell_of_signal(d, c, signal ? signal : own);
                if (timeout_s == 0 || !wait_for_death(pidfd, timeout_s)) {
                        r = sys_pidfd_send_signal(pidfd, SIGKILL);
                        if (r < 0 && r != -ESRCH)
                                return err_sys(reterr, -r, "kill container '%s'", c->name);
                        tell_of_signal(d, c, SIGKILL);
                }
        }
        r = wait_for_lock(lock, &rec, reterr);
        exit_record_release(&rec);
        if (r >= 0)
                container_event(d, c, "stop", NULL);
        if (r == 0)
                (void)container_refresh(d, c->dir_fd, c, NULL);
        return r < 0 ? r : 0;
}
