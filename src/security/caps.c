/* SPDX-License-Identifier: Apache-2.0 */
#include "security/caps.h"

#include "base/err.h"
#include "base/str.h"

#include <assert.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */
static const char *const cap_names[] = {
        [CAP_CHOWN] = "CAP_CHOWN",
        [CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
        [CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
        [CAP_FOWNER] = "CAP_FOWNER",
        [CAP_FSETID] = "CAP_FSETID",
        [CAP_KILL] = "CAP_KILL",
        [CAP_SETGID] = "CAP_SETGID",
        [CAP_SETUID] = "CAP_SETUID",
        [CAP_SETPCAP] = "CAP_SETPCAP",
        [CAP_LINUX_IMMUTABLE] = "CAP_LINUX_IMMUTABLE",
        [CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
        [CAP_NET_BROADCAST] = "CAP_NET_BROADCAST",
        [CAP_NET_ADMIN] = "CAP_NET_ADMIN",
        [CAP_NET_RAW] = "CAP_NET_RAW",
        [CAP_IPC_LOCK] = "CAP_IPC_LOCK",
        [CAP_IPC_OWNER] = "CAP_IPC_OWNER",
        [CAP_SYS_MODULE] = "CAP_SYS_MODULE",
        [CAP_SYS_RAWIO] = "CAP_SYS_RAWIO",
        [CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
        [CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
        [CAP_SYS_PACCT] = "CAP_SYS_PACCT",
        [CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
        [CAP_SYS_BOOT] = "CAP_SYS_BOOT",
        [CAP_SYS_NICE] = "CAP_SYS_NICE",
        [CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
        [CAP_SYS_TIME] = "CAP_SYS_TIME",
        [CAP_SYS_TTY_CONFIG] = "CAP_SYS_TTY_CONFIG",
        [CAP_MKNOD] = "CAP_MKNOD",
        [CAP_LEASE] = "CAP_LEASE",
        [CAP_AUDIT_WRITE] = "CAP_AUDIT_WRITE",
        [CAP_AUDIT_CONTROL] = "CAP_AUDIT_CONTROL",
        [CAP_SETFCAP] = "CAP_SETFCAP",
        [CAP_MAC_OVERRIDE] = "CAP_MAC_OVERRIDE",
        [CAP_MAC_ADMIN] = "CAP_MAC_ADMIN",
        [CAP_SYSLOG] = "CAP_SYSLOG",
        [CAP_WAKE_ALARM] = "CAP_WAKE_ALARM",
        [CAP_BLOCK_SUSPEND] = "CAP_BLOCK_SUSPEND",
        [CAP_AUDIT_READ] = "CAP_AUDIT_READ",
        [CAP_PERFMON] = "CAP_PERFMON",
        [CAP_BPF] = "CAP_BPF",
        [CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};
/* clang-format on */
static_assert(sizeof(cap_names) / sizeof(cap_names[0]) == CAPS_COUNT, "name every capability");

const char *cap_name(int cap)
{
        return cap >= 0 && cap < CAPS_COUNT ? cap_names[cap] : NULL;
}

int cap_from_name(const char *name)
{
        static const char prefix[] = "CAP_";

        if (strncasecmp(name, prefix, sizeof(prefix) - 1) == 0)
                name += sizeof(prefix) - 1;
        for (int i = 0; i < CAPS_COUNT; i++) {
                if (strcasecmp(cap_names[i] + sizeof(prefix) - 1, name) == 0)
                        return i;
        }
        return -1;
}

uint64_t caps_default(void)
{
        static const uint8_t list[] = {
            CAP_AUDIT_WRITE, CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FOWNER,     CAP_FSETID,
            CAP_KILL,        CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,     CAP_NET_BIND_SERVICE,
            CAP_SETFCAP,     CAP_SETPCAP, CAP_SETUID,       CAP_SYS_CHROOT,
        };
        uint64_t mask = 0;

        for (size_t i = 0; i < sizeof(list); i++)
                mask |= UINT64_C(1) << list[i];
        return mask;
}

uint64_t caps_known(void)
{
        int n = CAPS_COUNT;

        /* The kernel knows a contiguous range, so counting down finds its end with one call on a current kernel. */
        while (n > 0 && prctl(PR_CAPBSET_READ, n - 1) < 0)
                n--;
        return (UINT64_C(1) << n) - 1;
}

uint64_t caps_permitted(void)
{
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {0};

        if (syscall(SYS_capget, &head, data) < 0)
                return 0;
        return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static int caps_parse(const struct strv *names, uint64_t *ret, bool *ret_all, struct err **reterr)
{
        *ret = 0;
        *ret_all = false;
        for (size_t i = 0; i < names->n; i++) {
                int cap;

                if (strcasecmp(names->v[i], "ALL") == 0 ||
                    strcasecmp(names->v[i], "CAP_ALL") == 0) {
                        *ret_all = true;
                        continue;
                }
                cap = cap_from_name(names->v[i]);
                if (cap < 0)
                        return err_new(reterr, ERR_USAGE, "unknown capability '%s'", names->v[i]);
                *ret |= UINT64_C(1) << cap;
        }
        return 0;
}

int caps_adjust(uint64_t base, const struct strv *add, const struct strv *drop, uint64_t *ret,
                struct err **reterr)
{
        bool add_all, drop_all;
        uint64_t adds, drops;
        int r;

        r = caps_parse(add, &adds, &add_all, reterr);
        if (r < 0)
                return r;
        r = caps_parse(drop, &drops, &drop_all, reterr);
        if (r < 0)
                return r;
        if (adds & drops) {
                int cap = __builtin_ctzll(adds & drops);

                return err_new(reterr, ERR_USAGE,
                               "capability '%s' cannot be both added and dropped", cap_name(cap));
        }
        if (add_all)
                base = CAPS_ALL;
        if (drop_all)
                base = 0;
        *ret = (base | adds) & ~drops;
        return 0;
}
