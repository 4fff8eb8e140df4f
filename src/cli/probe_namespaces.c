/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: namespaces, ids and mounts. */
#include "cli/probe_internal.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/sys.h"
#include "cli/verb.h"
#include "idmap/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_MAX 96

/* ---- why a user namespace is refused -------------------------------------------------------------- */

/* The switches that distributions put before unprivileged user namespaces, and the value that closes them. */
static const struct {
        const char *path;
        char closed;
        const char *cause, *remedy;
} switches[] = {
    {"/proc/sys/kernel/unprivileged_userns_clone", '0', "kernel.unprivileged_userns_clone is 0",
     "as root: sysctl -w kernel.unprivileged_userns_clone=1, and the same line in "
     "/etc/sysctl.d/90-kelp.conf"},
    {"/proc/sys/user/max_user_namespaces", '0', "user.max_user_namespaces is 0",
     "as root: sysctl -w user.max_user_namespaces=15000, and the same line in "
     "/etc/sysctl.d/90-kelp.conf"},
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1',
     "AppArmor restricts unprivileged user namespaces",
     "as root: an AppArmor profile for kelp that allows userns, or sysctl -w "
     "kernel.apparmor_restrict_unprivileged_userns=0"},
};

static char first_char(const char *path)
{
        AUTO_FREE char *text = NULL;
        size_t n;

        return io_read_file(AT_FDCWD, path, 64, &text, &n, NULL) >= 0 && n > 0 &&
                       !(n > 1 && text[1] != '\n')
                   ? *text
                   : '?';
}

static void explain_refusal(struct probe_result *ret, const char *step, int r)
{
        for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
                if (first_char(switches[i].path) == switches[i].closed) {
                        probe_fail(ret, PROBE_MISSING, switches[i].cause, switches[i].remedy);
                        return;
                }
        }
        if (r == -ENOSPC)
                probe_fail(ret, PROBE_MISSING,
                           "the limit of user namespaces, or of their nesting, is reached",
                           "as root: raise user.max_user_namespaces in /etc/sysctl.d/90-kelp.conf");
        else if (r == -EINVAL)
                probe_fail(ret, PROBE_MISSING, "the kernel is built without user namespaces",
                           "a kernel with CONFIG_USER_NS=y");
        else
                probe_fail_step(ret, PROBE_MISSING, step, r,
                                "an outer container or security module forbids it: allow unshare "
                                "and mount in its seccomp profile "
                                "(podman, docker: --security-opt seccomp=unconfined), or ask its "
                                "administrator");
}

/* ---- children ------------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = io_write_full(fd, text, strlen(text));
        (void)sys_close(fd);
        return r;
}

/* A user namespace of one id, plus @flags; afterwards we are root in it. */
static int enter_namespaces(int flags, const char **step)
{
        unsigned uid = geteuid(), gid = getegid();
        char map[64];
        int r;

        *step = "unshare(CLONE_NEWUSER)";
        r = sys_unshare(CLONE_NEWUSER);
        if (r < 0)
                return r;
        *step = "write /proc/self/uid_map";
        snprintf(map, sizeof(map), "0 %u 1", uid);
        r = write_file("/proc/self/uid_map", map);
        if (r >= 0) {
                *step = "write /proc/self/setgroups";
                r = write_file("/proc/self/setgroups", "deny");
        }
        if (r >= 0) {
                *step = "write /proc/self/gid_map";
                snprintf(map, sizeof(map), "0 %u 1", gid);
                r = write_file("/proc/self/gid_map", map);
        }
        if (r < 0 || !flags)
                return r;
        *step = "unshare further namespaces";
        return sys_unshare(flags);
}

static int child_userns(const char **step)
{
        return enter_namespaces(0, step);
}

static int child_namespaces(const char **step)
{
        static const struct {
                int flag;
                const char *step;
        } each[] = {
            {CLONE_NEWNS, "unshare(CLONE_NEWNS)"},   {CLONE_NEWPID, "unshare(CLONE_NEWPID)"},
            {CLONE_NEWNET, "unshare(CLONE_NEWNET)"}, {CLONE_NEWIPC, "unshare(CLONE_NEWIPC)"},
            {CLONE_NEWUTS, "unshare(CLONE_NEWUTS)"}, {CLONE_NEWCGROUP, "unshare(CLONE_NEWCGROUP)"},
        };
        int r = enter_namespaces(0, step);

        for (size_t i = 0; i < ARRAY_SIZE(each) && r >= 0; i++) {
                *step = each[i].step;
                r = sys_unshare(each[i].flag);
        }
        return r;
}

/* Makes a detached mount of @type as Kelp does; it is gone with the descriptor. */
static int try_mount(const char *type, const char **step, const char *create_step)
{
        int fs, r;

        *step = "fsopen";
        fs = sys_fsopen(type);
        if (fs < 0)
                return fs;
        *step = create_step;
        r = sys_fsconfig_create(fs);
        if (r < 0)
                return r;
        r = sys_fsmount(fs, 0);
        return r < 0 ? r : 0;
}

static int child_mount(const char **step)
{
        int r = enter_namespaces(CLONE_NEWNS, step);

        return r < 0 ? r : try_mount("tmpfs", step, "mount a tmpfs");
}

/* /proc belongs to a process id namespace: it can be mounted only by a process inside. */
static int child_proc(const char **step)
{
        int r = enter_namespaces(CLONE_NEWNS | CLONE_NEWPID, step);
        int status;
        pid_t pid;

        if (r < 0)
                return r;
        *step = "mount a new /proc";
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                r = try_mount("proc", step, "mount a new /proc");
                _exit(r < 0 ? -r & 0xff : 0);
        }
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* ---- probes --------------------------------------------------------------------------------------- */

void probe_user_namespace(struct cli *cli, struct probe_result *ret)
{
        char step[STEP_MAX];
        int r = probe_in_child(child_userns, step, sizeof(step));

        if (r < 0)
                explain_refusal(ret, step, r);
        else
                probe_ok(ret, probe_is_initial_userns()
                                  ? NULL
                                  : "nested: already inside a user namespace");
}

void probe_namespaces(struct cli *cli, struct probe_result *ret)
{
        char step[STEP_MAX];
        int r = probe_in_child(child_namespaces, step, sizeof(step));

        if (r < 0)
                probe_fail_step(ret, PROBE_MISSING, step, r,
                                "see the files /proc/sys/user/max_*_namespaces; an outer container "
                                "must allow unshare");
        else
                probe_ok(ret, "mount, pid, network, ipc, uts, cgroup");
}

void probe_mount(struct cli *cli, struct probe_result *ret)
{
        char step[STEP_MAX];
        int r = probe_in_child(child_mount, step, sizeof(step));

        if (r == -ENOSYS)
                probe_fail(ret, PROBE_MISSING,
                           "fsopen is not there: the kernel is older than 5.2, or an outer "
                           "container hides it",
                           "a kernel of 5.13 or newer, or a seccomp profile of the outer container "
                           "that allows fsopen and fsmount");
        else if (r < 0)
                probe_fail_step(
                    ret, PROBE_MISSING, step, r,
                    "an outer container or security module must allow mounts in user namespaces");
        else
                probe_ok(ret, NULL);
}

void probe_proc(struct cli *cli, struct probe_result *ret)
{
        char step[STEP_MAX];
        int r = probe_in_child(child_proc, step, sizeof(step));

        if (r == -EPERM)
                probe_fail(
                    ret, PROBE_MISSING,
                    "the outer container hides parts of its /proc, so the kernel refuses a new one",
                    "start the outer container with --security-opt unmask=ALL (podman), "
                    "systempaths=unconfined (docker), "
                    "or procMount: Unmasked (Kubernetes)");
        else if (r < 0)
                probe_fail_step(ret, PROBE_MISSING, step, r,
                                "an outer container or security module must allow a new /proc");
        else
                probe_ok(ret, NULL);
}

void probe_ids(struct cli *cli, struct probe_result *ret)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        AUTO_ERR struct err *err = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, &err);

        if (r >= 0)
                r = idmap_userns_open(d, &u, &err);
        if (r < 0) {
                const char *hint = err_hint_text(err);

                probe_fail(ret, PROBE_MISSING, err_message(err),
                           hint ? hint : "see the probe 'user-namespace'");
                return;
        }
        ret->detail = xasprintf("tier %s: %llu user ids, %llu group ids", idmap_tier_name(u->tier),
                                (unsigned long long)id_map_total(&u->uid),
                                (unsigned long long)id_map_total(&u->gid));
        if (u->tier == IDMAP_TIER_FULL)
                return;
        probe_fail(ret, PROBE_DEGRADED, u->why ? u->why : "fewer than 65536 ids",
                   u->remedy ? u->remedy : "see docs/userns.md");
}
