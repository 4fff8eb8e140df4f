/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm — /dev/shm of another container. Theory of operation
 *   A mount can only be cloned from the mount namespace one is in, and who has entered that of a container cannot come back. So a process
 *   of its own goes there, clones the mount and hands over its descriptor, which the child mounts later. It looks at names of the container's with
 *   the container's root as its own, follows no link, and holds nothing of the host's but its end of a socket.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "launch/launch_internal.h"
#include "rootfs/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHM_DIR "/dev/shm"

int launch_shm_plan(struct launch_plan *p, struct err **reterr)
{
        const struct spec *s = p->spec;
        const char *ipc = s->ns[SPEC_NS_IPC].path, *slash = ipc ? strrchr(ipc, '/') : NULL;
        AUTO_FREE char *path = NULL;
        bool wanted = false;

        for (size_t i = 0; i < s->n_mounts; i++)
                wanted = wanted || s->mounts[i].of_ipc;
        if (!wanted)
                return 0;
        if (!slash)
                return err_new(reterr, ERR_INVALID,
                               "mount '" SHM_DIR "': no IPC namespace is joined");
        /* Beside it in /proc/PID/ns. */
        path = xasprintf("%.*s/mnt", (int)(slash - ipc), ipc);
        p->shm_ns = open(path, O_RDONLY | O_CLOEXEC);
        return p->shm_ns < 0 ? err_sys(reterr, errno, "join mount namespace '%s'", path) : 0;
}

/* ---- in the process that goes there: no allocation, no words ---- */

static int enter(const struct launch_plan *p)
{
        int r = prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;

        if (r == 0 && p->n_joins > 0 && p->joins[0].nstype == CLONE_NEWUSER) {
                r = sys_setns(p->joins[0].fd, CLONE_NEWUSER);
                if (r == -EINVAL) /* the one that we are in */
                        r = 0;
        }
        return r == 0 ? sys_setns(p->shm_ns, CLONE_NEWNS) : r;
}

static int clone_shm(const struct launch_plan *p)
{
        int dir, tree, r = enter(p);

        if (r < 0)
                return r;
        dir = sys_openat2(AT_FDCWD, SHM_DIR, O_PATH | O_DIRECTORY, 0,
                          RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
        if (dir < 0)
                return dir;
        tree = sys_open_tree(dir, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
        (void)sys_close(dir);
        return tree;
}

static NORETURN void shm_child(const struct launch_plan *p, int sock)
{
        int tree = clone_shm(p);
        int32_t errnum = tree < 0 ? -tree : 0;

        (void)fd_send(sock, &errnum, sizeof(errnum), &tree, tree >= 0 ? 1 : 0);
        _exit(0);
}

/* ---- in the monitor ---- */

static int receive(int sock, int *ret_tree, struct err **reterr)
{
        int32_t errnum = 0;
        int fd = -EBADF;
        size_t n_fds = 1;
        ssize_t n = fd_recv(sock, &errnum, sizeof(errnum), &fd, &n_fds);

        if (n == sizeof(errnum) && errnum == 0 && n_fds == 1) {
                *ret_tree = fd;
                return 0;
        }
        if (n >= 0 && n_fds == 1)
                (void)fd_close(fd);
        return err_sys(reterr, n == sizeof(errnum) && errnum > 0 ? errnum : EPROTO,
                       "share '" SHM_DIR "' of the container whose IPC objects it shares");
}

int launch_shm_take(struct launch_plan *p, struct err **reterr)
{
        AUTO_CLOSE int ours = -EBADF, theirs = -EBADF, pidfd = -EBADF;
        sigset_t all, mask;
        int pair[2], r;
        pid_t pid;

        if (p->shm_ns < 0)
                return 0;
        r = fd_socketpair(SOCK_SEQPACKET, pair, reterr);
        if (r < 0)
                return r;
        ours = pair[0];
        theirs = pair[1];
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &mask);
        pid = sys_clone(0, &pidfd, -EBADF);
        if (pid == 0)
                shm_child(p, theirs);
        (void)sigprocmask(SIG_SETMASK, &mask, NULL);
        if (pid < 0)
                return err_sys(reterr, -pid, "share '" SHM_DIR "'");
        theirs = fd_close(theirs);
        r = receive(ours, &rootfs_child_plan(p->rootfs)->shm_fd, reterr);
        while (waitid(P_PIDFD, (id_t)pidfd, NULL, WEXITED) < 0 && errno == EINTR)
                ;
        return r;
}
