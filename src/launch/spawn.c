/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The monitor's side of stage.h. It is single-threaded, so a plain clone copies all of it. Signals are blocked across the clone: a handler of the
 * monitor's must not run in the child. Whatever fails, the child is killed by its pidfd and waited for; its namespaces, and
 * with them its mounts, end with it.
 *
 * Where namespaces are joined there is a process in between: it enters them, makes the child as the monitor's (CLONE_PARENT), reports it,
 * and ends. The monitor itself never enters anything.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "launch/launch_internal.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_CHECK_MS 50
#define STOPS_MAX     100

struct spawn {
        struct launch_plan *plan;
        int sock;  /* our end */
        pid_t pid; /* the child */
        int pidfd;
        int between; /* pidfd of the process in between; -EBADF: none */
        int terminal, keeper;
        char *warning;    /* for the caller; NULL: none */
        int stops;        /* how often the container stopped it */
        bool want_joined; /* JOINED is what is waited for */
};

static void reap(int *pidfd)
{
        if (*pidfd < 0)
                return;
        (void)sys_pidfd_send_signal(*pidfd, SIGKILL);
        while (waitid(P_PIDFD, (id_t)*pidfd, NULL, WEXITED) < 0 && errno == EINTR)
                ;
        *pidfd = fd_close(*pidfd);
}

/* ---- words for what failed ---- */

static const struct {
        int stage, errnum; /* errnum 0: any */
        const char *hint;
} spawn_hints[] = {
    {STAGE_MOUNTS, EPERM,
     "an outer container hides parts of /proc or /sys, and the kernel then refuses new ones: run "
     "it with "
     "unmasked paths"},
    {STAGE_MOUNTS, EROFS,
     "the mount point does not exist in the image and cannot be made, since the root is read-only"},
    {STAGE_MOUNTS, ELOOP, "the image has a symbolic link where a directory must be"},
    {STAGE_MOUNTS, EXDEV, "the subpath leads out of its volume, by a symbolic link or '..'"},
    {STAGE_MOUNTS, ENOTDIR, "source and target must both be directories, or both be files"},
    {STAGE_SOURCES, EINVAL,
     "other file systems are mounted below it, and the kernel locks them together: use a recursive "
     "bind"},
    {STAGE_IDS, EINVAL, "the id is not part of the container's id map: see --userns and --uidmap"},
    {STAGE_IDS, EPERM,
     "the user namespace forbids setgroups(2), since its maker could map no more than his own "
     "group"},
    {STAGE_SOURCES, ERANGE, "a clock would be before the start of time, or beyond its end"},
    {STAGE_LIMITS, EPERM, "a hard limit cannot be raised above the caller's own"},
    {STAGE_IDS, EDQUOT, "the user's key quota is used up: see /proc/key-users"},
    {STAGE_ROOT, EPERM, "the kernel refuses overlay to users: try --storage-driver fuse-overlayfs"},
    {STAGE_JOIN, EPERM,
     "the namespace belongs to another container's user namespace, which must be joined as well"},
};

static int add_hint(int stage, int errnum, const char *detail, int r, struct err **reterr)
{
        /* The kernel, or the child, has said what it is about: "VFS: Mount too revealing" is what the hint explains. */
        if (stage == STAGE_MOUNTS && errnum == EPERM && *detail && !strstr(detail, "revealing"))
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(spawn_hints); i++) {
                if (spawn_hints[i].stage == stage && spawn_hints[i].errnum == errnum)
                        return err_hint(reterr, r, "%s", spawn_hints[i].hint);
        }
        return r;
}

/* The program itself: Docker's words and exit codes. */
static int exec_failed(const struct child_report *report, struct err **reterr)
{
        const char *name = report->note.object, *detail = report->note.detail;
        int r;

        if (report->value == ENOENT && detail[0] == '\0' && !strchr(name, '/'))
                return err_new(reterr, ERR_EXEC_MISSING,
                               "exec '%s': executable file not found in $PATH", name);
        r = err_sys(reterr, report->value, "exec '%s'%s%s", name, detail[0] ? ": " : "", detail);
        r = err_set_kind(reterr, r, report->value == ENOENT ? ERR_EXEC_MISSING : ERR_EXEC_DENIED);
        if (report->value == ENOEXEC)
                return err_hint(reterr, r,
                                "the program is for another architecture, or a script without an "
                                "interpreter line (#!)");
        if (report->value == ENOENT && detail[0])
                return err_hint(
                    reterr, r,
                    "its interpreter line or dynamic loader names a file that the image lacks");
        return r;
}

int launch_report_failed(const struct child_report *report, struct err **reterr)
{
        const char *what = stage_what((enum stage)report->stage);
        const struct child_note *n = &report->note;
        int errnum = report->value > 0 ? report->value : EPROTO, r;

        if (report->stage == STAGE_EXEC)
                return exec_failed(report, reterr);
        if (report->stage == STAGE_HOOKS_CREATE && n->object[0])
                return launch_hook_failed(SPEC_HOOK_CREATE_CONTAINER, n, errnum, reterr);
        if (report->stage == STAGE_HOOKS_START && n->object[0])
                return launch_hook_failed(SPEC_HOOK_START_CONTAINER, n, errnum, reterr);
        if (report->stage == STAGE_USER && errnum == ENOENT)
                return err_new(reterr, ERR_USAGE, "%s '%s': %s", what, n->object,
                               n->detail[0] ? n->detail : "not found");
        if (n->object[0] && n->detail[0])
                r = err_sys(reterr, errnum, "%s '%s': %s", what, n->object, n->detail);
        else if (n->object[0])
                r = err_sys(reterr, errnum, "%s '%s'", what, n->object);
        else
                r = err_sys(reterr, errnum, "%s", what);
        return add_hint(report->stage, errnum, n->detail, r, reterr);
}

/* ---- the handshake ---- */

static int clone_failed(int r, bool user_ns, struct err **reterr)
{
        r = err_sys(reterr, -r, "create the container's namespaces");
        if (r == -EPERM && !user_ns)
                return err_hint(reterr, r,
                                "only root makes them without a user namespace: add {\"type\": "
                                "\"user\"} to linux.namespaces, with id mappings");
        if (r == -EPERM)
                return err_hint(
                    reterr, r,
                    "unprivileged user namespaces are disabled on this host: see kelp doctor");
        if (r == -ENOSPC || r == -EUSERS)
                return err_hint(
                    reterr, r,
                    "a limit on namespaces is reached: see /proc/sys/user/ and user_namespaces(7)");
        if (r == -EAGAIN)
                return err_hint(reterr, r, "the limit on processes is reached: see ulimit -u");
        return r;
}

static int spawn_clone(struct spawn *s, const struct launch_io *io, int child_sock,
                       struct err **reterr)
{
        bool join = s->plan->n_joins > 0;
        sigset_t all, mask;
        int pidfd = -EBADF;
        pid_t pid;

        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &mask);
        pid = sys_clone(join ? 0 : s->plan->clone_flags, &pidfd, -EBADF);
        if (pid == 0 && join)
                child_join_main(s->plan, io, child_sock);
        if (pid == 0)
                child_main(s->plan, io, child_sock);
        (void)sigprocmask(SIG_SETMASK, &mask, NULL);
        if (pid < 0)
                return clone_failed(pid, join || (s->plan->clone_flags & CLONE_NEWUSER), reterr);
        if (join) {
                s->between = pidfd;
                return 0;
        }
        s->pid = pid;
        s->pidfd = pidfd;
        return 0;
}

/* EOF: it died without a word, as by the OOM killer. */
int launch_receive_failed(int r, struct err **reterr)
{
        if (r == -ECONNRESET)
                return err_new(reterr, ERR_INVALID,
                               "the container's first process was killed while it started");
        if (r == -EINTR)
                return err_new(reterr, ERR_BUSY,
                               "a process of the container stopped the program again and again "
                               "before it could begin");
        return err_sys(reterr, -r, "hear from the container's first process");
}

static void wait_for(int *pidfd)
{
        while (waitid(P_PIDFD, (id_t)*pidfd, NULL, WEXITED) < 0 && errno == EINTR)
                ;
        *pidfd = fd_close(*pidfd);
}

static void close_fds(int fds[SYNC_FDS])
{
        for (size_t i = 0; i < SYNC_FDS; i++)
                fds[i] = fd_close(fds[i]);
}

/* From the process in between, which ends after this message. */
static int take_joined(struct spawn *s, const struct child_report *report, int fds[SYNC_FDS])
{
        if (s->between < 0 || s->pidfd >= 0 || fds[0] < 0 || fds[1] >= 0 || report->value <= 0)
                return -EPROTO;
        s->pid = report->value;
        s->pidfd = TAKE_FD(fds[0]);
        wait_for(&s->between);
        return 0;
}

/*
 * Where the child joins the processes of a container, its root may send it any signal. What it may not is to hold us up: a child
 * that was stopped is continued, for a while. (It cannot be traced: it is undumpable until its exec.)
 */
static int wait_for_message(struct spawn *s)
{
        struct pollfd p = {.fd = s->sock, .events = POLLIN};

        if (s->plan->n_joins == 0)
                return 0; /* nobody is there yet */
        for (;;) {
                int r = poll(&p, 1, STOP_CHECK_MS);
                siginfo_t si = {0};

                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (s->pidfd < 0 || waitid(P_PIDFD, (id_t)s->pidfd, &si, WSTOPPED | WNOHANG) < 0 ||
                    si.si_pid == 0)
                        continue;
                if (++s->stops > STOPS_MAX)
                        return -EINTR;
                (void)sys_pidfd_send_signal(s->pidfd, SIGCONT);
        }
}

/*
 * The next message of the child. JOINED, which the process in between sends, may come before or after the child's first, and is taken
 * in passing. A failure is remembered until JOINED came as well: without it the child could not be waited for.
 */
static int spawn_receive(struct spawn *s, struct child_report *ret, int ret_fds[SYNC_FDS])
{
        struct child_report report;
        bool failed = false;

        for (;;) {
                int r = wait_for_message(s);

                if (r < 0) {
                        for (size_t i = 0; i < SYNC_FDS; i++)
                                ret_fds[i] = -EBADF;
                        return r;
                }
                r = sync_recv(s->sock, &report, ret_fds);
                if (r < 0)
                        return failed && r == -ECONNRESET ? 0 : r;
                if (report.what == REPORT_JOINED) {
                        r = take_joined(s, &report, ret_fds);
                        if (r < 0) {
                                close_fds(ret_fds);
                                return r;
                        }
                        if (failed || s->want_joined)
                                return 0;
                        continue;
                }
                *ret = report;
                if (report.what != REPORT_FAILED || s->between < 0)
                        return 0;
                failed = true;
        }
}

/* The child's number, before its maps can be written. */
static int spawn_joined(struct spawn *s, struct err **reterr)
{
        struct child_report report = {.what = REPORT_JOINED};
        int fds[SYNC_FDS], r;

        s->want_joined = true;
        r = spawn_receive(s, &report, fds);
        s->want_joined = false;
        close_fds(fds);
        if (r < 0)
                return launch_receive_failed(r, reterr);
        if (report.what == REPORT_FAILED)
                return launch_report_failed(&report, reterr);
        return s->pidfd >= 0 ? 0 : launch_receive_failed(-EPROTO, reterr);
}

/* In its own user namespace root's child could not lower it any more. (Where namespaces are joined, the process in between has done it.) */
static int spawn_oom_score(struct spawn *s, struct err **reterr)
{
        const struct launch_plan *p = s->plan;
        char path[40];
        int r;

        if (!p->oom_score || !p->spec->oci || p->n_joins > 0)
                return 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)s->pid);
        r = child_oom_score(path, p->oom_score);
        if (r == 0 || r == -ENOENT || r == -ESRCH) /* what it left when it ended says more */
                return 0;
        r = err_sys(reterr, -r, "process.oomScoreAdj: set it to %s", p->oom_score);
        return r == -EACCES ? err_hint(reterr, r, "only root may lower it") : r;
}

static int spawn_maps(struct spawn *s, struct err **reterr)
{
        struct child_report go = {.what = REPORT_GO_IDMAP, .stage = STAGE_IDMAP};
        int r;

        r = spawn_oom_score(s, reterr);
        if (r == 0 && s->plan->place)
                r = s->plan->place(s->pid, s->plan->place_arg, reterr);
        if (r < 0)
                return r;
        if (s->plan->write_maps) {
                const struct spec *spec = s->plan->spec;
                struct err *e = NULL;

                r = (spec->oci ? idmap_give : idmap_write)(s->pid, &spec->uid_map, &spec->gid_map,
                                                           &e);
                /* A process that has ended has no maps to write; what it left says more. */
                if (r < 0 && poll(&(struct pollfd){.fd = s->sock, .events = POLLIN}, 1, 0) == 1) {
                        (void)err_free(e);
                        return 0;
                }
                if (r < 0)
                        return err_move(reterr, r, &e);
        }
        r = sync_send(s->sock, &go, NULL, 0);
        /* A child that failed before it came to read is told apart by the report that it left. */
        return r == -EPIPE || r == -ECONNRESET ? 0 : r < 0 ? launch_receive_failed(r, reterr) : 0;
}

/* Between the child's stages: it waits for the answer. */
static int give_mounts(struct spawn *s, const struct child_report *report, struct err **reterr)
{
        struct child_report go = {.what = REPORT_GO_ON, .stage = STAGE_OWNERS};
        int r;

        if (!s->plan->give_mounts)
                return err_sys(reterr, EPROTO, "hear from the container's first process");
        r = rootfs_give_mounts(s->plan->spec, rootfs_child_plan(s->plan->rootfs)->data_root,
                               report->uid, report->gid, reterr);
        if (r < 0)
                return r;
        r = sync_send(s->sock, &go, NULL, 0);
        return r == -EPIPE || r == -ECONNRESET ? 0 : r < 0 ? launch_receive_failed(r, reterr) : 0;
}

static void take_ready(struct spawn *s, const struct child_report *report, int fds[SYNC_FDS])
{
        s->terminal = TAKE_FD(fds[0]);
        s->keeper = TAKE_FD(fds[1]);
        close_fds(fds);
        if (report->value > 0 && s->plan->rootfs && !s->warning)
                s->warning = rootfs_advise(s->plan->spec, rootfs_child_plan(s->plan->rootfs),
                                           (size_t)report->value - 1, report->uid, report->gid);
}

/* Until EOF after NEXT_IS_EXEC, or HELD. */
static int spawn_follow(struct spawn *s, struct err **reterr)
{
        const enum report_what last = s->plan->hold_fd >= 0 ? REPORT_HELD : REPORT_NEXT_IS_EXEC;
        struct child_report report;
        bool ready = false;

        for (;;) {
                int fds[SYNC_FDS], r = spawn_receive(s, &report, fds);

                if (r == -ECONNRESET && ready && s->pidfd >= 0)
                        return 0;
                if (r < 0)
                        return launch_receive_failed(r, reterr);
                if (report.what == REPORT_FAILED) {
                        close_fds(fds);
                        return launch_report_failed(&report, reterr);
                }
                if (report.what == REPORT_HOOKS && s->plan->hooks && !ready) {
                        close_fds(fds);
                        r = launch_hooks_create(s->plan->spec, s->pid, s->sock, reterr);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (report.what == REPORT_USER && !ready) {
                        close_fds(fds);
                        r = give_mounts(s, &report, reterr);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (report.what != last || ready) {
                        close_fds(fds);
                        return err_sys(reterr, EPROTO, "hear from the container's first process");
                }
                ready = true;
                take_ready(s, &report, fds);
                if (last == REPORT_HELD)
                        return s->pidfd >= 0 ? 0 : launch_receive_failed(-EPROTO, reterr);
        }
}

static int spawn_run(struct spawn *s, const struct launch_io *io, struct err **reterr)
{
        AUTO_CLOSE int theirs = -EBADF;
        int pair[2], r;

        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        s->sock = pair[0];
        theirs = pair[1];
        r = spawn_clone(s, io, theirs, reterr);
        if (r < 0)
                return r;
        theirs = fd_close(theirs);
        if (s->plan->rootfs) {
                r = s->between >= 0 ? spawn_joined(s, reterr) : 0;
                if (r == 0)
                        r = spawn_maps(s, reterr);
                if (r < 0)
                        return r;
        }
        r = spawn_follow(s, reterr);
        if (r == 0 && s->plan->process->terminal && (s->terminal < 0 || s->keeper < 0))
                return err_sys(reterr, EPROTO, "open a terminal");
        return r;
}

int launch_spawn(struct launch_plan *p, const struct launch_io *io, struct launched *ret,
                 struct err **reterr)
{
        struct spawn s = {.plan = p,
                          .sock = -EBADF,
                          .pidfd = -EBADF,
                          .between = -EBADF,
                          .terminal = -EBADF,
                          .keeper = -EBADF};
        int r;

        if (io->n_preserve > LAUNCH_PRESERVE_MAX)
                return err_new(reterr, ERR_USAGE, "more than %d descriptors to preserve",
                               LAUNCH_PRESERVE_MAX);
        s.warning = TAKE_PTR(p->warning);
        r = spawn_run(&s, io, reterr);
        (void)fd_close(s.sock);
        if (r == 0 && s.terminal >= 0)
                r = fd_set_nonblock(s.terminal, true, reterr);
        if (r < 0) {
                reap(&s.pidfd);
                reap(&s.between);
                (void)fd_close(s.terminal);
                (void)fd_close(s.keeper);
                free(s.warning);
                return r;
        }
        ret->pid = s.pid;
        ret->pidfd = s.pidfd;
        ret->terminal = s.terminal;
        ret->keeper = s.keeper;
        ret->warning = s.warning;
        return 0;
}

int launch_start(struct launch_plan *p, const struct launch_io *io, struct launched *ret,
                 struct err **reterr)
{
        int r;

        *ret = (struct launched){
            .pidfd = -EBADF, .terminal = -EBADF, .keeper = -EBADF, .helper_pidfd = -EBADF};
        r = launch_shm_take(p, reterr);
        if (r < 0)
                return r;
        r = rootfs_start_helper(p->rootfs, &ret->helper, &ret->helper_pidfd, reterr);
        if (r < 0)
                return r;
        r = launch_spawn(p, io, ret, reterr);
        if (r < 0) {
                reap(&ret->helper_pidfd);
                ret->helper = 0;
        }
        return r;
}
