/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The child of process_spawn() shares our memory (CLONE_VM) on a stack of its own and runs until its exec while we are
 * suspended (CLONE_VFORK): no page table is copied, and it can leave its errno where we find it. In exchange it must
 * not allocate, must not touch anything of ours but struct spawn, and must not run our signal handlers: every signal is
 * blocked across the clone, and in the child no handler is left by the time it unblocks.
 */
#include "base/process.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SPAWN_STACK ((size_t)64 * 1024)

struct spawn {
        const struct process_spawn_opts *opts;
        char *const *envp;
        int *fds; /* scratch: opts->fds, moved out of each other's way */
        size_t n_fds;
        sigset_t mask; /* the caller's */
        pid_t parent;
        int errnum;       /* the child's verdict; 0 once exec succeeded */
        const char *what; /* the step that failed */
};

/* Handlers become SIG_DFL, as exec would make them anyway; ignored signals only when asked for. */
static void spawn_reset_signals(bool ignored_too)
{
        for (int sig = 1; sig < NSIG; sig++) {
                struct sigaction sa;

                if (sigaction(sig, NULL, &sa) < 0)
                        continue; /* the two that libc keeps for itself */
                if (sa.sa_handler == SIG_DFL || (sa.sa_handler == SIG_IGN && !ignored_too))
                        continue;
                sa = (struct sigaction){.sa_handler = SIG_DFL};
                (void)sigaction(sig, &sa, NULL);
        }
}

/* Puts s->fds[i] on descriptor i. The copies made here are gone from the table with the close_range that follows. */
static int spawn_place_fds(struct spawn *s)
{
        size_t i;

        /* First out of the way: a source among the targets would be overwritten by its neighbour. */
        for (i = 0; i < s->n_fds; i++) {
                if (s->fds[i] < 0 || (size_t)s->fds[i] >= s->n_fds || (size_t)s->fds[i] == i)
                        continue;
                s->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, (int)s->n_fds);
                if (s->fds[i] < 0)
                        return -errno;
        }
        for (i = 0; i < s->n_fds; i++) {
                if (s->fds[i] == (int)i) {
                        if (fcntl((int)i, F_SETFD, 0) < 0)
                                return -errno;
                } else if (s->fds[i] >= 0) {
                        if (dup3(s->fds[i], (int)i, 0) < 0)
                                return -errno;
                } else {
                        (void)close((int)i);
                        /* The number just closed is the lowest free one, since all below it are placed. */
                        if (i <= STDERR_FILENO &&
                            open("/dev/null", O_RDWR) < 0) /* lint-allow: open */
                                return -errno;
                }
        }
        return sys_close_range((unsigned)s->n_fds, ~0U, 0);
}

static int spawn_die_with_parent(const struct spawn *s)
{
        if (s->opts->death_signal == 0)
                return 0;
        if (prctl(PR_SET_PDEATHSIG, s->opts->death_signal) < 0)
                return -errno;
        /* It may have died before the signal was ordered. (Suspended by vfork it can only have been killed.) */
        return sys_getppid() == s->parent ? 0 : -ESRCH;
}

static int spawn_child(void *arg)
{
        struct spawn *s = arg;
        sigset_t empty;
        int r;

        spawn_reset_signals(s->opts->reset_signals);
        s->what = "start a session";
        r = s->opts->new_session && setsid() < 0 ? -errno : 0;
        if (r == 0) {
                s->what = "tie to the parent";
                r = spawn_die_with_parent(s);
        }
        if (r == 0) {
                s->what = "place descriptors";
                r = spawn_place_fds(s);
        }
        if (r == 0) {
                s->what = "execute";
                (void)sigemptyset(&empty);
                (void)sigprocmask(SIG_SETMASK, s->opts->reset_signals ? &empty : &s->mask, NULL);
                (void)execve(s->opts->path, s->opts->argv, s->envp);
                r = -errno;
        }
        s->errnum = -r;
        _exit(127);
}

/* Returns the pid or -errno. *ret_pidfd is set on success. */
static pid_t spawn_clone(struct spawn *s, int *ret_pidfd)
{
        sigset_t all;
        char *stack;
        pid_t pid;

        stack = mmap(NULL, SPAWN_STACK, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED)
                return -errno;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_BLOCK, &all, &s->mask);
        pid = clone(spawn_child, stack + SPAWN_STACK,
                    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, s, ret_pidfd);
        pid = pid < 0 ? -errno : pid;
        (void)sigprocmask(SIG_SETMASK, &s->mask, NULL);
        (void)munmap(stack, SPAWN_STACK);
        return pid;
}

int process_spawn(const struct process_spawn_opts *opts, pid_t *ret_pid, int *ret_pidfd,
                  struct err **reterr)
{
        AUTO_FREE int *fds = NULL;
        AUTO_CLOSE int pidfd = -EBADF;
        struct spawn s = {
            .opts = opts,
            .envp = opts->envp ? opts->envp : environ,
            .n_fds = MAX(opts->n_fds, (size_t)3),
            .parent = sys_getpid(),
        };
        pid_t pid;

        s.fds = fds = xcalloc(s.n_fds, sizeof(*fds));
        for (size_t i = 0; i < s.n_fds; i++)
                fds[i] = i < opts->n_fds ? opts->fds[i] : -EBADF;
        pid = spawn_clone(&s, &pidfd);
        if (pid < 0)
                return err_sys(reterr, -pid, "start '%s'", opts->path);
        if (s.errnum > 0) {
                (void)process_wait(pidfd, NULL);
                return err_sys(reterr, s.errnum, "start '%s': %s", opts->path, s.what);
        }
        if (ret_pid)
                *ret_pid = pid;
        if (ret_pidfd)
                *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}
