/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause — the processes of a running container are stopped as long as somebody wants it (commit): until the other end of ATTACH is closed.
 *
 * Theory of operation. Without a cgroup there is SIGSTOP, and kill(-1) inside the container's PID namespace reaches every process of it at once: no
 * fork gets away, since the kernel holds its list of processes still meanwhile. Process 1 is left out by that and is stopped by itself. It
 * must never stay so: two processes wait for the end of the caller, and each goes on alone if the other is killed. The caller's death, by
 * kill -9 too, is an end like any other. A container that shares another PID namespace cannot be stopped without those it shares it with.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/sys.h"
#include "monitor/monitor.h"
#include "monitor/protocol.h"
#include "monitor/record.h"
#include "monitor/status.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_TEXT_MAX 65536

struct pause {
        int dir_fd, lock_fd, pidfd, twin;
};

/* Is it process 1 of a namespace? The last of its numbers says so. */
static bool owns_namespace(pid_t pid)
{
        AUTO_FREE char *text = NULL;
        char path[40];
        const char *line, *end;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        if (io_read_file(AT_FDCWD, path, STATUS_TEXT_MAX, &text, NULL, NULL) < 0)
                return false;
        line = strstr(text, "\nNSpid:");
        end = line ? strchr(line + 1, '\n') : NULL;
        return end && end - line > 2 && end[-1] == '1' && (end[-2] == '\t' || end[-2] == ' ');
}

static int wait_for(int pidfd)
{
        siginfo_t info = {0};

        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0) {
                if (errno != EINTR)
                        return -errno;
        }
        return info.si_code == CLD_EXITED ? -info.si_status : -ESRCH;
}

/* A process in between enters the namespace; its child is a member of it. Ends with an errno. */
static NORETURN void signal_from_inside(int container, int sig)
{
        int pidfd = -EBADF, r = sys_setns(container, CLONE_NEWPID);
        pid_t pid = r < 0 ? r : sys_clone(0, &pidfd, -EBADF);

        if (pid == 0) {
                /* Nobody else there: that is what was asked for. */
                r = kill(-1, sig) < 0 && errno != ESRCH ? errno : 0;
                _exit(r);
        }
        _exit(pid < 0 ? -pid : -wait_for(pidfd));
}

static int signal_all(const struct pause *p, int sig)
{
        AUTO_CLOSE int pidfd = -EBADF;
        pid_t pid;
        int r;

        /* What goes in there is not for the container to look into. */
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        pid = sys_clone(0, &pidfd, -EBADF);
        if (pid == 0)
                signal_from_inside(p->pidfd, sig);
        if (pid < 0)
                return pid;
        r = wait_for(pidfd);
        return r < 0 ? r : sys_pidfd_send_signal(p->pidfd, sig);
}

/* Until the caller has gone, or the twin; then everything goes on. */
static void hold(const struct pause *p)
{
        struct pollfd fds[] = {{.fd = MONITOR_FD_ATTACH, .events = POLLIN},
                               {.fd = p->twin, .events = POLLIN}};

        while (poll(fds, p->twin >= 0 ? 2 : 1, -1) < 0 && errno == EINTR)
                ;
        (void)signal_all(p, SIGCONT);
}

static int open_container(struct pause *p, const struct dirs *d, const char *id,
                          struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("containers/%s", id);
        struct run_record rec;

        p->dir_fd = openat(d->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (p->dir_fd < 0)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", id);
        /* One at a time: the first to end would let the processes of all go on. */
        p->lock_fd = lock_acquire(p->dir_fd, ".", true, reterr);
        if (p->lock_fd < 0)
                return p->lock_fd;
        if (run_record_read(p->dir_fd, &rec, NULL) > 0)
                p->pidfd = process_open(&rec.process, NULL);
        if (p->pidfd < 0)
                return err_new(reterr, ERR_BUSY, "it is not running");
        if (!owns_namespace(rec.process.pid))
                return err_new(reterr, ERR_UNSUPPORTED,
                               "it has no PID namespace of its own, so others would be stopped");
        return 0;
}

static int stop_all(struct pause *p, struct err **reterr)
{
        pid_t pid = sys_clone(0, &p->twin, -EBADF);
        int r;

        if (pid == 0) {
                (void)sys_close(MONITOR_FD_STATUS);
                p->twin = -EBADF;
                hold(p);
                _exit(0);
        }
        if (pid < 0)
                return err_sys(reterr, -pid, "stop its processes");
        r = signal_all(p, SIGSTOP);
        if (r == 0)
                return 0;
        (void)signal_all(p, SIGCONT);
        return err_sys(reterr, -r, "stop its processes");
}

int monitor_pause(const char *root, const char *id)
{
        struct pause p = {-EBADF, -EBADF, -EBADF, -EBADF};
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = dirs_open(root, &d, &e);

        if (r >= 0)
                r = open_container(&p, d, id, &e);
        if (r >= 0)
                r = monitor_enter(d, &e);
        if (r >= 0)
                r = stop_all(&p, &e);
        if (r < 0) {
                status_error(e);
                return 1;
        }
        status_started(getpid(), NULL);
        hold(&p);
        status_exited(0, false);
        return 0;
}
