/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop — kill, stop, wait.
 *
 * Waiting is waiting for the container's lock: its monitor lets go of it when the exit is recorded, and the kernel does when the monitor
 * is killed. Any number may wait, and nobody has to be told of them. The record of a container that is removed on exit is
 * in the lock file itself, which a waiter has open (monitor/record.h).
 *
 * A container that its policy starts again keeps its lock meanwhile. Who stops it says so in the directory first, and then tells the monitor
 * (monitor/run_again.c): whichever of the two sees the other, nothing is started again.
 */
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "monitor/record.h"
#include "spec/health.h"
#include "spec/restart_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_STOP_TIMEOUT 10
#define LOOK_PAUSE_NS        2000000L
#define LOOK_FIRST_NS        100000L
#define LOOK_LAST_NS         10000000L

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

/* ---- the end of its policy ---- */

/* By its policy, or when it is found to be unhealthy. */
static bool may_restart(struct json_object *config)
{
        struct health_check check;
        bool restarts =
            health_check_from_config(config, &check) && check.action == HEALTH_ACTION_RESTART;

        health_check_release(&check);
        return restarts || restart_policy_from_config(config).mode != RESTART_NO;
}

/* Not what @c remembers: it may have been changed since it was read. */
static bool has_policy(int dir)
{
        AUTO_JSON *config = NULL;

        return json_read_file(dir, CONFIG_FILE, CONFIG_MAX, &config, NULL) >= 0 &&
               may_restart(config);
}

/* Before the signal: the monitor looks when the program has ended. Without a policy it is a note for one that may come (kelp update). */
static int mark_stopped(const struct dirs *d, struct container *c, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        int dir = container_dir(d, c, reterr), saved;

        if (dir < 0)
                return dir;
        if (container_auto_remove(c))
                return 0;
        fd = openat(dir, RECORD_STOPPED, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        saved = errno;
        if (fd < 0 && saved != ENOENT && has_policy(dir))
                return err_sys(reterr, saved, "end the restarts of container '%s'", c->name);
        return 0;
}

/* Behind the end of the process that we knew. A monitor that has looked for the mark before it was there waits for the next start, or has made it. */
static void tell_monitor(struct container *c)
{
        AUTO_CLOSE int pidfd = -EBADF;

        if (!has_policy(c->dir_fd))
                return;
        pidfd = process_open(&c->monitor, NULL);
        if (pidfd >= 0)
                (void)sys_pidfd_send_signal(pidfd, SIGUSR1);
}

/* ---- kill ---- */

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

/* Other signals have a meaning of the program's own ("read your configuration"), and its next end is none that was asked for. */
static bool asks_to_end(struct container *c, int sig)
{
        int64_t timeout = 0;

        return sig == SIGKILL || sig == SIGTERM || sig == SIGINT || sig == SIGQUIT ||
               sig == stop_signal(c, &timeout);
}

/* -ESRCH without words: there is no process. */
static int send_signal(struct container *c, int sig, struct err **reterr)
{
        AUTO_CLOSE int pidfd = process_open(&c->process, NULL);
        int r = pidfd < 0 ? -ESRCH : sys_pidfd_send_signal(pidfd, sig);

        if (r < 0 && r != -ESRCH)
                return err_sys(reterr, -r, "send a signal to container '%s'", c->name);
        return r;
}

int container_kill(const struct dirs *d, struct container *c, int sig, struct err **reterr)
{
        bool end = asks_to_end(c, sig);
        int r = -ESRCH;

        if (container_is_up(c) && end) {
                r = mark_stopped(d, c, reterr);
                if (r < 0)
                        return r;
                r = -ESRCH;
        }
        if (c->status == CONTAINER_RUNNING)
                r = send_signal(c, sig, reterr);
        if (r == -ESRCH && end && container_is_up(c) &&
            container_refresh(d, c->dir_fd, c, NULL) >= 0 && c->status == CONTAINER_RESTARTING) {
                tell_monitor(c);
                r = 0;
        }
        if (r == -ESRCH)
                return not_running(c, reterr);
        if (r >= 0)
                tell_of_signal(d, c, sig);
        return r;
}

/* ---- wait ---- */

static int open_lock(const struct dirs *d, struct container *c, struct err **reterr)
{
        int dir = container_dir(d, c, reterr), fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, RECORD_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? err_sys(reterr, errno, "wait for container '%s'", c->name) : fd;
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

/* Of a run that began later than the one that @c knows: somebody has started it again. */
static bool was_started_again(const struct container *c)
{
        struct run_record now;

        return run_record_read(c->dir_fd, &now, NULL) > 0 && now.started_ns != c->started_ns;
}

/*
 * Waits until the monitor is through with this run. 1 and the record from the lock file, 0 when the record is elsewhere. The lock alone does not
 * tell: the monitor of a next start may take it in the moment in which it is free, and keep it.
 */
static int wait_for_lock(struct container *c, int lock_fd, struct exit_record *ret,
                         struct err **reterr)
{
        struct timespec pause = {.tv_nsec = LOOK_FIRST_NS};
        bool up = container_is_up(c); /* else there is no run to compare with */
        AUTO_CLOSE int pidfd = up ? process_open(&c->process, NULL) : -EBADF;

        if (pidfd >= 0)
                (void)wait_for_death(pidfd, INT32_MAX);
        while (flock(lock_fd, up ? LOCK_SH | LOCK_NB : LOCK_SH) < 0) {
                if (errno != EINTR && errno != EWOULDBLOCK)
                        return err_sys(reterr, errno, "wait for the container");
                if (up && was_started_again(c))
                        return 0;
                /* lint-allow: nanosleep: nothing tells of both, the lock's end and its next owner */
                (void)nanosleep(&pause, NULL);
                pause.tv_nsec = MIN(2 * pause.tv_nsec, LOOK_LAST_NS);
        }
        (void)flock(lock_fd, LOCK_UN);
        return exit_record_read_lock(lock_fd, ret, reterr);
}

/*
 * The end of one run of a container that its policy starts again, which lets go of no lock. The process's end is told by the kernel; what the
 * monitor makes of it follows within moments. -EAGAIN without words: it is the end of all.
 */
static int wait_for_run(const struct dirs *d, struct container *c, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = LOOK_PAUSE_NS};
        AUTO_CLOSE int pidfd = process_open(&c->process, NULL);
        int64_t started = c->started_ns;
        int r, dir = container_dir(d, c, reterr);

        if (dir < 0)
                return dir;
        if (pidfd >= 0)
                (void)wait_for_death(pidfd, INT32_MAX);
        for (;;) {
                r = container_refresh(d, dir, c, reterr);
                if (r < 0)
                        return r;
                if (c->status == CONTAINER_RESTARTING)
                        return c->exit_code;
                if (c->status != CONTAINER_RUNNING)
                        return -EAGAIN;
                if (c->started_ns != started)
                        return c->last_code;
                /* lint-allow: nanosleep: a record that is being written tells nobody when it is there */
                (void)nanosleep(&pause, NULL);
        }
}

int container_wait(const struct dirs *d, struct container *c, bool removed, struct err **reterr)
{
        struct exit_record rec = {0};
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int lock = -EBADF;
        int code, r;

        if (c->status != CONTAINER_RUNNING && !removed)
                return c->exit_code;
        if (!removed && may_restart(c->config)) {
                r = wait_for_run(d, c, reterr);
                if (r != -EAGAIN)
                        return r;
        }
        lock = open_lock(d, c, reterr);
        if (lock < 0)
                return lock;
        r = wait_for_lock(c, lock, &rec, reterr);
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

int container_stop(const struct dirs *d, struct container *c, int signal, int64_t timeout_s,
                   struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF, lock = -EBADF;
        struct exit_record rec = {0};
        int own = stop_signal(c, &timeout_s), r;

        if (!container_is_up(c))
                return 0; /* it is what was asked for */
        /* Opened first: of one that is removed on exit nothing can be opened afterwards. */
        lock = open_lock(d, c, reterr);
        if (lock < 0)
                return lock;
        r = mark_stopped(d, c, reterr);
        if (r < 0)
                return r;
        if (c->status == CONTAINER_RUNNING)
                pidfd = process_open(&c->process, NULL);
        if (pidfd >= 0) {
                /* Told before it is done: else the monitor may tell of the end before. */
                tell_of_signal(d, c, signal ? signal : own);
                (void)sys_pidfd_send_signal(pidfd, signal ? signal : own);
                if (timeout_s == 0 || !wait_for_death(pidfd, timeout_s)) {
                        if (!wait_for_death(pidfd, 0))
                                tell_of_signal(d, c, SIGKILL);
                        r = sys_pidfd_send_signal(pidfd, SIGKILL);
                        if (r < 0 && r != -ESRCH)
                                return err_sys(reterr, -r, "kill container '%s'", c->name);
                }
        }
        tell_monitor(c);
        r = wait_for_lock(c, lock, &rec, reterr);
        exit_record_release(&rec);
        if (r >= 0)
                container_event(d, c, "stop", NULL);
        if (r == 0)
                (void)container_refresh(d, c->dir_fd, c, NULL);
        return r < 0 ? r : 0;
}
