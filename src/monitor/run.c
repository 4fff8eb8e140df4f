/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run — theory of operation
 *
 *   lock → spec → U → plan → clone … program runs → run.json → "started"
 *   loop: output, clients, timers, signals
 *   pid 1 is dead → what is left is killed → drain → its policy starts it again (run_again.c), or:
 *   exit record, or (--rm) the rename that removes → lock released
 *   → wait for the first client → "exited" → (--rm: files deleted, lock released) → wait for slow clients
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
#include "base/lock.h"
#include "base/loop.h"
#include "base/sys.h"
#include "logs/logs.h"
#include "monitor/removal.h"
#include "monitor/run_internal.h"
#include "monitor/status.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_S      1000000000ULL
#define IDLE_AFTER_NS 300000000ULL

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

void run_ask_to_end(struct run *run)
{
        (void)sys_pidfd_send_signal(run->p.pidfd, run->stop_signal);
        kill_after(run, run->stop_timeout);
}

void run_stop(struct run *run)
{
        (void)fd_close(
            openat(run->dir_fd, RECORD_STOPPED, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        run_ask_to_end(run);
}

void run_end(struct run *run)
{
        run->again.over = true;
        if (run->again.waiting)
                run_ended(run);
        else if (run->p.pid > 0)
                run_ask_to_end(run);
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
                } else {
                        (void)health_reap(run->health, pid, status);
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
                run_end(run);
        } else if (si->ssi_signo == SIGUSR1) {
                run_look_again(run);
        } else if (si->ssi_signo == SIGUSR2) {
                health_check_now(run->health);
        }
        return 0;
}

/* ---- the end ---- */

/* Without a PID namespace the kernel does not kill the rest: what is left of the container is ours by now (subreaper). */
static void kill_leftovers(struct run *run)
{
        monitor_end_helper(&run->p);
        if (!run->own_pids)
                monitor_kill_children();
}

static void record_exit(struct run *run, struct exit_record *rec)
{
        AUTO_ERR struct err *e = NULL;

        if (rec->finished_ns == 0)
                rec->finished_ns = clock_now_ns();
        FAULT_POINT("monitor-exit");
        if (run->rm) {
                (void)exit_record_write_lock(run->dir_fd, rec, NULL);
                (void)removal_commit(run->d, run->a->id, run_name(run), NULL);
                FAULT_POINT("monitor-removed");
                run_end_pod(run);
                run_event(run, "destroy", NULL);
                return; /* the lock is kept: delete_removed() needs it against the sweep of tmp/ */
        }
        if (exit_record_write(run->dir_fd, rec, true, &e) < 0) {
                /* A full disk: the state is derived without the record; the code is only known to who is waiting now. */
                (void)exit_record_write_lock(run->dir_fd, rec, NULL);
        }
        run->lock_fd = fd_close(run->lock_fd);
        run_end_pod(run);
}

/*
 * The container is gone since the rename: no command finds it any more. Its files go after the client has its answer, so that
 * nobody waits for the disk; the lock says that they are being deleted, and without us they are garbage of tmp/.
 */
static void delete_removed(struct run *run)
{
        if (run->rm && run->lock_fd >= 0)
                (void)removal_delete(run->d, run->a->id, NULL);
        run->lock_fd = fd_close(run->lock_fd);
}

static void on_served(void *arg)
{
        const struct run *run = arg;

        status_exited(run->code, false);
}

static void on_delivered(void *arg)
{
        struct run *run = arg;

        run->delivered = true;
        loop_stop(run->loop);
}

void run_ended(struct run *run)
{
        run->again.waiting = false;
        run->again.last.restarting = false;
        run->again.last.restarts = run->again.restarts;
        run->code = run->again.last.code;
        run->log = log_writer_free(run->log);
        run_remove_socket(run);
        /* Whoever restarts it needs it still. Without him, killed meanwhile, the next look removes it (container/state.c). */
        run->rm = run->rm && !lock_is_held(run->dir_fd, RECORD_RESTART);
        record_exit(run, &run->again.last);
        session_finish(run->session, run->code, on_served, on_delivered, run);
        /* A client that does not read may keep us for ever, but not who waits for the lock: "wait", "stop", "rm". */
        if (!run->delivered)
                delete_removed(run);
}

static void finish(struct run *run, int status)
{
        run->kill_timer = loop_remove(run->kill_timer);
        run->p.pid = 0;
        health_ended(run->health);
        exit_record_release(&run->again.last);
        run->again.last = (struct exit_record){.code = monitor_exit_code(status),
                                               .started_ns = run->started_ns,
                                               .finished_ns = clock_now_ns()};
        kill_leftovers(run);
        run_event_die(run, run->again.last.code);
        session_drain(run->session);
        if (!run_goes_on(run))
                run_ended(run);
}

/* ---- putting it together ---- */

static const struct launched not_launched = {
    .pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF};

void run_clear(struct run *run)
{
        if (run->p.pid > 0) {
                (void)sys_pidfd_send_signal(run->p.pidfd, SIGKILL);
                (void)waitpid(run->p.pid, NULL, 0);
                kill_leftovers(run);
        }
        (void)fd_close(run->p.pidfd);
        (void)fd_close(run->p.terminal);
        (void)fd_close(run->p.keeper);
        free(run->p.warning);
        run->p = not_launched;
}

/* What was started by a start that failed afterwards, and a container that exists for this run only, go. */
static void start_failed(struct run *run, const struct err *e)
{
        struct exit_record rec = {.code = err_exit_code(e), .error = xstrdup(err_message(e))};

        run_clear(run);
        if (run->lock_fd >= 0) {
                run_remove_socket(run);
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

/* Not at once: a container that ends by then should not pay for it. */
void run_idle_soon(struct run *run)
{
        if (run->idle_timer)
                (void)loop_timer_set(run->idle_timer, IDLE_AFTER_NS);
        else
                (void)loop_add_timer(run->loop, IDLE_AFTER_NS, on_idle_timer, run, &run->idle_timer,
                                     NULL);
}

void run_started(struct run *run)
{
        run_event_volumes(run, "mount");
        run_event(run, "start", NULL);
        if (run->timeout)
                kill_after(run, run->timeout);
        run_idle_soon(run);
        health_started(run->health);
}

static void run_release(struct run *run)
{
        run->session = session_free(run->session);
        run->log = log_writer_free(run->log);
        run->notify = notify_free(run->notify);
        run->health = health_free(run->health);
        run->anchor_watch = loop_remove(run->anchor_watch);
        run->anchor = fd_close(run->anchor);
        run->loop = loop_free(run->loop);
        (void)fd_close(run->p.pidfd);
        (void)fd_close(run->p.terminal);
        (void)fd_close(run->p.keeper);
        exit_record_release(&run->again.last);
        (void)fd_close(run->dir_fd);
        (void)fd_close(run->lock_fd);
        run->d = dirs_free(run->d);
        free(run->p.warning);
        free(run->name);
        free(run->image_name);
        strv_release(&run->labels);
        strv_release(&run->volumes);
}

int monitor_run(struct run_args *a)
{
        struct run run = {.a = a,
                          .rm = a->rm,
                          .dir_fd = -EBADF,
                          .lock_fd = -EBADF,
                          .anchor = -EBADF,
                          .rows = a->rows,
                          .cols = a->cols,
                          .p = not_launched};
        AUTO_ERR struct err *e = NULL;
        sigset_t set;
        int r;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGUSR1);
        (void)sigaddset(&set, SIGUSR2);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        r = loop_new(&run.loop, &e);
        if (r >= 0)
                r = loop_add_signals(run.loop, &set, on_signal, &run, &e);
        if (r >= 0)
                r = run_start(&run, &e);
        if (r < 0) {
                start_failed(&run, e);
                delete_removed(&run);
                run_release(&run);
                return 1;
        }
        run_started(&run);
        status_started(run.p.pid, run.p.warning);
        /* If the program has ended already, SIGCHLD has been blocked since before it was started: the loop finds it. */
        r = loop_run(run.loop, &e);
        delete_removed(&run);
        run_release(&run);
        return r < 0 ? 1 : 0;
}
