/* SPDX-License-Identifier: Apache-2.0 */
/* run_start — from the container's directory to its running program and its run record. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/path.h"
#include "logs/logs.h"
#include "monitor/run_internal.h"
#include "secret/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- before the start ---- */

/* Readers hold it for microseconds, the previous monitor for a moment. */
static int take_lock(struct run *run, struct err **reterr)
{
        run->lock_fd = lock_try_for(run->dir_fd, RECORD_LOCK, reterr);
        if (run->lock_fd == -EWOULDBLOCK)
                return err_new(reterr, ERR_BUSY, "it is running already");
        return run->lock_fd < 0 ? run->lock_fd : 0;
}

static int open_container(struct run *run, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("containers/%s", run->a->id);
        int r;

        r = dirs_open(run->a->root, &run->d, reterr);
        if (r < 0)
                return r;
        run->dir_fd = openat(run->d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (run->dir_fd < 0 && errno == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", run->a->id);
        if (run->dir_fd < 0)
                return err_sys(reterr, errno, "open its directory");
        r = take_lock(run, reterr);
        if (r < 0)
                return r;
        /* The facts of the previous life go first: from here on the state is "created". */
        (void)unlinkat(run->dir_fd, RECORD_EXIT, 0);
        (void)unlinkat(run->dir_fd, RECORD_RUN, 0);
        (void)unlinkat(run->dir_fd, RECORD_STOPPED, 0);
        (void)unlinkat(run->dir_fd, RECORD_HEALTH, 0);
        if (run->a->health)
                run->health = health_new(run);
        /* An end that found no room for a record of its own stands in the lock (record_exit()). */
        if (ftruncate(run->lock_fd, 0) < 0)
                return err_sys(reterr, errno, "begin its records");
        return 0;
}

static int read_spec(struct run *run, struct spec **ret, struct err **reterr)
{
        struct spec *s;
        int r = monitor_read_spec(run->d, run->dir_fd, ret, reterr);

        if (r < 0)
                return r;
        s = *ret;
        r = secret_add_env(run->dir_fd, s, &s->process.env, reterr);
        if (r < 0)
                return r;
        r = run_join(run, s, reterr);
        if (r < 0)
                return r;
        if (run->rows && run->cols) {
                s->process.rows = run->rows;
                s->process.cols = run->cols;
        }
        run->stop_signal = s->stop_signal;
        run->stop_timeout = s->stop_timeout;
        run->timeout = s->timeout;
        run->own_pids = s->ns[SPEC_NS_PID].enabled && !s->ns[SPEC_NS_PID].path;
        return 0;
}

static int open_log(struct run *run, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        struct log_options o = {0};
        enum log_driver driver;
        int r;

        r = log_driver_parse(run->a->log_driver, &driver, reterr);
        if (r >= 0)
                r = log_options_parse(driver, run->a->log_opts.v, &o, reterr);
        if (r < 0)
                return r;
        if (driver == LOG_JSON_FILE || driver == LOG_K8S_FILE) {
                fd = path_mkdir_open(run->dir_fd, "log", 0700, reterr);
                r = fd < 0 ? fd : 0;
        }
        if (r >= 0)
                r = log_writer_new(fd, driver, &o, &run->log, reterr);
        log_options_release(&o);
        return r;
}

static bool passes_through(const struct run *run)
{
        return run->a->log_driver && strcmp(run->a->log_driver, "passthrough") == 0;
}

/* The caller's streams belong to the container alone: a pipe that we kept would never report its end. */
static int let_go_of_stdio(struct err **reterr)
{
        AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 0; fd < 3; fd++) {
                if (null < 0 || dup3(null, fd, 0) < 0)
                        return err_sys(reterr, errno, "open /dev/null");
        }
        return 0;
}

/* ---- the start ---- */

/* The root directory of the container belongs to its root, and so do the files that are bound over its /etc. That is us unless
 * the map says otherwise; only in U can they be given away. */
static int own_files(const struct run *run, const struct spec *s, struct err **reterr)
{
        static const char *const names[] = {"upper",    "work",   "hosts", "resolv.conf",
                                            "hostname", "passwd", "group", "localtime"};
        uint32_t uid = id_map_to_outside(&s->uid_map, 0), gid = id_map_to_outside(&s->gid_map, 0);

        if (s->uid_map.n == 0 || uid == ID_NONE || gid == ID_NONE || (uid == 0 && gid == 0))
                return 0;
        /* The empty root of a pod's infra container; any other directory is the user's, or has its owners. */
        if (s->pause && fchownat(run->dir_fd, "rootfs", uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(reterr, errno, "give its root directory to the container's root");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (fchownat(run->dir_fd, names[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno != ENOENT)
                        return err_sys(reterr, errno, "give '%s' to the container's root",
                                       names[i]);
        }
        return 0;
}

/* An overlay that is not synced refuses what it was mounted with once, lest a crash has torn it: its mark in there says so. Ours comes here a
 * second time only by a restart, and never behind a power cut. */
static int renew_work(const struct run *run, const struct spec *s, struct err **reterr)
{
        return s->volatile_upper ? path_remove_tree(run->dir_fd, "work/work", reterr) : 0;
}

static int launch(struct run *run, const struct spec *s, struct streams *streams,
                  struct err **reterr)
{
        AUTO(launch_plan_freep) struct launch_plan *plan = NULL;
        AUTO_CLOSE int cache_fd = -EBADF;
        struct launch_io io;
        int r;

        cache_fd = dirs_cache_fd(run->d, reterr);
        if (cache_fd < 0)
                return cache_fd;
        r = launch_plan_new(s, run->d->root_fd, cache_fd, &plan, reterr);
        if (r >= 0)
                r = run_joined_still_run(run, reterr);
        if (r < 0)
                return r;
        if (passes_through(run)) {
                io = (struct launch_io){.in = s->stdin_open ? 0 : -EBADF, .out = 1, .err = 2};
        } else {
                if (!s->process.terminal)
                        r = streams_open(streams, s->stdin_open, reterr);
                if (r < 0)
                        return r;
                io = (struct launch_io){streams->child[0], streams->child[1], streams->child[2],
                                        NULL, 0};
        }
        io.preserve = run->a->preserve.fd;
        io.n_preserve = run->a->preserve.n;
        FAULT_POINT("monitor-launch");
        /* The container's descendants that share the host's processes become ours when their parents die. */
        if (!run->own_pids && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return err_sys(reterr, errno, "adopt the container's orphans");
        r = launch_start(plan, &io, &run->p, reterr);
        preserve_close(&run->a->preserve);
        return r;
}

static int write_pidfile(const struct run *run, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        char text[16];
        int n, r;

        if (!run->a->pidfile)
                return 0;
        fd = open(run->a->pidfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0)
                return err_sys(reterr, errno, "pid file '%s'", run->a->pidfile);
        n = snprintf(text, sizeof(text), "%d", (int)run->p.pid);
        r = io_write_full(fd, text, (size_t)n);
        return r < 0 ? err_sys(reterr, -r, "pid file '%s'", run->a->pidfile) : 0;
}

static int write_run_record(struct run *run, struct err **reterr)
{
        struct run_record rec = {.started_ns = run->started_ns,
                                 .restarts = run->again.restarts,
                                 .last_code = run->again.last.code};
        int r;

        r = process_identify(run->p.pid, &rec.process, reterr);
        if (r >= 0)
                r = process_identify(getpid(), &rec.monitor, reterr);
        if (r < 0)
                return r;
        if (!run->own_pids)
                rec.mount_ns = mount_ns_id(run->p.pid);
        return run_record_write(run->dir_fd, &rec, reterr);
}

static int connect_first(struct run *run, struct streams *streams, struct err **reterr)
{
        int r;

        run->session = session_new(&(struct session_opts){
            .loop = run->loop, .log = run->log, .stdin_once = run->a->stdin_once});
        r = streams_connect(streams, run->session, &run->p, reterr);
        return r < 0 ? r : run_listen(run, reterr);
}

static int connect_again(struct run *run, struct streams *streams, struct err **reterr)
{
        session_begin_again(run->session, run->log);
        return streams_give(streams, run->session, &run->p, reterr);
}

typedef int (*connect_fn)(struct run *run, struct streams *streams, struct err **reterr);

/* From its description to its record, inside U. */
static int start_program(struct run *run, struct spec *s, connect_fn connect, struct err **reterr)
{
        struct streams streams = STREAMS_NONE;
        int64_t before = run->started_ns;
        int r;

        run->started_ns = clock_now_ns();
        r = own_files(run, s, reterr);
        if (r >= 0)
                r = renew_work(run, s, reterr);
        if (r >= 0)
                run->notify = notify_free(run->notify); /* of the run before */
        if (r >= 0)
                r = notify_new(run->d, run->dir_fd, s, &run->notify, reterr);
        if (r >= 0)
                r = launch(run, s, &streams, reterr);
        if (r >= 0)
                r = connect(run, &streams, reterr);
        if (r >= 0)
                r = write_pidfile(run, reterr);
        if (r >= 0)
                r = write_run_record(run, reterr);
        if (r >= 0)
                r = notify_started(run->notify, run->loop, reterr);
        if (r >= 0 && passes_through(run))
                r = let_go_of_stdio(reterr);
        streams_close(&streams);
        if (r < 0)
                run->started_ns = before;
        return r;
}

int run_start(struct run *run, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = NULL;
        int r;

        r = open_container(run, reterr);
        if (r >= 0)
                r = run_live_with(run, reterr);
        if (r >= 0)
                r = read_spec(run, &s, reterr);
        if (r >= 0) {
                run_remember(run, s);
                r = open_log(run, reterr);
        }
        if (r >= 0)
                r = monitor_enter(run->d, reterr);
        if (r >= 0)
                r = start_program(run, s, connect_first, reterr);
        run_let_go_of_joined(run);
        return r;
}

int run_start_again(struct run *run, struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = NULL;
        int r;

        (void)session_size(run->session, &run->rows, &run->cols);
        r = read_spec(run, &s, reterr);
        if (r >= 0)
                r = start_program(run, s, connect_again, reterr);
        run_let_go_of_joined(run);
        return r;
}
