/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_again — restart policies: theory of operation
 *
 *   the program has ended → exit record that says "restarting" → pause → launch → run record → exit record deleted
 *
 * The lock is held all the time. Killed before the run record is replaced, the container has ended as the exit record says; killed behind that, the
 * exit record is not of this run and counts no more, so it is like any other whose monitor was killed.
 *
 * A command that stops the container makes RECORD_STOPPED before it does anything; nothing is started again while that is there. It was
 * perhaps made behind our look: so the command sends SIGUSR1 when the process that it knew is dead, and we look once more. What has
 * been started meanwhile is then not what the command has seen, and is asked to end by us.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/loop.h"
#include "monitor/run_internal.h"
#include "monitor/session.h"
#include "spec/restart_policy.h"

#include <fcntl.h>
#include <unistd.h>

#define CONFIG_MAX JSON_OWN_MAX

static bool is_stopped(const struct run *run)
{
        return faccessat(run->dir_fd, RECORD_STOPPED, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The policy is read when it is needed: it may have been changed since the start (kelp update). */
static bool wanted(struct run *run)
{
        AUTO_JSON *config = NULL;
        bool forced = run->again.forced;
        struct restart_policy p;

        run->again.forced = false;
        if (run->rm || run->again.over || is_stopped(run) ||
            json_read_file(run->dir_fd, "config.json", CONFIG_MAX, &config, NULL) < 0)
                return false;
        p = restart_policy_from_config(config);
        return forced || restart_policy_wants(&p, run->again.last.code, run->again.restarts);
}

static void failed(struct run *run, const struct err *e)
{
        run_clear(run);
        session_drain(run->session);
        exit_record_release(&run->again.last);
        run->again.last = (struct exit_record){.code = err_exit_code(e),
                                               .error = xstrdup(err_message(e)),
                                               .started_ns = run->started_ns,
                                               .finished_ns = clock_now_ns()};
        if (!run_goes_on(run))
                run_ended(run);
}

static int on_pause_end(struct loop *l, void *arg)
{
        struct run *run = arg;
        AUTO_ERR struct err *e = NULL;

        run->again.waiting = false;
        if (is_stopped(run)) {
                run_ended(run);
                return 0;
        }
        run->again.restarts++;
        run_clear(run);
        FAULT_POINT("restart-again");
        if (run_start_again(run, &e) < 0) {
                failed(run, e);
                return 0;
        }
        FAULT_POINT("restart-launched");
        (void)unlinkat(run->dir_fd, RECORD_EXIT, 0);
        run_started(run);
        return 0;
}

bool run_goes_on(struct run *run)
{
        struct run_again *a = &run->again;
        int64_t lived = a->last.error ? 0 : a->last.finished_ns - a->last.started_ns;
        int r;

        if (!wanted(run))
                return false;
        a->pause_ns = restart_pause_ns(a->pause_ns, lived);
        a->last.restarting = true;
        a->last.restarts = a->restarts + 1;
        /* Not synced: behind a power cut it makes no difference. A full disk does not end a service. */
        (void)exit_record_write(run->dir_fd, &a->last, false, NULL);
        FAULT_POINT("restart-recorded");
        if (a->timer)
                r = loop_timer_set(a->timer, a->pause_ns);
        else
                r = loop_add_timer(run->loop, a->pause_ns, on_pause_end, run, &a->timer, NULL);
        a->waiting = r >= 0;
        return a->waiting;
}

void run_look_again(struct run *run)
{
        if (!is_stopped(run))
                return;
        if (run->again.waiting) {
                (void)loop_timer_stop(run->again.timer);
                run_ended(run);
        } else if (run->p.pid > 0) {
                run_ask_to_end(run);
        }
}
