/* SPDX-License-Identifier: Apache-2.0 */
/* What a process carries besides its ids: badness, clocks, scheduling, processors, labels of security modules. */
#include "base/sys.h"
#include "launch/launch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static int write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = sys_write(fd, text, strlen(text));
        (void)sys_close(fd);
        return n < 0 ? (int)n : 0;
}

/* ---- the OOM killer ---- */

static bool file_says(const char *path, const char *text)
{
        char have[16];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? fd : sys_read(fd, have, sizeof(have));

        if (fd >= 0)
                (void)sys_close(fd);
        return n > 1 && (size_t)n - 1 == strlen(text) && memcmp(have, text, (size_t)n - 1) == 0;
}

/* Only root may lower it; whoever asks for what it is already asks for nothing. */
int child_oom_score(const char *path, const char *score)
{
        int r = write_file(path, score);

        return r == -EACCES && file_says(path, score) ? 0 : r;
}

/* ---- clocks ---- */

/*
 * Offsets can be set while nobody is in the namespace, and unshare(2) puts only children there. So we make it, set it, and enter it as if it were
 * another's; where that happens, /proc/self must be ours to write: before the process becomes undumpable.
 */
int child_new_time(struct child *c)
{
        const char *offsets = c->plan->time_offsets;
        int fd, r;

        child_note_set(c->note, "a time namespace");
        r = sys_unshare(CLONE_NEWTIME);
        if (r < 0)
                return r;
        if (offsets) {
                child_note_set(c->note, "linux.timeOffsets");
                r = write_file("/proc/self/timens_offsets", offsets);
                if (r < 0)
                        return r;
        }
        child_note_set(c->note, "/proc/self/ns/time_for_children");
        fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = sys_setns(fd, CLONE_NEWTIME);
        (void)sys_close(fd);
        return r;
}

/* ---- scheduling ---- */

/* linux/sched/types.h clashes with the C library's sched.h. */
struct attr {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
};
static_assert(sizeof(struct attr) == 48, "SCHED_ATTR_SIZE_VER0");

static int set_scheduler(const struct spec_scheduler *s)
{
        const struct attr attr = {
            .size = sizeof(attr),
            .policy = (uint32_t)s->policy,
            .flags = s->flags,
            .nice = s->nice,
            .priority = (uint32_t)s->priority,
            .runtime = s->runtime,
            .deadline = s->deadline,
            .period = s->period,
        };

        return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? -errno : 0;
}

#define IO_PRIORITY_OF_PROCESS  1
#define IO_PRIORITY_CLASS_SHIFT 13

static int set_io_priority(const struct spec_io_priority *p)
{
        return syscall(SYS_ioprio_set, IO_PRIORITY_OF_PROCESS, 0,
                       p->class << IO_PRIORITY_CLASS_SHIFT | p->priority) < 0
                   ? -errno
                   : 0;
}

int child_set_cpus(struct child *c, const char *what, const struct launch_cpus *cpus)
{
        if (!cpus->set)
                return 0;
        child_note_set(c->note, what);
        return syscall(SYS_sched_setaffinity, 0, sizeof(cpus->mask), cpus->mask) < 0 ? -errno : 0;
}

int child_schedule(struct child *c)
{
        const struct spec_process *p = c->plan->process;
        int r;

        r = child_set_cpus(c, "execCPUAffinity.final", &c->plan->cpus_final);
        if (r == 0 && p->scheduler.set) {
                child_note_set(c->note, "scheduler");
                r = set_scheduler(&p->scheduler);
        }
        if (r == 0 && p->io_priority.set) {
                child_note_set(c->note, "ioPriority");
                r = set_io_priority(&p->io_priority);
        }
        return r;
}

/* ---- labels ---- */

/* By the kernel's own /proc: in a running container whatever lies there may be the container's, and would take the label for us. */
static int open_label(const char *attr)
{
        struct statfs fs;
        int proc, fd;

        proc = sys_openat2(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0,
                           RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
        if (proc < 0)
                return proc;
        if (fstatfs(proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
                fd = -ENOTSUP;
        else
                fd = sys_openat2(proc, attr, O_WRONLY, 0, RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
        (void)sys_close(proc);
        return fd;
}

/* For a container: while the host's /proc is in sight. */
int child_open_labels(struct child *c)
{
        for (size_t i = 0; i < c->plan->n_labels; i++) {
                child_note_set(c->note, c->plan->labels[i].value);
                c->label_fds[i] = open_label(c->plan->labels[i].attr);
                if (c->label_fds[i] < 0)
                        return c->label_fds[i];
        }
        return 0;
}

/* They hold from the next exec on. */
int child_set_labels(struct child *c)
{
        int r = c->plan->rootfs ? 0 : child_open_labels(c);

        for (size_t i = 0; i < c->plan->n_labels && r == 0; i++) {
                const char *value = c->plan->labels[i].value;
                ssize_t n;

                child_note_set(c->note, value);
                n = sys_write(c->label_fds[i], value, strlen(value));
                (void)sys_close(c->label_fds[i]);
                c->label_fds[i] = -EBADF;
                r = n < 0 ? (int)n : 0;
        }
        return r;
}
