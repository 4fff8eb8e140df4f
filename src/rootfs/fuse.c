/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The helper is a child of the monitor, in U, with a mount namespace of its own: there, and only there, may we mount. It opens /dev/fuse, makes
 * the mount from it with the new mount interface, sends the detached mount to the monitor, and only then becomes
 * fuse-overlayfs, which libfuse lets serve a descriptor that is mounted already ("/dev/fd/N"). So there is nothing to wait for: requests that come
 * before the program is up queue in the kernel; if it fails to come up, they end with ENOTCONN.
 * The helper's view of the host is the monitor's, and its ids are those of U, in which layers are stored.
 */
#include "rootfs/fuse.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"
#include "rootfs/rootfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUSE_PROGRAM "fuse-overlayfs"
#define FUSE_FD      3 /* where the program finds its connection */

struct fuse_helper {
        const char *program, *data_root;
        char *options;
        int sock; /* ours in the helper */
        sigset_t mask;
};

struct fuse_report {
        int32_t errnum;
        char what[32];
};

static void fuse_add_dir(struct strbuf *b, const char *path)
{
        /* Its option parser takes ',' and ':' apart unless they are escaped. */
        for (; *path; path++) {
                if (strchr(",:\\", *path))
                        strbuf_add(b, "\\");
                strbuf_add_len(b, path, 1);
        }
}

/* Layers relative to the data root, where the helper runs: 500 of them fit into one argument. */
static char *fuse_options(const struct rootfs_plan *p)
{
        AUTO_STRBUF b = {0};

        strbuf_add(&b, "lowerdir=");
        for (size_t i = 0; i < p->n_layers; i++) {
                strbuf_add(&b, i > 0 ? ":" : "");
                fuse_add_dir(&b, p->layers[i]);
        }
        if (p->upper) {
                strbuf_add(&b, ",upperdir=");
                fuse_add_dir(&b, p->upper);
                strbuf_add(&b, ",workdir=");
                fuse_add_dir(&b, p->work);
        }
        return strbuf_take(&b);
}

/* ---- in the helper: no allocation, no words ---- */

static NORETURN void fuse_child_fail(int sock, const char *what, int errnum)
{
        struct fuse_report report = {.errnum = errnum};
        size_t n = strlen(what);

        memcpy(report.what, what, n < sizeof(report.what) ? n : sizeof(report.what) - 1);
        (void)fd_send(sock, &report, sizeof(report), NULL, 0);
        _exit(127);
}

static int fuse_child_mount(int connection, struct child_note *note)
{
        char path[FD_PATH_MAX];
        const char *number = strrchr(fd_path(connection, path), '/') + 1;
        const struct rootfs_param params[] = {
            {"fd", number},    {"rootmode", "40000"},         {"user_id", "0"},
            {"group_id", "0"}, {"default_permissions", NULL}, {"allow_other", NULL},
        };

        return rootfs_fs_mount("fuse", NULL, params, ARRAY_SIZE(params), 0, note);
}

static NORETURN void fuse_child(const struct fuse_helper *h, pid_t parent)
{
        static const char mountpoint[] = "/dev/fd/3";
        char *argv[] = {(char *)FUSE_PROGRAM, (char *)"-f",       (char *)"-o",
                        h->options,           (char *)mountpoint, NULL};
        struct fuse_report report = {0};
        struct child_note note = {0};
        int connection, tree;

        /* It must not outlive the monitor; re-checked, since that may have died before this line. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sys_getppid() != parent)
                _exit(127);
        if (chdir(h->data_root) < 0)
                fuse_child_fail(h->sock, "open the data root", errno);
        connection = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (connection < 0)
                fuse_child_fail(h->sock, "open /dev/fuse", errno);
        tree = fuse_child_mount(connection, &note);
        if (tree < 0)
                fuse_child_fail(h->sock, "mount", -tree);
        if (fd_send(h->sock, &report, sizeof(report), &tree, 1) < 0)
                _exit(127);
        /* The socket tells about a failing exec: it has to stay above the connection, and ends with the exec. */
        if (dup3(h->sock, FUSE_FD + 1, O_CLOEXEC) < 0 || dup3(connection, FUSE_FD, 0) < 0 ||
            sys_close_range(FUSE_FD + 2, ~0U, 0) < 0)
                _exit(127);
        (void)sigprocmask(SIG_SETMASK, &h->mask, NULL);
        (void)execve(h->program, argv, environ);
        fuse_child_fail(FUSE_FD + 1, "execute", errno);
}

/* ---- in the monitor ---- */

static char *fuse_find_program(struct err **reterr)
{
        char *path = process_find_program(FUSE_PROGRAM);

        if (path)
                return path;
        (void)err_new(reterr, ERR_UNSUPPORTED, "storage driver 'fuse-overlayfs': no such program");
        (void)err_hint(reterr, -EOPNOTSUPP, "install the package fuse-overlayfs");
        return NULL;
}

/* Two messages: the mount, then (only on failure) what hindered the exec; EOF means that it runs. */
static int fuse_receive(int sock, int *ret_mount, struct err **reterr)
{
        AUTO_CLOSE int mount_fd = -EBADF;
        struct fuse_report report;

        for (;;) {
                int fd = -EBADF;
                size_t n_fds = 1;
                ssize_t n = fd_recv(sock, &report, sizeof(report), &fd, &n_fds);

                if (n < 0)
                        return err_sys(reterr, (int)-n, "fuse-overlayfs: receive its mount");
                if (n == 0)
                        break;
                if (n_fds == 1) {
                        mount_fd = fd;
                        continue;
                }
                report.what[sizeof(report.what) - 1] = '\0';
                return err_sys(reterr,
                               n == sizeof(report) && report.errnum > 0 ? report.errnum : EPROTO,
                               "fuse-overlayfs: %s", report.what);
        }
        if (mount_fd < 0)
                return err_new(reterr, ERR_INVALID,
                               "fuse-overlayfs: ended before its mount was made");
        *ret_mount = TAKE_FD(mount_fd);
        return 0;
}

int rootfs_fuse_start(struct rootfs_plan *p, pid_t *ret_pid, int *ret_pidfd, struct err **reterr)
{
        AUTO_FREE char *program = fuse_find_program(reterr), *options = fuse_options(p);
        AUTO_CLOSE int ours = -EBADF, theirs = -EBADF, pidfd = -EBADF;
        struct fuse_helper h = {.program = program, .data_root = p->data_root, .options = options};
        pid_t pid, self = sys_getpid();
        int pair[2], r;
        sigset_t all;

        if (!program)
                return -EOPNOTSUPP;
        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        h.sock = theirs;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &h.mask);
        pid = sys_clone(CLONE_NEWNS, &pidfd, -EBADF);
        if (pid == 0)
                fuse_child(&h, self);
        (void)sigprocmask(SIG_SETMASK, &h.mask, NULL);
        if (pid < 0)
                return err_sys(reterr, -pid, "fuse-overlayfs: start it");
        theirs = fd_close(theirs);
        r = fuse_receive(ours, &p->mount_fd, reterr);
        if (r < 0) {
                (void)sys_pidfd_send_signal(pidfd, SIGKILL);
                (void)waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED);
                return r;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}
