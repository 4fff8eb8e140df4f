/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec — a further program in a running container. Everything it needs comes in the request: the container's spec with the process
 * replaced. The session's record tells others of it while it runs; afterwards it is kept only for a detached one, whose exit code
 * nobody has been told (bounded: RECORD_EXECS_KEPT).
 *
 * The program is our child but lives in the container's PID namespace and dies with it. Where the container shares the host's
 * processes nothing would end it, nor what it has started: we adopt its orphans (subreaper), stay as long as there are
 * any, and kill them all when pid 1 is gone.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/sys.h"
#include "events/events.h"
#include "monitor/exec_internal.h"
#include "monitor/monitor.h"
#include "monitor/record.h"
#include "monitor/session.h"
#include "monitor/status.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_container(struct exec *x, const char *root, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("containers/%s", x->id);
        struct run_record rec;
        int r;

        r = dirs_open(root, &x->d, reterr);
        if (r < 0)
                return r;
        x->dir_fd = openat(x->d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (x->dir_fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", x->id);
        r = run_record_read(x->dir_fd, &rec, reterr);
        if (r < 0)
                return r;
        x->container = r == 0 ? -ESRCH : process_open(&rec.process, NULL);
        if (x->container < 0)
                return err_new(reterr, ERR_BUSY, "container %s is not running", x->id);
        x->own_pids = rec.mount_ns == 0; /* recorded for others only: run_start.c */
        return 0;
}

/* ---- running ---- */

static void on_served(void *arg)
{
        const struct exec *x = arg;

        status_exited(x->code, false);
}

/* Nothing left to do: but descendants that share the host's processes must not outlive the container without us. */
static void stop_when_done(struct exec *x)
{
        siginfo_t si;

        if (!x->delivered)
                return;
        if (x->container_watch && waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == 0)
                return;
        loop_stop(x->loop);
}

static void on_delivered(void *arg)
{
        struct exec *x = arg;

        x->delivered = true;
        stop_when_done(x);
}

static void tell_of_end(const struct exec *x)
{
        const struct spec *s = x->req.spec;
        struct event_container c = {
            .id = x->id, .name = x->req.name, .image = s->image_name, .labels = &s->labels};
        char code[16];
        const char *attributes[] = {"execID", x->req.eid, "exitCode", code, NULL};

        (void)snprintf(code, sizeof(code), "%d", x->code);
        event_emit_container(x->d, &c, "exec_die", attributes);
}

static void finish(struct exec *x, int status)
{
        x->finished = true;
        x->code = monitor_exit_code(status);
        if (x->own_pids)
                x->container_watch = loop_remove(x->container_watch);
        session_drain(x->session);
        exec_record_close(x);
        tell_of_end(x);
        session_finish(x->session, x->code, on_served, on_delivered, x);
}

static void reap(struct exec *x)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == x->p.pid && !x->finished)
                        finish(x, status);
        }
        stop_when_done(x);
}

static int on_signal(struct loop *l, const struct signalfd_siginfo *si, void *arg)
{
        struct exec *x = arg;

        if (si->ssi_signo == SIGCHLD)
                reap(x);
        else if (!x->finished)
                (void)sys_pidfd_send_signal(x->p.pidfd, SIGTERM);
        return 0;
}

static int on_container_end(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct exec *x = arg;

        x->container_watch = loop_remove(x->container_watch);
        if (!x->finished)
                (void)sys_pidfd_send_signal(x->p.pidfd, SIGKILL);
        if (!x->own_pids) {
                reap(x); /* what has ended by itself keeps its exit code */
                monitor_kill_children();
                if (!x->finished)
                        finish(x, SIGKILL); /* the status of one that was killed */
                stop_when_done(x);
        }
        return 0;
}

static int launch(struct exec *x, struct streams *streams, struct err **reterr)
{
        AUTO_CLOSE int cache_fd = dirs_cache_fd(x->d, reterr);
        struct launch_exec_opts o = {.spec = x->req.spec,
                                     .process = &x->req.spec->process,
                                     .container_pidfd = x->container,
                                     .privileged = x->req.privileged};
        struct launch_io io;
        int r = 0;

        if (cache_fd < 0)
                return cache_fd;
        if (!o.process->terminal)
                r = streams_open(streams, x->req.interactive, reterr);
        if (r < 0)
                return r;
        if (!x->own_pids && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return err_sys(reterr, errno, "adopt the program's orphans");
        io = (struct launch_io){streams->child[0], streams->child[1], streams->child[2],
                                x->preserve->fd, x->preserve->n};
        r = launch_exec(&o, x->d->root_fd, cache_fd, &io, &x->p, reterr);
        preserve_close(x->preserve);
        return r;
}

static int start(struct exec *x, const char *root, struct err **reterr)
{
        struct streams streams = STREAMS_NONE;
        int r;

        r = exec_request_read(&x->req, reterr);
        if (r >= 0)
                r = open_container(x, root, reterr);
        if (r >= 0)
                r = launch(x, &streams, reterr);
        if (r >= 0) {
                x->session =
                    session_new(&(struct session_opts){.loop = x->loop, .stdin_once = true});
                r = streams_connect(&streams, x->session, &x->p, reterr);
        }
        if (r >= 0)
                r = exec_record_open(x, reterr);
        if (r >= 0)
                r = loop_add_fd(x->loop, x->container, EPOLLIN, on_container_end, x,
                                &x->container_watch, reterr);
        if (r < 0 && x->p.pid > 0) {
                (void)sys_pidfd_send_signal(x->p.pidfd, SIGKILL);
                (void)waitpid(x->p.pid, NULL, 0);
        }
        streams_close(&streams);
        return r;
}

static void exec_release(struct exec *x)
{
        x->session = session_free(x->session);
        x->loop = loop_free(x->loop);
        x->req.spec = spec_free(x->req.spec);
        x->req.doc = json_unref(x->req.doc);
        free(x->record_name);
        (void)fd_close(x->p.pidfd);
        (void)fd_close(x->p.terminal);
        (void)fd_close(x->p.keeper);
        (void)fd_close(x->container);
        (void)fd_close(x->records_fd);
        (void)fd_close(x->dir_fd);
        x->d = dirs_free(x->d);
}

int monitor_exec(const char *root, const char *id, struct preserve *preserve)
{
        struct exec x = {
            .id = id,
            .preserve = preserve,
            .dir_fd = -EBADF,
            .records_fd = -EBADF,
            .container = -EBADF,
            .p = {.pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF}};
        AUTO_ERR struct err *e = NULL;
        sigset_t set;
        int r;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        r = loop_new(&x.loop, &e);
        if (r >= 0)
                r = loop_add_signals(x.loop, &set, on_signal, &x, &e);
        if (r >= 0)
                r = start(&x, root, &e);
        if (r < 0) {
                status_error(e);
                exec_release(&x);
                return 1;
        }
        status_started(x.p.pid, NULL);
        (void)malloc_trim(0);
        r = loop_run(x.loop, &e);
        exec_release(&x);
        return r < 0 ? 1 : 0;
}
