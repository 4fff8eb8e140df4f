/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec — a further program in a running container. Everything it needs comes in the request: the container's spec with the process
 * replaced. The session's record tells others of it while it runs; afterwards it is kept only for a detached one, whose exit code
 * nobody has been told (bounded: RECORD_EXECS_KEPT).
 *
 * The program is our child but lives in the container's PID namespace and dies with it. Where the container shares the
 * host's processes nothing would end it: we do, when pid 1 is gone.
 */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "monitor/monitor.h"
#include "monitor/protocol.h"
#include "monitor/record.h"
#include "monitor/session.h"
#include "monitor/status.h"
#include "spec/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX (4U * 1024 * 1024)

struct request {
        struct json_object *doc; /* owned */
        const char *eid;
        struct spec *spec;
        bool privileged, interactive, detach;
};

struct exec {
        struct dirs *d;
        const char *id;
        int dir_fd, records_fd;
        struct request req;
        char *record_name;
        struct loop *loop;
        struct session *session;
        struct launched p;
        int container; /* pidfd of pid 1 */
        struct loop_source *container_watch;
        int code;
        bool finished;
};

static int read_request(struct request *q, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        struct json_at at, spec;
        size_t n;
        int r;

        r = io_read_fd(MONITOR_FD_REQUEST, "exec request", REQUEST_MAX, &text, &n, reterr);
        if (r >= 0)
                r = json_parse(text, n, "exec request", &q->doc, reterr);
        if (r < 0)
                return r;
        at = json_root(q->doc, "exec request");
        r = json_want_object(&at, reterr);
        if (r >= 0)
                r = json_get_string(&at, "id", &q->eid, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "privileged", &q->privileged, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "interactive", &q->interactive, reterr);
        if (r >= 0)
                r = json_opt_bool(&at, "detach", &q->detach, reterr);
        if (r < 0)
                return r;
        if (!path_is_clean_name(q->eid))
                return json_fail(&at, reterr, "id: not a name");
        spec = json_key(&at, "spec");
        return spec_from_json(spec.obj, "exec request", &q->spec, reterr);
}

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
        return 0;
}

/* ---- the session's record ---- */

static int record_write(struct exec *x, bool running, struct err **reterr)
{
        AUTO_JSON *o = json_object_new_object();
        struct json_object *process = NULL;
        struct process_id id;

        json_add_string(o, "ID", x->req.eid);
        json_add_bool(o, "Running", running);
        if (running && process_identify(x->p.pid, &id, NULL) >= 0) {
                json_add_int(o, "Pid", id.pid);
                json_add_uint(o, "start", id.start_time);
                json_add_string(o, "boot", id.boot_id);
        }
        if (!running)
                json_add_int(o, "ExitCode", x->code);
        if (json_object_object_get_ex(x->req.doc, "ProcessConfig", &process))
                (void)json_object_object_add(o, "ProcessConfig", json_object_get(process));
        return atomic_file_write_json(x->records_fd, x->record_name, o, false, reterr);
}

/* Records of ended sessions are only kept up to a number. */
static void records_bound(const struct exec *x)
{
        AUTO_CLOSE int fd = openat(x->records_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        size_t n = 0;
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return;
        (void)TAKE_FD(fd);
        for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
                AUTO_JSON *o = NULL;
                struct json_object *running = NULL;

                if (e->d_name[0] == '.' || ++n <= RECORD_EXECS_KEPT)
                        continue;
                if (json_read_file(x->records_fd, e->d_name, RECORD_MAX, &o, NULL) >= 0 &&
                    json_object_object_get_ex(o, "Running", &running) &&
                    !json_object_get_boolean(running))
                        (void)unlinkat(x->records_fd, e->d_name, 0);
        }
        (void)closedir(dir);
}

static int record_open(struct exec *x, struct err **reterr)
{
        x->records_fd = path_mkdir_open(x->dir_fd, RECORD_EXECS, 0700, reterr);
        if (x->records_fd < 0)
                return x->records_fd;
        x->record_name = xasprintf("%s.json", x->req.eid);
        return record_write(x, true, reterr);
}

/* ---- running ---- */

static void on_delivered(void *arg)
{
        loop_stop(((struct exec *)arg)->loop);
}

static void finish(struct exec *x, int status)
{
        x->finished = true;
        x->code = monitor_exit_code(status);
        x->container_watch = loop_remove(x->container_watch);
        session_drain(x->session);
        if (x->req.detach) {
                (void)record_write(x, false, NULL);
                records_bound(x);
        } else {
                (void)unlinkat(x->records_fd, x->record_name, 0);
        }
        session_finish(x->session, x->code, on_delivered, x);
}

static void reap(struct exec *x)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == x->p.pid && !x->finished)
                        finish(x, status);
        }
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
        (void)sys_pidfd_send_signal(x->p.pidfd, SIGKILL);
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
        io = (struct launch_io){streams->child[0], streams->child[1], streams->child[2], NULL, 0};
        return launch_exec(&o, x->d->root_fd, cache_fd, &io, &x->p, reterr);
}

static int start(struct exec *x, const char *root, struct err **reterr)
{
        struct streams streams = STREAMS_NONE;
        int r;

        r = read_request(&x->req, reterr);
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
                r = record_open(x, reterr);
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
        (void)fd_close(x->container);
        (void)fd_close(x->records_fd);
        (void)fd_close(x->dir_fd);
        x->d = dirs_free(x->d);
}

int monitor_exec(const char *root, const char *id)
{
        struct exec x = {.id = id,
                         .dir_fd = -EBADF,
                         .records_fd = -EBADF,
                         .container = -EBADF,
                         .p = {.pidfd = -EBADF, .terminal = -EBADF, .helper_pidfd = -EBADF}};
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
        status_started(x.p.pid);
        (void)malloc_trim(0);
        r = loop_run(x.loop, &e);
        if (r >= 0)
                status_exited(x.code, false);
        exec_release(&x);
        return r < 0 ? 1 : 0;
}
