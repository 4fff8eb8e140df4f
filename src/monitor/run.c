/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run — theory of operation
 *
 *   lock → spec → U → plan → clone … program runs → run.json → "started"
 *   loop: output, clients, timers, signals
 *   pid 1 is dead → what is left is killed → drain → exit record → (--rm: removal) → lock released
 *   → wait for slow clients → "exited"
 *
 * The order of the end: the exit record comes first, since it is what others wait for; the lock is let go before "exited", so that who
 * has read that can start or remove the container at once. A client that does not read delays only its own "exited".
 *
 * Killed at any point, the lock is free and the container dies with us (PDEATHSIG); the state is then derived from the records.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/loop.h"
#include "base/path.h"
#include "base/process.h"
#include "base/sys.h"
#include "launch/launch.h"
#include "logs/logs.h"
#include "monitor/monitor.h"
#include "monitor/protocol.h"
#include "monitor/record.h"
#include "monitor/removal.h"
#include "monitor/session.h"
#include "monitor/status.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPEC_MAX (4U * 1024 * 1024)
#define NS_PER_S 1000000000ULL
#define LOCK_TRIES                                                                                 \
        200 /* × LOCK_PAUSE_NS: readers hold the lock for microseconds, the previous monitor for a moment */
#define LOCK_PAUSE_NS   1000000L
#define IDLE_AFTER_NS   300000000ULL
#define LEFTOVER_ROUNDS 400 /* × 5 ms: how long killed processes may take to go */

struct run {
        const struct run_args *a;
        struct dirs *d;
        int dir_fd, lock_fd;
        struct loop *loop;
        struct session *session;
        struct log_writer *log;
        struct launched p;
        struct loop_source *kill_timer;
        int stop_signal;
        uint32_t stop_timeout, timeout;
        bool own_pids; /* a PID namespace of its own: nothing outlives pid 1 */
        int64_t started_ns;
        int code;
};

static void sleep_ns(long ns)
{
        struct timespec t = {.tv_nsec = ns};

        (void)nanosleep(&t, NULL);
}

/* ---- before the start ---- */

static int take_lock(struct run *run, struct err **reterr)
{
        for (int i = 0; i < LOCK_TRIES; i++) {
                int fd = lock_try(run->dir_fd, RECORD_LOCK, true, reterr);

                if (fd != -EWOULDBLOCK) {
                        run->lock_fd = fd;
                        return fd < 0 ? fd : 0;
                }
                sleep_ns(LOCK_PAUSE_NS);
        }
        return err_new(reterr, ERR_BUSY, "it is running already");
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
        return 0;
}

/* Paths below the data root are stored relative to it, so that it can be moved. */
static void make_absolute(const struct dirs *d, char **path)
{
        char *joined;

        if (!*path || **path == '/')
                return;
        joined = path_join(d->root, *path);
        free(*path);
        *path = joined;
}

/* The namespaces of a container that runs now. */
static int join_one(const struct dirs *d, struct spec *s, const char *join, struct err **reterr)
{
        static const char *const files[SPEC_NS_COUNT] = {
            [SPEC_NS_USER] = "user",     [SPEC_NS_MOUNT] = "mnt", [SPEC_NS_PID] = "pid",
            [SPEC_NS_NET] = "net",       [SPEC_NS_IPC] = "ipc",   [SPEC_NS_UTS] = "uts",
            [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",
        };
        unsigned ns = (unsigned)(join[0] - '0');
        const char *id = join[0] ? join + 2 : "";
        AUTO_FREE char *path = xasprintf("containers/%s", id);
        AUTO_CLOSE int dir = -EBADF, pidfd = -EBADF;
        struct run_record rec;

        if (ns >= SPEC_NS_COUNT || join[1] != ':' || !str_is_hex(id, 64))
                return err_new(reterr, ERR_USAGE, "'%s' names no namespace of a container", join);
        dir = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0 && run_record_read(dir, &rec, NULL) > 0)
                pidfd = process_open(&rec.process, NULL);
        if (pidfd < 0)
                return err_new(reterr, ERR_BUSY,
                               "container %.12s, whose namespaces it shares, is not running", id);
        free(s->ns[ns].path);
        s->ns[ns].path = xasprintf("/proc/%d/ns/%s", (int)rec.process.pid, files[ns]);
        return 0;
}

static int read_spec(struct run *run, struct spec **ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        struct spec *s;
        int r;

        r = json_read_file(run->dir_fd, "spec.json", SPEC_MAX, &doc, reterr);
        if (r >= 0)
                r = spec_from_json(doc, "spec.json", ret, reterr);
        if (r < 0)
                return r;
        s = *ret;
        make_absolute(run->d, &s->upper);
        make_absolute(run->d, &s->work);
        make_absolute(run->d, &s->root_path);
        for (size_t i = 0; i < run->a->joins.n; i++) {
                r = join_one(run->d, s, run->a->joins.v[i], reterr);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n_mounts; i++) {
                if (s->mounts[i].file)
                        make_absolute(run->d, &s->mounts[i].source);
        }
        if (run->a->rows && run->a->cols) {
                s->process.rows = run->a->rows;
                s->process.cols = run->a->cols;
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
        static const char *const names[] = {"upper", "work", "hosts", "resolv.conf", "hostname"};
        uint32_t uid = id_map_to_outside(&s->uid_map, 0), gid = id_map_to_outside(&s->gid_map, 0);

        if (s->uid_map.n == 0 || uid == ID_NONE || gid == ID_NONE || (uid == 0 && gid == 0))
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (fchownat(run->dir_fd, names[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno != ENOENT)
                        return err_sys(reterr, errno, "give '%s' to the container's root",
                                       names[i]);
        }
        return 0;
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
        FAULT_POINT("monitor-launch");
        /* The container's descendants that share the host's processes become ours when their parents die. */
        if (!run->own_pids && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return err_sys(reterr, errno, "adopt the container's orphans");
        return launch_start(plan, &io, &run->p, reterr);
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
        struct run_record rec = {.started_ns = run->started_ns};
        char path[40];
        struct stat st;
        int r;

        r = process_identify(run->p.pid, &rec.process, reterr);
        if (r >= 0)
                r = process_identify(getpid(), &rec.monitor, reterr);
        if (r < 0)
                return r;
        if (!run->own_pids) {
                (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)run->p.pid);
                if (stat(path, &st) == 0)
                        rec.mount_ns = st.st_ino;
        }
        return run_record_write(run->dir_fd, &rec, reterr);
}

/* The name may be longer than a socket address: it is bound through the directory's descriptor. */
static int listen_for_clients(struct run *run, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        struct sockaddr_un addr = {.sun_family = AF_UNIX};
        char dir[FD_PATH_MAX], name[80];

        (void)snprintf(name, sizeof(name), "%s.sock", run->a->id);
        (void)unlinkat(run->d->runtime_fd, name, 0);
        (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s",
                       fd_path(run->d->runtime_fd, dir), name);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
                return err_sys(reterr, errno, "listen on '%s'", name);
        return session_listen_take(run->session, TAKE_FD(fd), reterr);
}

/* ---- while it runs ---- */

static int on_kill_timer(struct loop *l, void *arg)
{
        struct run *run = arg;

        (void)sys_pidfd_send_signal(run->p.pidfd, SIGKILL);
        return 0;
}

static void kill_after(struct run *run, uint64_t seconds)
{
        if (run->kill_timer)
                (void)loop_timer_set(run->kill_timer, seconds * NS_PER_S + 1);
        else
                (void)loop_add_timer(run->loop, seconds * NS_PER_S + 1, on_kill_timer, run,
                                     &run->kill_timer, NULL);
}

static void finish(struct run *run, int status);

static void reap(struct run *run)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == run->p.helper) {
                        run->p.helper = 0;
                        run->p.helper_pidfd = fd_close(run->p.helper_pidfd);
                } else if (pid == run->p.pid) {
                        finish(run, status);
                        return;
                }
        }
}

static int on_signal(struct loop *l, const struct signalfd_siginfo *si, void *arg)
{
        struct run *run = arg;

        if (si->ssi_signo == SIGCHLD) {
                reap(run);
        } else if (si->ssi_signo == SIGTERM) {
                /* Somebody ends the user's processes: the container gets the same notice as from "stop". */
                (void)sys_pidfd_send_signal(run->p.pidfd, run->stop_signal);
                kill_after(run, run->stop_timeout);
        }
        return 0;
}

/* ---- the end ---- */

static size_t kill_children(void)
{
        char path[64], text[4096];
        AUTO_CLOSE int fd = -EBADF;
        char *save = NULL;
        size_t n = 0;
        ssize_t len;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        len = fd < 0 ? -1 : io_read_some(fd, text, sizeof(text) - 1);
        if (len <= 0)
                return 0;
        text[len] = 0;
        for (char *p = strtok_r(text, " \n", &save); p; p = strtok_r(NULL, " \n", &save), n++)
                (void)kill((pid_t)strtol(p, NULL, 10),
                           SIGKILL); /* lint-allow: strtol: a list of the kernel's */
        return n;
}

/* Without a PID namespace the kernel does not kill the rest: what is left of the container is ours by now (subreaper). */
static void kill_leftovers(struct run *run)
{
        monitor_end_helper(&run->p);
        for (int i = 0; !run->own_pids && i < LEFTOVER_ROUNDS && kill_children() > 0; i++) {
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                sleep_ns(5000000);
        }
}

static void remove_socket(struct run *run)
{
        char name[80];

        (void)snprintf(name, sizeof(name), "%s.sock", run->a->id);
        (void)unlinkat(run->d->runtime_fd, name, 0);
}

static void record_exit(struct run *run, struct exit_record *rec)
{
        AUTO_ERR struct err *e = NULL;

        rec->finished_ns = clock_now_ns();
        FAULT_POINT("monitor-exit");
        if (run->a->rm) {
                (void)exit_record_write_lock(run->dir_fd, rec, NULL);
                (void)removal_commit(run->d, run->a->id, run->a->name, NULL);
                FAULT_POINT("monitor-removed");
                (void)removal_delete(run->d, run->a->id, NULL);
        } else if (exit_record_write(run->dir_fd, rec, true, &e) < 0) {
                /* A full disk: the state is derived without the record; the code is only known to who is waiting now. */
                (void)exit_record_write_lock(run->dir_fd, rec, NULL);
        }
        run->lock_fd = fd_close(run->lock_fd);
}

static void on_delivered(void *arg)
{
        struct run *run = arg;

        loop_stop(run->loop);
}

static void finish(struct run *run, int status)
{
        struct exit_record rec = {.started_ns = run->started_ns};

        run->kill_timer = loop_remove(run->kill_timer);
        run->p.pid = 0;
        run->code = rec.code = monitor_exit_code(status);
        kill_leftovers(run);
        session_drain(run->session);
        run->log = log_writer_free(run->log);
        remove_socket(run);
        record_exit(run, &rec);
        session_finish(run->session, run->code, on_delivered, run);
}

/* ---- putting it together ---- */

static int start(struct run *run, struct err **reterr)
{
        struct streams streams = STREAMS_NONE;
        AUTO(spec_freep) struct spec *s = NULL;
        int r;

        r = open_container(run, reterr);
        if (r >= 0)
                r = read_spec(run, &s, reterr);
        if (r >= 0)
                r = open_log(run, reterr);
        if (r >= 0)
                r = monitor_enter(run->d, reterr);
        if (r < 0)
                return r;
        run->started_ns = clock_now_ns();
        r = own_files(run, s, reterr);
        if (r >= 0)
                r = launch(run, s, &streams, reterr);
        if (r >= 0) {
                run->session = session_new(&(struct session_opts){
                    .loop = run->loop, .log = run->log, .stdin_once = run->a->stdin_once});
                r = streams_connect(&streams, run->session, &run->p, reterr);
        }
        if (r >= 0)
                r = listen_for_clients(run, reterr);
        if (r >= 0)
                r = write_pidfile(run, reterr);
        if (r >= 0)
                r = write_run_record(run, reterr);
        if (r >= 0 && passes_through(run))
                r = let_go_of_stdio(reterr);
        streams_close(&streams);
        return r;
}

/* What was started by a start that failed afterwards, and a container that exists for this run only, go. */
static void start_failed(struct run *run, const struct err *e)
{
        struct exit_record rec = {.code = err_exit_code(e), .error = xstrdup(err_message(e))};

        if (run->p.pid > 0) {
                (void)sys_pidfd_send_signal(run->p.pidfd, SIGKILL);
                (void)waitpid(run->p.pid, NULL, 0);
                kill_leftovers(run);
                remove_socket(run);
        }
        if (run->lock_fd >= 0) {
                (void)unlinkat(run->dir_fd, RECORD_RUN, 0);
                record_exit(run, &rec);
        }
        exit_record_release(&rec);
        status_error(e);
}

/* Code that only a start needs goes out of our page tables; what the loop uses comes back by itself. Segments that are ever
 * written hold relocated data and must stay. */
static int drop_segment(struct dl_phdr_info *info, size_t size, void *arg)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

        for (size_t i = 0; i < info->dlpi_phnum; i++) {
                const ElfW(Phdr) *p = &info->dlpi_phdr[i];
                uintptr_t start = info->dlpi_addr + p->p_vaddr, end = start + p->p_memsz;

                start = (start + page - 1) & ~(page - 1);
                end &= ~(page - 1);
                if (p->p_type == PT_LOAD && !(p->p_flags & PF_W) && end > start)
                        (void)madvise((void *)start, end - start, MADV_DONTNEED);
        }
        return 0;
}

/* From here on we wait, perhaps for months: what the start has used goes back to the kernel. */
static int on_idle_timer(struct loop *l, void *arg)
{
        (void)malloc_trim(0);
        (void)dl_iterate_phdr(drop_segment, NULL);
        return 0;
}

static int serve(struct run *run, struct err **reterr)
{
        struct loop_source *idle;

        if (run->timeout)
                kill_after(run, run->timeout);
        /* Not at once: a container that ends by then should not pay for it. */
        (void)loop_add_timer(run->loop, IDLE_AFTER_NS, on_idle_timer, run, &idle, NULL);
        /* If the program has ended already, SIGCHLD has been blocked since before it was started: the loop finds it. */
        return loop_run(run->loop, reterr);
}

static void run_release(struct run *run)
{
        run->session = session_free(run->session);
        run->log = log_writer_free(run->log);
        run->loop = loop_free(run->loop);
        (void)fd_close(run->p.pidfd);
        (void)fd_close(run->p.terminal);
        (void)fd_close(run->dir_fd);
        (void)fd_close(run->lock_fd);
        run->d = dirs_free(run->d);
}

int monitor_run(const struct run_args *a)
{
        struct run run = {.a = a,
                          .dir_fd = -EBADF,
                          .lock_fd = -EBADF,
                          .p = {.pidfd = -EBADF, .terminal = -EBADF, .helper_pidfd = -EBADF}};
        AUTO_ERR struct err *e = NULL;
        sigset_t set;
        int r;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        r = loop_new(&run.loop, &e);
        if (r >= 0)
                r = loop_add_signals(run.loop, &set, on_signal, &run, &e);
        if (r >= 0)
                r = start(&run, &e);
        if (r < 0) {
                start_failed(&run, e);
                run_release(&run);
                return 1;
        }
        status_started(run.p.pid);
        r = serve(&run, &e);
        if (r >= 0)
                status_exited(run.code, false);
        run_release(&run);
        return r < 0 ? 1 : 0;
}
