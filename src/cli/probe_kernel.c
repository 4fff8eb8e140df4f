/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: single system calls and devices. */
#include "cli/probe_internal.h"

#include "base/fd.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STEP_MAX 96
#define OLD_KERNEL                                                                                 \
        "a kernel of 5.13 or newer; inside another container, a seccomp profile that allows the "  \
        "call"

static int child_seccomp(const char **step)
{
        struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        const struct sock_fprog program = {.len = ARRAY_SIZE(allow), .filter = allow};

        *step = "prctl(PR_SET_NO_NEW_PRIVS)";
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        *step = "load a filter";
        return sys_seccomp_load(&program, 0);
}

void probe_seccomp(struct cli *cli, struct probe_result *ret)
{
        char step[STEP_MAX];
        int r = probe_in_child(child_seccomp, step, sizeof(step));

        if (r < 0)
                probe_fail_step(ret, PROBE_MISSING, step, r,
                                "a kernel with CONFIG_SECCOMP_FILTER=y");
        else
                probe_ok(ret, NULL);
}

void probe_landlock(struct cli *cli, struct probe_result *ret)
{
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        if (abi >= 1)
                probe_ok(ret, "ABI %ld", abi);
        else if (errno == EOPNOTSUPP)
                probe_fail(ret, PROBE_DEGRADED, "Landlock is built in but disabled",
                           "add landlock to the kernel's lsm= parameter");
        else
                probe_fail(ret, PROBE_DEGRADED, "the kernel has no Landlock",
                           "a kernel of 5.13 or newer with CONFIG_SECURITY_LANDLOCK=y");
}

void probe_pidfd(struct cli *cli, struct probe_result *ret)
{
        AUTO_CLOSE int fd = sys_pidfd_open(getpid(), 0);

        if (fd < 0)
                probe_fail_step(ret, PROBE_MISSING, "pidfd_open", fd, OLD_KERNEL);
        else
                probe_ok(ret, NULL);
}

/* The size 0 is refused as invalid by a clone3 that is there, before it does anything. */
void probe_clone3(struct cli *cli, struct probe_result *ret)
{
        if (syscall(SYS_clone3, NULL, 0) < 0 && errno == EINVAL)
                probe_ok(ret, NULL);
        else
                probe_fail(ret, PROBE_DEGRADED,
                           "clone3 is hidden; clone is used instead, and limits cannot hold from "
                           "the first instruction on",
                           "a seccomp profile of the outer container that allows clone3");
}

void probe_openat2(struct cli *cli, struct probe_result *ret)
{
        AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        AUTO_CLOSE int fd = sys_openat2(root, "/..", O_PATH | O_DIRECTORY, 0,
                                        RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

        if (fd < 0)
                probe_fail_step(ret, PROBE_MISSING, "openat2", fd, OLD_KERNEL);
        else
                probe_ok(ret, NULL);
}

/* An invalid size again: a mount_setattr that is there says so. */
void probe_mount_setattr(struct cli *cli, struct probe_result *ret)
{
        if (syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) < 0 && errno != ENOSYS)
                probe_ok(ret, NULL);
        else
                probe_fail(ret, PROBE_MISSING, "mount_setattr is not there", OLD_KERNEL);
}

void probe_pty(struct cli *cli, struct probe_result *ret)
{
        AUTO_CLOSE int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        if (fd < 0)
                probe_fail_step(ret, PROBE_DEGRADED, "open /dev/ptmx", -errno,
                                "mount devpts on /dev/pts; raise kernel.pty.max");
        else
                probe_ok(ret, NULL);
}

void probe_tun(struct cli *cli, struct probe_result *ret)
{
        AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                probe_fail_step(ret, PROBE_DEGRADED, "open /dev/net/tun", -errno,
                                "as root: modprobe tun; chmod 0666 /dev/net/tun; inside another "
                                "container: --device /dev/net/tun");
        else
                probe_ok(ret, NULL);
}
