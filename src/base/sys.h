/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * sys — thin wrappers of system calls that glibc 2.36 lacks or hides. They return -errno, never allocate, never log and
 * touch no libc state: the child may call every one of them between clone and exec.
 */
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

struct clone_args;

/* These add O_CLOEXEC, OPEN_TREE_CLOEXEC and so on. */
int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int sys_open_tree(int dirfd, const char *path, unsigned flags);
int sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);
int sys_fsopen(const char *fsname);
int sys_fsconfig_flag(int fsfd, const char *key);
int sys_fsconfig_string(int fsfd, const char *key, const char *value);
int sys_fsconfig_fd(int fsfd, const char *key, int fd);
int sys_fsconfig_create(int fsfd);
/* A context of the file system that is mounted at @fd, to be reconfigured. */
int sys_fspick(int fd);
int sys_fsconfig_reconfigure(int fsfd);
int sys_fsmount(int fsfd, unsigned mount_attrs);
int sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clr,
                      uint64_t propagation);
/* The ids of @userns between the files of @tree, a detached mount, and their owners as they are seen. */
int sys_mount_idmap(int tree, unsigned flags, int userns);
int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
              const void *data);
int sys_umount(const char *target, int flags);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_send_signal(int pidfd, int sig);
int sys_pidfd_getfd(int pidfd, int fd);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_setns(int fd, int nstype);
int sys_unshare(int flags);
/* clone3, falling back to clone where an outer profile answers ENOSYS to clone3 (no cgroup descriptor then: -ENOSYS when
 * one was asked for). In the child returns 0. */
pid_t sys_clone(uint64_t flags, int *ret_pidfd, int cgroup_fd);
int sys_seccomp_load(const void *sock_fprog, unsigned flags);
int sys_setresuid(uid_t r, uid_t e, uid_t s); /* raw: this thread only, no libc broadcast */
int sys_setresgid(gid_t r, gid_t e, gid_t s);
int sys_setgroups(size_t n, const gid_t *groups);
int sys_close(int fd);
ssize_t sys_read(int fd, void *buf, size_t n); /* retries EINTR */
ssize_t sys_write(int fd, const void *buf, size_t n);
pid_t sys_getpid(void);
pid_t sys_getppid(void);
/* Copies the kernel's latest message of a file-system context into buf ("" when none). */
void sys_fs_message(int fsfd, char *buf, size_t size);
