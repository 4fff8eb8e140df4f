/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A hook is a stranger's program that we run and wait for: by the runtime for its own points, and by the child, between clone and exec, for the
 * container's. One way serves both, so it is the child's: raw system calls, no allocation. The state comes from a sealed file in memory, which
 * cannot block as a pipe could whose reader does not read. What a hook says on its standard error goes through a pipe, of which the last line is
 * kept for the message; the wait is for the hook's end, not for that of the pipe, which a daemon that it left behind may hold open.
 *
 * A hook leads a process group of its own, so that a time limit ends all of it.
 */
#include "base/fd.h"
#include "base/sys.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_CHUNK 512
#define DRAIN_MAX   256 /* chunks that are read behind the end: more than a pipe holds by default */

/* The last line of what was written so far; a longer one loses its end. */
struct words {
        char line[96], last[96]; /* under way; the last one that was not empty */
        size_t n;
};

struct running {
        pid_t pid;
        int pidfd;
        int words_fd; /* -EBADF: its stderr goes elsewhere */
        int exec_fd;  /* the errno of an exec that failed */
        int timer_fd; /* -EBADF: no time limit */
        bool timed_out;
        struct words words;
};

/* ---- in the hook's process ---- */

static void run_hook(const struct spec_hook_entry *h, const struct launch_hook_io *io, int words,
                     int exec_fd) __attribute__((noreturn));
static void run_hook(const struct spec_hook_entry *h, const struct launch_hook_io *io, int words,
                     int exec_fd)
{
        char *argv[] = {h->path, NULL}, *envp[] = {NULL};
        int errnum;

        child_reset_signals();
        (void)setpgid(0, 0);
        /* Ours is for files whose modes we have chosen. */
        (void)umask(0022);
        if (io->directory && chdir(io->directory) < 0) {
                /* A bundle may be gone when its container is deleted: the hook runs where we are. */
        }
        if (lseek(io->state_fd, 0, SEEK_SET) < 0 || dup3(io->state_fd, 0, 0) < 0 ||
            dup3(io->out_fd, 1, 0) < 0 || dup3(words >= 0 ? words : io->err_fd, 2, 0) < 0 ||
            sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                goto failed;
        (void)execve(h->path, h->args.n ? h->args.v : argv, h->env.n ? h->env.v : envp);
failed:
        errnum = errno;
        (void)sys_write(exec_fd, &errnum, sizeof(errnum));
        _exit(127);
}

/* ---- around it ---- */

static void take_words(struct words *w, const char *data, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (data[i] != '\n') {
                        if (w->n < sizeof(w->line) - 1)
                                w->line[w->n++] = data[i];
                        continue;
                }
                if (w->n > 0) {
                        w->line[w->n] = '\0';
                        memcpy(w->last, w->line, w->n + 1);
                }
                w->n = 0;
        }
}

/* False when there is nothing to read now, or never again. */
static bool read_words(struct running *r)
{
        char chunk[WORDS_CHUNK];
        ssize_t n = r->words_fd >= 0 ? sys_read(r->words_fd, chunk, sizeof(chunk)) : 0;

        if (n > 0) {
                take_words(&r->words, chunk, (size_t)n);
                return true;
        }
        if (n != -EAGAIN)
                r->words_fd = fd_close(r->words_fd);
        return false;
}

/* Everything that running takes; release() closes what there is of it. */
static int prepare(const struct spec_hook_entry *h, struct running *ret, int *ret_words,
                   int *ret_exec)
{
        const struct itimerspec limit = {.it_value.tv_sec = h->timeout};
        int fds[2];

        if (ret_words && pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        if (ret_words) {
                ret->words_fd = fds[0];
                *ret_words = fds[1];
                if (fcntl(ret->words_fd, F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
        }
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        ret->exec_fd = fds[0];
        *ret_exec = fds[1];
        if (!h->timeout)
                return 0;
        ret->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        if (ret->timer_fd < 0 || timerfd_settime(ret->timer_fd, 0, &limit, NULL) < 0)
                return -errno;
        return 0;
}

static void release(const struct running *r)
{
        (void)fd_close(r->words_fd);
        (void)fd_close(r->exec_fd);
        (void)fd_close(r->timer_fd);
        (void)fd_close(r->pidfd);
}

static int start_hook(const struct spec_hook_entry *h, const struct launch_hook_io *io,
                      struct running *ret)
{
        int words = -EBADF, exec_fd = -EBADF, r;

        r = prepare(h, ret, io->err_fd < 0 ? &words : NULL, &exec_fd);
        if (r == 0) {
                ret->pid = sys_clone(0, &ret->pidfd, -EBADF);
                if (ret->pid == 0)
                        run_hook(h, io, words, exec_fd);
                r = ret->pid < 0 ? (int)ret->pid : 0;
        }
        (void)fd_close(words);
        (void)fd_close(exec_fd);
        return r;
}

static void kill_hook(const struct running *r)
{
        if (kill(-r->pid, SIGKILL) < 0)
                (void)sys_pidfd_send_signal(r->pidfd, SIGKILL); /* it has not come to setpgid() */
}

static void watch_hook(struct running *r)
{
        for (;;) {
                struct pollfd p[] = {{.fd = r->pidfd, .events = POLLIN},
                                     {.fd = r->words_fd, .events = POLLIN},
                                     {.fd = r->timed_out ? -1 : r->timer_fd, .events = POLLIN}};

                if (poll(p, ARRAY_SIZE(p), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        break;
                }
                if (p[1].revents)
                        (void)read_words(r);
                if (p[0].revents)
                        break;
                if (p[2].revents) {
                        r->timed_out = true;
                        kill_hook(r);
                }
        }
        for (int i = 0; i < DRAIN_MAX && read_words(r); i++)
                ;
        take_words(&r->words, "\n", 1);
}

/* ---- how it ended ---- */

static void add(char *text, size_t size, const char *more)
{
        size_t n = strlen(text), k = strlen(more);

        if (k > size - 1 - n)
                k = size - 1 - n;
        memcpy(text + n, more, k);
        text[n + k] = '\0';
}

static void tell(const struct running *r, const siginfo_t *si, struct child_note *note)
{
        char text[sizeof(note->detail)] = "", digits[12];

        child_number(si->si_status, digits);
        add(text, sizeof(text),
            r->timed_out                ? "its time is up"
            : si->si_code == CLD_EXITED ? "exit status "
                                        : "killed by signal ");
        if (!r->timed_out)
                add(text, sizeof(text), digits);
        if (r->words.last[0]) {
                add(text, sizeof(text), ": ");
                add(text, sizeof(text), r->words.last);
        }
        child_note_detail(note, text);
}

static int end_hook(struct running *r, struct child_note *note)
{
        siginfo_t si = {0};
        int errnum = 0;

        while (waitid(P_PIDFD, (id_t)r->pidfd, &si, WEXITED) < 0) {
                if (errno != EINTR)
                        return -errno;
        }
        if (sys_read(r->exec_fd, &errnum, sizeof(errnum)) == sizeof(errnum) && errnum > 0)
                return -errnum;
        if (!r->timed_out && si.si_code == CLD_EXITED && si.si_status == 0)
                return 0;
        tell(r, &si, note);
        return -ECHILD;
}

int child_hook_run(const struct spec_hook_entry *h, const struct launch_hook_io *io,
                   struct child_note *note)
{
        struct running running = {
            .pidfd = -EBADF, .words_fd = -EBADF, .exec_fd = -EBADF, .timer_fd = -EBADF};
        int r;

        child_note_set(note, h->path);
        child_note_detail(note, "");
        r = start_hook(h, io, &running);
        if (r == 0) {
                watch_hook(&running);
                r = end_hook(&running, note);
        }
        release(&running);
        return r;
}

static int run_all(const struct child *c, enum spec_hook point, int state_fd)
{
        const struct spec_hooks *hooks = &c->plan->spec->hooks[point];
        const struct launch_hook_io io = {
            .state_fd = state_fd,
            .out_fd = c->hook_fds[HOOK_FD_OUT],
            .err_fd = c->hook_fds[HOOK_FD_ERR],
            /* Behind the pivot the bundle is out of sight. */
            .directory = point == SPEC_HOOK_CREATE_CONTAINER ? c->plan->spec->bundle : NULL,
        };
        int r = 0;

        for (size_t i = 0; i < hooks->n && r == 0; i++)
                r = child_hook_run(&hooks->v[i], &io, c->note);
        return r;
}

/* ---- the stages ---- */

/* The runtime runs its hooks while we wait, and hands out what ours are to be given. */
int child_stage_hooks_runtime(struct child *c)
{
        struct child_report report = {.what = REPORT_HOOKS, .stage = STAGE_HOOKS_RUNTIME};
        int r;

        if (!c->plan->hooks)
                return 0;
        r = sync_send(c->sync, &report, NULL, 0);
        if (r == 0)
                r = sync_recv(c->sync, &report, c->hook_fds);
        return r == 0 && report.what != REPORT_GO_ON ? -EPROTO : r;
}

int child_stage_hooks_create(struct child *c)
{
        return run_all(c, SPEC_HOOK_CREATE_CONTAINER, c->hook_fds[HOOK_FD_CREATING]);
}

int child_stage_hooks_start(struct child *c)
{
        return run_all(c, SPEC_HOOK_START_CONTAINER, c->hook_fds[HOOK_FD_CREATED]);
}
