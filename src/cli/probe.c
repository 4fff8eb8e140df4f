/* SPDX-License-Identifier: Apache-2.0 */
/* probe — the table of probes and how one runs; see probe.h. */
#include "cli/probe.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/io.h"
#include "cli/probe_internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 10
#define INITIAL_USER_NS                                                                            \
        0xEFFFFFFDU /* PROC_USER_INIT_INO: the inode number is fixed in the kernel */

const struct probe probes[] = {
    {"user-namespace", "everything: a container's ids and capabilities", true,
     probe_user_namespace},
    {"subordinate-ids", "containers with more than one user", false, probe_ids},
    {"namespaces", "separate mounts, processes, network, IPC, host name", true, probe_namespaces},
    {"mount", "the container's file systems", true, probe_mount},
    {"proc", "a /proc of the container's own processes", true, probe_proc},
    {"storage", "images without copying them", true, probe_storage},
    {"fuse", "images where the kernel's overlay is refused", false, probe_fuse},
    {"pty", "terminals (-t)", false, probe_pty},
    {"tun", "networks of containers", false, probe_tun},
    {"cgroup", "limits on memory, processor and processes", false, probe_cgroup},
    {"seccomp", "the system call filter", true, probe_seccomp},
    {"landlock", "a further layer of file access control", false, probe_landlock},
    {"pidfd", "signals that cannot hit another process", true, probe_pidfd},
    {"clone3", "starting right inside a cgroup", false, probe_clone3},
    {"openat2", "paths that cannot leave the container", true, probe_openat2},
    {"mount_setattr", "read-only and no-suid mounts", true, probe_mount_setattr},
    {"space", "images and what containers write", true, probe_space},
    {"runtime-directory", "sockets and the user's namespace", true, probe_runtime_dir},
    {"programs", "Kelp's own helpers", true, probe_programs},
    {0},
};

static const char *const state_names[] = {
    [PROBE_OK] = "ok",
    [PROBE_DEGRADED] = "degraded",
    [PROBE_MISSING] = "missing",
};
static_assert(ARRAY_SIZE(state_names) == PROBE_STATE_COUNT, "every state has a name");

const char *probe_state_name(enum probe_state s)
{
        return state_names[s];
}

void probe_result_release(struct probe_result *r)
{
        free(r->detail);
        free(r->cause);
        free(r->remedy);
        *r = (struct probe_result){0};
}

void probe_ok(struct probe_result *ret, const char *fmt, ...)
{
        va_list ap;

        ret->state = PROBE_OK;
        if (!fmt)
                return;
        va_start(ap, fmt);
        ret->detail = xvasprintf(fmt, ap);
        va_end(ap);
}

void probe_fail(struct probe_result *ret, enum probe_state state, const char *cause,
                const char *remedy)
{
        ret->state = state;
        ret->cause = xstrdup(cause);
        ret->remedy = xstrdup(remedy);
}

void probe_fail_step(struct probe_result *ret, enum probe_state state, const char *step, int r,
                     const char *remedy)
{
        AUTO_FREE char *cause =
            xasprintf("%s: %s", *step ? step : "the probe's process", strerror(-r));

        probe_fail(ret, state, cause, remedy);
}

/* ---- a child for what would stick ---------------------------------------------------------------- */

struct child_answer {
        int r;
        char step[96];
};

static void NORETURN child_main(probe_child_fn fn, int pipe_fd)
{
        struct child_answer a = {0};
        const char *step = "";

        (void)alarm(CHILD_SECONDS);
        a.r = fn(&step);
        snprintf(a.step, sizeof(a.step), "%s", step);
        (void)io_write_full(pipe_fd, &a, sizeof(a));
        _exit(0);
}

int probe_in_child(probe_child_fn fn, char *ret_step, size_t step_size)
{
        AUTO_CLOSE int reader = -EBADF, writer = -EBADF;
        struct child_answer a;
        int fds[2], r;
        pid_t pid;

        *ret_step = '\0';
        r = fd_pipe(fds, NULL);
        if (r < 0)
                return r;
        reader = fds[0];
        writer = fds[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child_main(fn, writer);
        writer = fd_close(writer);
        r = io_read_full(reader, &a, sizeof(a));
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return -ETIMEDOUT;
        a.step[sizeof(a.step) - 1] = '\0';
        snprintf(ret_step, step_size, "%s", a.step);
        return a.r;
}

bool probe_is_initial_userns(void)
{
        struct stat st;

        return stat("/proc/self/ns/user", &st) < 0 || st.st_ino == INITIAL_USER_NS;
}
