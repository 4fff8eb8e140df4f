/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health — theory of operation
 *
 *   the program runs → interval → check, as an exec of ours → its end or its timeout → result → interval …
 *
 * One check at a time. Its output is read as it comes and kept up to a bound; what it has left running holds the pipe open, so that its end is
 * its exit, never the end of the pipe. A check that takes too long is killed with everything in its session and below it.
 */
#include "monitor/health.h"

#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/sys.h"
#include "monitor/run_internal.h"
#include "secret/secret.h"
#include "spec/health.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_MAX JSON_OWN_MAX
#define OUTPUT_MAX 4096
#define LOG_MAX    5
#define CODE_NONE  (-1) /* it did not end by itself */

enum health_status { STATUS_STARTING, STATUS_HEALTHY, STATUS_UNHEALTHY, STATUS_COUNT };
static const char *const status_names[] = {
    [STATUS_STARTING] = "starting",
    [STATUS_HEALTHY] = "healthy",
    [STATUS_UNHEALTHY] = "unhealthy",
};
_Static_assert(ARRAY_SIZE(status_names) == STATUS_COUNT, "every status has a name");

struct result {
        int64_t start_ns, end_ns;
        int code;
        char *output;
};

struct health {
        struct run *run;
        struct health_check check;
        enum health_status status;
        uint32_t streak;
        struct result log[LOG_MAX]; /* oldest first */
        size_t n;
        struct loop_source *interval, *timeout, *reader;
        /* The check that runs. */
        struct launched p;
        int out;
        struct strbuf output;
        int64_t start_ns;
        bool timed_out, again; /* again: somebody asked for one meanwhile */
};

static const struct launched not_launched = {
    .pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF};

static void set_timer(struct health *h, struct loop_source **timer, int64_t ns, loop_timer_fn fn)
{
        if (*timer)
                (void)loop_timer_set(*timer, (uint64_t)ns);
        else
                (void)loop_add_timer(h->run->loop, (uint64_t)ns, fn, h, timer, NULL);
}

/* ---- what is told ---- */

static void write_record(const struct health *h)
{
        AUTO_JSON *o = json_object_new_object();
        struct json_object *log;
        char time[CLOCK_RFC3339_MAX];

        json_add_string(o, "Status", status_names[h->status]);
        json_add_uint(o, "FailingStreak", h->streak);
        log = json_array(o, "Log");
        for (size_t i = 0; i < h->n; i++) {
                struct json_object *entry = json_object_new_object();

                json_add_string(entry, "Start", clock_format(h->log[i].start_ns, time));
                json_add_string(entry, "End", clock_format(h->log[i].end_ns, time));
                json_add_int(entry, "ExitCode", h->log[i].code);
                json_add_string(entry, "Output", h->log[i].output);
                (void)json_object_array_add(log, entry);
        }
        (void)atomic_file_write_json(h->run->dir_fd, RECORD_HEALTH, o, false, NULL);
}

static void become(struct health *h, enum health_status status)
{
        AUTO_FREE char *action = NULL;

        if (h->status == status)
                return;
        h->status = status;
        if (status == STATUS_HEALTHY)
                notify_healthy(h->run->notify);
        action = xasprintf("health_status: %s", status_names[status]);
        run_event(h->run, action, NULL);
}

static void act(struct health *h)
{
        struct run *run = h->run;

        switch (h->check.action) {
        case HEALTH_ACTION_KILL:
                (void)sys_pidfd_send_signal(run->p.pidfd, SIGKILL);
                break;
        case HEALTH_ACTION_RESTART:
                run->again.forced = true;
                run_ask_to_end(run);
                break;
        case HEALTH_ACTION_STOP:
                run_stop(run);
                break;
        case HEALTH_ACTION_NONE:
        case HEALTH_ACTION_COUNT:
                break;
        }
}

/* As Docker counts: a failure in the start period does, once there was a success. */
static void judge(struct health *h, int code)
{
        bool starting = h->status == STATUS_STARTING &&
                        h->start_ns - h->run->started_ns < h->check.start_period_ns;

        if (code == 0) {
                h->streak = 0;
                become(h, STATUS_HEALTHY);
        } else if (!starting && ++h->streak >= h->check.retries && h->status != STATUS_UNHEALTHY) {
                become(h, STATUS_UNHEALTHY);
                write_record(h);
                act(h);
        }
}

/* @output: any bytes, of the container. Who reads the record takes UTF-8 only: one byte that is none would hide the whole of it. */
static void add_result(struct health *h, int code, const char *output)
{
        AUTO_STRBUF text = {0};

        if (h->n == LOG_MAX) {
                free(h->log[0].output);
                memmove(&h->log[0], &h->log[1], (LOG_MAX - 1) * sizeof(h->log[0]));
                h->n--;
        }
        strbuf_add_utf8(&text, output, strlen(output));
        h->log[h->n++] = (struct result){h->start_ns, clock_now_ns(), code, strbuf_take(&text)};
        judge(h, code);
        write_record(h);
}

/* ---- one check ---- */

static int on_interval(struct loop *l, void *arg);

static void wait_for_next(struct health *h)
{
        bool starting = h->status == STATUS_STARTING &&
                        clock_now_ns() - h->run->started_ns < h->check.start_period_ns;

        set_timer(h, &h->interval, starting ? h->check.start_interval_ns : h->check.interval_ns,
                  on_interval);
}

static void close_output(struct health *h)
{
        h->reader = loop_remove(h->reader);
        h->out = fd_close(h->out);
}

/* 1: there may be more. 0: for now, or for good: then it is closed. */
static int read_output(struct health *h)
{
        char chunk[OUTPUT_MAX];
        ssize_t n = read(h->out, chunk, sizeof(chunk));
        size_t room = sizeof(chunk) - h->output.len;

        if (n > 0 && room > 0)
                strbuf_add_len(&h->output, chunk, MIN((size_t)n, room));
        if (n > 0 || (n < 0 && errno == EINTR))
                return 1;
        if (n == 0 || errno != EAGAIN)
                close_output(h);
        return 0;
}

static int on_output(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct health *h = arg;

        (void)read_output(h);
        return 0;
}

static int on_timeout(struct loop *l, void *arg)
{
        struct health *h = arg;

        if (h->p.pid > 0) {
                h->timed_out = true;
                monitor_kill_session(h->p.pid);
        }
        return 0;
}

static void probe_over(struct health *h)
{
        if (h->timeout)
                (void)loop_timer_stop(h->timeout);
        close_output(h);
        (void)fd_close(h->p.pidfd);
        free(h->p.warning);
        h->p = not_launched;
        strbuf_release(&h->output);
        h->timed_out = false;
        run_idle_soon(h->run);
}

static int launch(struct health *h, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = NULL;
        struct run *run = h->run;
        AUTO_CLOSE int cache = dirs_cache_fd(run->d, reterr), out = -EBADF, in = -EBADF;
        struct launch_exec_opts o = {.container_pidfd = run->p.pidfd, .in_u = true};
        struct launch_io io = {.in = -EBADF};
        int pair[2], r = cache < 0 ? cache : monitor_read_spec(run->d, run->dir_fd, &s, reterr);

        if (r >= 0)
                r = secret_add_env(run->dir_fd, s, &s->process.env, reterr);
        if (r >= 0)
                r = fd_pipe(pair, reterr);
        if (r < 0)
                return r;
        in = pair[0];
        io.out = io.err = out = pair[1];
        strv_release(&s->process.args);
        strv_copy(&s->process.args, &h->check.command);
        s->process.terminal = false;
        o.spec = s;
        o.process = &s->process;
        r = launch_exec(&o, run->d->root_fd, cache, &io, &h->p, reterr);
        if (r >= 0)
                r = fd_set_nonblock(in, true, reterr);
        if (r >= 0)
                r = loop_add_fd(run->loop, in, EPOLLIN, on_output, h, &h->reader, reterr);
        if (r < 0)
                return r;
        h->out = TAKE_FD(in);
        return 0;
}

static void probe(struct health *h)
{
        AUTO_ERR struct err *e = NULL;

        h->again = false;
        h->start_ns = clock_now_ns();
        if (launch(h, &e) >= 0) {
                set_timer(h, &h->timeout, h->check.timeout_ns, on_timeout);
                return;
        }
        if (h->p.pid > 0) {
                (void)sys_pidfd_send_signal(h->p.pidfd, SIGKILL);
                (void)waitpid(h->p.pid, NULL, 0);
        }
        add_result(h, CODE_NONE, err_message(e));
        probe_over(h);
        wait_for_next(h);
}

static int on_interval(struct loop *l, void *arg)
{
        struct health *h = arg;

        if (h->p.pid <= 0 && h->run->p.pid > 0)
                probe(h);
        return 0;
}

bool health_reap(struct health *h, pid_t pid, int status)
{
        AUTO_FREE char *late = NULL;

        if (!h || pid != h->p.pid)
                return false;
        while (h->out >= 0 && h->output.len < OUTPUT_MAX && read_output(h))
                ;
        /* Where the output was cut off it ends with a whole character. */
        if (h->output.len == OUTPUT_MAX)
                h->output.data[str_utf8_whole(h->output.data, OUTPUT_MAX)] = '\0';
        if (h->timed_out)
                late = xasprintf("Health check exceeded timeout (%" PRId64 " ms)",
                                 h->check.timeout_ns / 1000000);
        add_result(h, h->timed_out ? CODE_NONE : monitor_exit_code(status),
                   late            ? late
                   : h->output.len ? h->output.data
                                   : "");
        probe_over(h);
        if (h->again)
                set_timer(h, &h->interval, 1, on_interval);
        else
                wait_for_next(h);
        return true;
}

void health_check_now(struct health *h)
{
        if (!h || h->run->p.pid <= 0)
                return;
        if (h->p.pid > 0)
                h->again = true;
        else
                probe(h);
}

/* ---- with the program ---- */

void health_started(struct health *h)
{
        if (!h)
                return;
        h->status = STATUS_STARTING;
        h->streak = 0;
        write_record(h);
        wait_for_next(h);
}

void health_ended(struct health *h)
{
        if (!h)
                return;
        if (h->interval)
                (void)loop_timer_stop(h->interval);
        if (h->p.pid <= 0)
                return;
        monitor_kill_session(h->p.pid);
        (void)waitpid(h->p.pid, NULL, 0);
        probe_over(h);
}

struct health *health_new(struct run *run)
{
        AUTO_JSON *config = NULL;
        struct health_check check;
        struct health *h;

        if (json_read_file(run->dir_fd, "config.json", CONFIG_MAX, &config, NULL) < 0)
                return NULL;
        if (!health_check_from_config(config, &check)) {
                health_check_release(&check);
                return NULL;
        }
        h = xnew(struct health);
        h->run = run;
        h->check = check;
        h->p = not_launched;
        h->out = -EBADF;
        return h;
}

struct health *health_free(struct health *h)
{
        if (!h)
                return NULL;
        close_output(h);
        (void)loop_remove(h->interval);
        (void)loop_remove(h->timeout);
        (void)fd_close(h->p.pidfd);
        strbuf_release(&h->output);
        for (size_t i = 0; i < h->n; i++)
                free(h->log[i].output);
        health_check_release(&h->check);
        free(h);
        return NULL;
}
