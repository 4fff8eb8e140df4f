/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The keeper is a child with a mount namespace of its own. For a container that is not running it walks the launcher's own steps (open the sources,
 * mount the root, then the binds), with U in the place of the container's namespace; for a running one it enters the mount
 * namespace, which U has power over, and takes the root from there. It sends the root's descriptor and waits until our end of the socket
 * closes: mounts below the root are only connected as long as their namespace lives.
 */
#include "rootfs/tree.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "rootfs/child.h"
#include "rootfs/rootfs.h"
#include "spec/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_PATIENCE_MS 5000

/* ---- what is mounted ---- */

static bool is_bind(const struct spec_mount *m)
{
        return strv_contains(&m->options, "bind") || strv_contains(&m->options, "rbind") ||
               (m->type && strcmp(m->type, "bind") == 0);
}

/* What only a start can make, or has nothing to show now, stays away. */
static bool is_wanted(struct spec_mount *m, const void *arg)
{
        const struct rootfs_tree_opts *o = arg;

        m->create_missing = false;
        return o->mounts && is_bind(m) && m->source && m->source[0] == '/' &&
               access(m->source, F_OK) == 0;
}

/* Has it ever been started, or written to? Overlay makes this directory. */
static bool upper_is_used(const struct spec *s)
{
        AUTO_FREE char *made = s->work ? path_join(s->work, "work") : NULL;

        return made && access(made, F_OK) == 0;
}

static void prepare_spec(const struct rootfs_tree_opts *o)
{
        struct spec *s = o->spec;

        spec_keep_mounts(s, is_wanted, o);
        spec_remove_devices(s);
        s->privileged = false;
        s->volatile_upper = false;
        s->root_readonly |= !o->write; /* --read-only is for us, too */
        strv_release(&s->sysctl);
        if (o->write || s->root_kind != SPEC_ROOT_LAYERS || !s->upper)
                return;
        /* Read-only: the writable layer becomes the topmost of the others, and no work directory is needed. */
        if (upper_is_used(s))
                strv_add(&s->layers, s->upper);
        free(s->upper);
        free(s->work);
        s->upper = s->work = NULL;
}

/* ---- the keeper ---- */

struct keeper_report {
        int32_t errnum;
        struct child_note note;
};

static int mount_stopped(struct rootfs_plan *p, struct child_note *note)
{
        int r = rootfs_child_open(p, note);

        if (r == 0)
                r = rootfs_child_mount_root(p, note);
        if (r == 0)
                r = rootfs_child_mount_all(p, note);
        if (r == 0 && p->readonly) {
                child_note_set(note, "/");
                r = sys_mount_setattr(p->root_fd, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
        }
        return r < 0 ? r : p->root_fd;
}

static int enter_running(const struct rootfs_tree_opts *o, struct child_note *note)
{
        int r = sys_setns(o->pidfd, CLONE_NEWNS);

        child_note_set(note, "/");
        if (r < 0)
                return r;
        if (!o->mounts)
                return sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE);
        r = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return r < 0 ? -errno : r;
}

static NORETURN void keeper(const struct rootfs_tree_opts *o, struct rootfs_plan *p, int sock,
                            pid_t parent)
{
        struct keeper_report report = {0};
        char byte;
        int r;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(1);
        r = o->pidfd >= 0 ? enter_running(o, &report.note) : mount_stopped(p, &report.note);
        report.errnum = r < 0 ? -r : 0;
        if (fd_send(sock, &report, sizeof(report), r < 0 ? NULL : &r, r < 0 ? 0 : 1) < 0 || r < 0)
                _exit(1);
        (void)sys_close_range(0, (unsigned)sock - 1, 0);
        (void)sys_close_range((unsigned)sock + 1, ~0U, 0);
        while (sys_read(sock, &byte, 1) > 0)
                ;
        _exit(0);
}

static int receive_root(struct rootfs_tree *t, int sock, struct err **reterr)
{
        struct keeper_report report;
        int fd = -EBADF;
        size_t n_fds = 1;
        ssize_t n = fd_recv(sock, &report, sizeof(report), &fd, &n_fds);

        if (n != (ssize_t)sizeof(report))
                return err_new(reterr, ERR_REMOTE, "mount the root file system: its keeper died");
        report.note.object[sizeof(report.note.object) - 1] = '\0';
        report.note.detail[sizeof(report.note.detail) - 1] = '\0';
        if (report.errnum > 0 || n_fds != 1) {
                if (n_fds == 1)
                        (void)fd_close(fd);
                return err_sys(reterr, report.errnum > 0 ? report.errnum : EPROTO,
                               "mount the root file system: '%s'%s%s", report.note.object,
                               report.note.detail[0] ? ": " : "", report.note.detail);
        }
        t->fd = fd;
        return 0;
}

static int start_keeper(struct rootfs_tree *t, const struct rootfs_tree_opts *o,
                        struct err **reterr)
{
        struct rootfs_plan *p = t->rootfs ? rootfs_child_plan(t->rootfs) : NULL;
        AUTO_CLOSE int theirs = -EBADF;
        pid_t self = getpid();
        int pair[2], r;

        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        t->sock = pair[0];
        theirs = pair[1];
        t->keeper = sys_clone(o->pidfd >= 0 ? 0 : CLONE_NEWNS, &t->keeper_pidfd, -EBADF);
        if (t->keeper == 0) {
                (void)sys_close(t->sock);
                keeper(o, p, theirs, self);
        }
        if (t->keeper < 0)
                return err_sys(reterr, -t->keeper, "take a mount namespace");
        theirs = fd_close(theirs);
        return receive_root(t, t->sock, reterr);
}

/* ---- for the caller ---- */

int rootfs_tree_open(const struct rootfs_tree_opts *o, struct rootfs_tree **ret,
                     struct err **reterr)
{
        AUTO(rootfs_tree_freep) struct rootfs_tree *t = xnew(struct rootfs_tree);
        int r = 0;

        t->fd = t->sock = t->keeper_pidfd = t->helper_pidfd = -EBADF;
        if (o->pidfd < 0) {
                prepare_spec(o);
                r = rootfs_new(o->spec, o->data_root, &t->rootfs, reterr);
                if (r >= 0) {
                        /* The launcher's marks belong to a start. */
                        rootfs_child_plan(t->rootfs)->containerenv = NULL;
                        r = rootfs_start_helper(t->rootfs, &t->helper, &t->helper_pidfd, reterr);
                }
        }
        if (r >= 0)
                r = start_keeper(t, o, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

static void end_process(pid_t pid, int pidfd, int sig, int patience_ms)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        if (pid <= 0)
                return;
        if (sig)
                (void)sys_pidfd_send_signal(pidfd, sig);
        if (poll(&p, 1, patience_ms) <= 0)
                (void)sys_pidfd_send_signal(pidfd, SIGKILL);
        (void)waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED);
        (void)fd_close(pidfd);
}

struct rootfs_tree *rootfs_tree_free(struct rootfs_tree *t)
{
        if (!t)
                return NULL;
        (void)fd_close(t->fd);
        (void)fd_close(t->sock);
        end_process(t->keeper, t->keeper_pidfd, 0, HELPER_PATIENCE_MS);
        /* Asked, so that it writes what it still holds. */
        end_process(t->helper, t->helper_pidfd, SIGTERM, HELPER_PATIENCE_MS);
        (void)rootfs_free(t->rootfs);
        free(t);
        return NULL;
}
