/* SPDX-License-Identifier: Apache-2.0 */
/* health — what a container's monitor has found of its health, and asking it to look. */
#include "container/health.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "container/container_internal.h"
#include "monitor/record.h"
#include "spec/health.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define LOOK_PAUSE_NS 5000000L
#define GRACE_NS      INT64_C(5000000000) /* that a monitor may take for all but the check itself */

struct json_object *container_health(int dir_fd)
{
        struct json_object *o = NULL;

        if (json_read_file(dir_fd, RECORD_HEALTH, RECORD_HEALTH_MAX, &o, NULL) < 0)
                return NULL;
        return json_object_is_type(o, json_type_object) ? o : json_unref(o);
}

char *container_health_status(int dir_fd)
{
        AUTO_JSON *health = container_health(dir_fd);
        struct json_at at = json_root(health, RECORD_HEALTH);
        const char *status = NULL;

        return health && json_opt_string(&at, "Status", &status, NULL) >= 0 && status
                   ? xstrdup(status)
                   : NULL;
}

/* The result of the latest check, if that began behind @since. */
static bool result_since(int dir_fd, int64_t since, bool *ret_ok)
{
        AUTO_JSON *health = container_health(dir_fd);
        struct json_at root = json_root(health, RECORD_HEALTH), log, last;
        const char *start = NULL;
        int64_t ns, code = 1;
        size_t n;

        if (!health)
                return false;
        log = json_key(&root, "Log");
        if (json_want_array(&log, 64, &n, NULL) < 0 || n == 0)
                return false;
        last = json_elem(&log, n - 1);
        if (json_opt_string(&last, "Start", &start, NULL) < 0 || !start ||
            clock_parse(start, &ns) < 0 || ns < since ||
            json_opt_i64(&last, "ExitCode", &code, NULL) < 0)
                return false;
        *ret_ok = code == 0;
        return true;
}

/* Ours begins once the one that runs has ended: that takes two timeouts at most, however long they are. */
static bool is_overdue(int64_t begun_ns, int64_t timeout_ns)
{
        return (clock_monotonic_ns() - begun_ns - GRACE_NS) / 2 > timeout_ns;
}

static int wait_for_result(const struct dirs *d, struct container *c, int64_t since,
                           int64_t timeout_ns, struct err **reterr)
{
        int64_t begun = clock_monotonic_ns();
        const struct timespec pause = {.tv_nsec = LOOK_PAUSE_NS};
        bool ok = false;

        while (!result_since(c->dir_fd, since, &ok)) {
                int r = container_refresh(d, c->dir_fd, c, reterr);

                if (r < 0)
                        return r;
                if (c->status != CONTAINER_RUNNING)
                        return err_new(reterr, ERR_BUSY, "it ended before its check did");
                if (is_overdue(begun, timeout_ns)) {
                        r = err_new(reterr, ERR_BUSY,
                                    "its monitor, process %lld, tells of no result",
                                    (long long)c->monitor.pid);
                        return err_hint(reterr, r,
                                        "a monitor that was stopped goes on with 'kill -CONT %lld'",
                                        (long long)c->monitor.pid);
                }
                /* lint-allow: nanosleep: the record is replaced, and who reads it is told by nobody */
                (void)nanosleep(&pause, NULL);
        }
        return ok ? 0 : 1;
}

static int ask_monitor(struct container *c, int64_t *ret_timeout_ns, struct err **reterr)
{
        AUTO_CLOSE int pidfd = -EBADF;
        struct health_check check;
        bool has = health_check_from_config(c->config, &check);
        int r;

        *ret_timeout_ns = check.timeout_ns;
        health_check_release(&check);
        if (!has) {
                r = err_new(reterr, ERR_UNSUPPORTED, "it has no health check");
                return err_hint(reterr, r, "kelp run --health-cmd gives it one");
        }
        if (c->status != CONTAINER_RUNNING)
                return err_new(reterr, ERR_BUSY, "it is not running");
        pidfd = process_open(&c->monitor, reterr);
        r = pidfd < 0 ? pidfd : sys_pidfd_send_signal(pidfd, SIGUSR2);
        return r < 0 && pidfd >= 0 ? err_sys(reterr, -r, "ask its monitor") : r;
}

int container_check_health(const struct dirs *d, struct container *c, struct err **reterr)
{
        int64_t since = clock_now_ns(), timeout_ns = 0;
        int r = container_dir(d, c, reterr);

        if (r >= 0)
                r = ask_monitor(c, &timeout_ns, reterr);
        if (r >= 0)
                r = wait_for_result(d, c, since, timeout_ns, reterr);
        return r < 0 ? err_wrap(reterr, r, "check the health of container '%s'", c->name) : r;
}
