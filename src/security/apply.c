/* SPDX-License-Identifier: Apache-2.0 */
#include "security/apply.h"

#include "base/sys.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int apply_capget(struct __user_cap_data_struct data[2])
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

        return syscall(SYS_capget, &head, data) < 0 ? -errno : 0;
}

static int apply_capset(const struct __user_cap_data_struct data[2])
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};

        return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int apply_bounding(uint64_t keep, uint64_t known)
{
        for (uint64_t drop = known & ~keep; drop; drop &= drop - 1) {
                if (prctl(PR_CAPBSET_DROP, __builtin_ctzll(drop), 0, 0, 0) < 0)
                        return -errno;
        }
        return 0;
}

int apply_keep_caps(void)
{
        return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int apply_raise_effective(void)
{
        struct __user_cap_data_struct data[2];
        int r = apply_capget(data);

        if (r < 0)
                return r;
        data[0].effective = data[0].permitted;
        data[1].effective = data[1].permitted;
        return apply_capset(data);
}

static int apply_ambient(uint64_t ambient)
{
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        for (; ambient; ambient &= ambient - 1) {
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, __builtin_ctzll(ambient), 0, 0) < 0)
                        return -errno;
        }
        return 0;
}

int apply_caps(const struct apply_caps *caps)
{
        struct __user_cap_data_struct data[2];
        uint64_t have, permitted, effective, inheritable;
        int r = apply_capget(data);

        if (r < 0)
                return r;
        have = data[0].permitted | (uint64_t)data[1].permitted << 32;
        permitted = caps->permitted & have;
        effective = caps->effective & permitted;
        inheritable = caps->inheritable & have;
        data[0].permitted = (uint32_t)permitted;
        data[1].permitted = (uint32_t)(permitted >> 32);
        data[0].effective = (uint32_t)effective;
        data[1].effective = (uint32_t)(effective >> 32);
        data[0].inheritable = (uint32_t)inheritable;
        data[1].inheritable = (uint32_t)(inheritable >> 32);
        r = apply_capset(data);
        if (r < 0)
                return r;
        return apply_ambient(caps->ambient & permitted & inheritable);
}

int apply_no_new_privs(void)
{
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int apply_seccomp(const struct sock_filter *filter, size_t n, unsigned flags)
{
        struct sock_fprog prog = {
            .len = (unsigned short)n,
            .filter = (struct sock_filter *)filter,
        };

        return sys_seccomp_load(&prog, flags);
}

int apply_rlimits(const struct apply_rlimit *limits, size_t n, int *ret_failed)
{
        for (size_t i = 0; i < n; i++) {
                /* The kernel's own layout: glibc's struct rlimit is the same on 64-bit and narrower on 32-bit systems. */
                const uint64_t pair[2] = {limits[i].soft, limits[i].hard};

                if (syscall(SYS_prlimit64, 0, limits[i].resource, pair, NULL) < 0) {
                        *ret_failed = limits[i].resource;
                        return -errno;
                }
        }
        return 0;
}

int apply_new_keyring(void)
{
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) < 0)
                return errno == ENOSYS ? 0 : -errno;
        return 0;
}
