/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sys.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * syscall(2) is the one libc function used here: it does nothing but trap and set errno. The named wrappers of libc may
 * do more (setresuid broadcasts to threads, clone runs fork handlers, close is a cancellation point), and more is what a
 * child between clone and exec cannot afford.
 */
static inline long sys_result(long r)
{
        return r < 0 ? -errno : r;
}

int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
        struct open_how how = {
            .flags = flags | O_CLOEXEC,
            .mode = mode,
            .resolve = resolve,
        };

        return (int)sys_result(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
        return (int)sys_result(syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
        return (int)sys_result(syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags));
}

int sys_fsopen(const char *fsname)
{
        return (int)sys_result(syscall(SYS_fsopen, fsname, FSOPEN_CLOEXEC));
}

int sys_fsconfig_flag(int fsfd, const char *key)
{
        return (int)sys_result(syscall(SYS_fsconfig, fsfd, FSCONFIG_SET_FLAG, key, NULL, 0));
}

int sys_fsconfig_string(int fsfd, const char *key, const char *value)
{
        return (int)sys_result(syscall(SYS_fsconfig, fsfd, FSCONFIG_SET_STRING, key, value, 0));
}

int sys_fsconfig_fd(int fsfd, const char *key, int fd)
{
        return (int)sys_result(syscall(SYS_fsconfig, fsfd, FSCONFIG_SET_FD, key, NULL, fd));
}

int sys_fsconfig_create(int fsfd)
{
        return (int)sys_result(syscall(SYS_fsconfig, fsfd, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}

int sys_fspick(int fd)
{
        return (int)sys_result(
            syscall(SYS_fspick, fd, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC | FSPICK_NO_AUTOMOUNT));
}

int sys_fsconfig_reconfigure(int fsfd)
{
        return (int)sys_result(
            syscall(SYS_fsconfig, fsfd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0));
}

int sys_fsmount(int fsfd, unsigned mount_attrs)
{
        return (int)sys_result(syscall(SYS_fsmount, fsfd, FSMOUNT_CLOEXEC, mount_attrs));
}

int sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clr,
                      uint64_t propagation)
{
        struct mount_attr attr = {
            .attr_set = set,
            .attr_clr = clr,
            .propagation = propagation,
        };

        return (int)sys_result(syscall(SYS_mount_setattr, dirfd, path, flags, &attr, sizeof(attr)));
}

int sys_mount_idmap(int tree, unsigned flags, int userns)
{
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};

        return (int)sys_result(
            syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)));
}

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
              const void *data)
{
        return (int)sys_result(syscall(SYS_mount, source, target, type, flags, data));
}

int sys_umount(const char *target, int flags)
{
        return (int)sys_result(syscall(SYS_umount2, target, flags));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
        return (int)sys_result(syscall(SYS_pivot_root, new_root, put_old));
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
        return (int)sys_result(syscall(SYS_pidfd_open, pid, flags));
}

int sys_pidfd_send_signal(int pidfd, int sig)
{
        return (int)sys_result(syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0));
}

int sys_pidfd_getfd(int pidfd, int fd)
{
        return (int)sys_result(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
        return (int)sys_result(syscall(SYS_close_range, first, last, flags));
}

int sys_setns(int fd, int nstype)
{
        return (int)sys_result(syscall(SYS_setns, fd, nstype));
}

int sys_unshare(int flags)
{
        return (int)sys_result(syscall(SYS_unshare, flags));
}

/* The low byte of clone's flags is the exit signal and there are only 32 of them: what does not fit has no fallback. */
static pid_t sys_clone_legacy(uint64_t flags, int *ret_pidfd)
{
        if ((flags & CSIGNAL) || flags > UINT32_MAX)
                return -ENOSYS;
#if defined(__s390x__) || defined(__CRIS__)
        return (pid_t)sys_result(
            syscall(SYS_clone, NULL, (unsigned long)flags | SIGCHLD, ret_pidfd, NULL, 0));
#else
        return (pid_t)sys_result(
            syscall(SYS_clone, (unsigned long)flags | SIGCHLD, NULL, ret_pidfd, NULL, 0));
#endif
}

pid_t sys_clone(uint64_t flags, int *ret_pidfd, int cgroup_fd)
{
        struct clone_args args = {
            .flags =
                flags | (ret_pidfd ? CLONE_PIDFD : 0) | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
            .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
            /* A sibling (CLONE_PARENT) inherits the caller\'s exit signal; clone3 refuses to be told another. */
            .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
            .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
        };
        long r;

        r = sys_result(syscall(SYS_clone3, &args, sizeof(args)));
        /* Outer containers commonly hide clone3, because a filter cannot look through the pointer at its flags. */
        if (r == -ENOSYS && cgroup_fd < 0)
                return sys_clone_legacy(args.flags, ret_pidfd);
        return (pid_t)r;
}

int sys_seccomp_load(const void *sock_fprog, unsigned flags)
{
        /* 1: SECCOMP_SET_MODE_FILTER; linux/seccomp.h clashes with libseccomp's header for those who include both. */
        return (int)sys_result(syscall(SYS_seccomp, 1, flags, sock_fprog));
}

int sys_setresuid(uid_t r, uid_t e, uid_t s)
{
        return (int)sys_result(syscall(SYS_setresuid, r, e, s));
}

int sys_setresgid(gid_t r, gid_t e, gid_t s)
{
        return (int)sys_result(syscall(SYS_setresgid, r, e, s));
}

int sys_setgroups(size_t n, const gid_t *groups)
{
        return (int)sys_result(syscall(SYS_setgroups, n, groups));
}

int sys_close(int fd)
{
        return (int)sys_result(syscall(SYS_close, fd));
}

ssize_t sys_read(int fd, void *buf, size_t n)
{
        ssize_t r;

        do
                r = sys_result(syscall(SYS_read, fd, buf, n));
        while (r == -EINTR);
        return r;
}

ssize_t sys_write(int fd, const void *buf, size_t n)
{
        ssize_t r;

        do
                r = sys_result(syscall(SYS_write, fd, buf, n));
        while (r == -EINTR);
        return r;
}

pid_t sys_getpid(void)
{
        return (pid_t)syscall(SYS_getpid);
}

pid_t sys_getppid(void)
{
        return (pid_t)syscall(SYS_getppid);
}

/*
 * The kernel queues messages of the form "e overlay: No changes allowed in …", one per read(2), oldest first, ENODATA
 * at the end. The latest is the one that explains the failure. The level letter and blank are cut off.
 */
void sys_fs_message(int fsfd, char *buf, size_t size)
{
        char line[256];
        size_t i;

        if (size == 0)
                return;
        buf[0] = '\0';
        for (;;) {
                ssize_t n = sys_read(fsfd, line, sizeof(line));
                ssize_t skip = n > 2 && line[1] == ' ' ? 2 : 0;

                if (n <= 0)
                        return;
                for (i = 0; i + 1 < size && skip < n && line[skip] != '\n'; i++)
                        buf[i] = line[skip++];
                buf[i] = '\0';
        }
}
