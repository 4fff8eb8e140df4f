/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: three layers, from the strongest promise to the widest.
 *
 * 1. no_new_privs and capabilities: chown, mknod, setfcap and the rights over files of other ids of U stay; everything that could
 *    change namespaces, mounts, networks or other processes goes. They are capabilities over U only, never over the host.
 * 2. seccomp: a list of what is refused rather than of what is allowed. The libraries' own calls (threads, memory, time) differ between
 *    versions, and a decompressor that fails on a newer libc would be traded for little: what matters is that no program can be
 *    executed, no socket made, no process seen or touched, no namespace or mount changed.
 * 3. Landlock: no file outside the given directories can be opened. Needs version 2, since the first forbids to move files between
 *    directories, which is how everything gets into the store.
 */
#include "image/confine.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH_AUDIT AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH_AUDIT AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH_AUDIT AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH_AUDIT AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define ARCH_AUDIT AUDIT_ARCH_S390X
#elif defined(__arm__)
#define ARCH_AUDIT AUDIT_ARCH_ARM
#elif defined(__i386__)
#define ARCH_AUDIT AUDIT_ARCH_I386
#else
#error "confine.c: name this architecture's AUDIT_ARCH value"
#endif

#ifdef __s390x__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

static int drop_capabilities(struct err **reterr)
{
        static const int kept[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                   CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP};
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
                data[kept[i] / 32].permitted |= 1U << (kept[i] % 32);
                data[kept[i] / 32].effective |= 1U << (kept[i] % 32);
        }
        if (syscall(SYS_capset, &header, data) < 0)
                return err_sys(reterr, errno, "drop capabilities");
        return 0;
}

static const int refused[] = {
    /* other programs and processes */
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
#ifdef SYS_fork
    SYS_fork,
#endif
#ifdef SYS_vfork
    SYS_vfork,
#endif
    /* networks */
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept4,
#ifdef SYS_accept
    SYS_accept,
#endif
    /* namespaces and mounts */
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    /* the kernel's less tested corners */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_personality,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_quotactl,
    SYS_fanotify_init,
    /* the machine */
    SYS_reboot,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_swapon,
    SYS_swapoff,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_acct,
    SYS_syslog,
    /* ids: what we are is what we stay */
    SYS_setuid,
    SYS_setgid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setgroups,
    SYS_capset,
};

#define FILTER_MAX (36 + 2 * ARRAY_SIZE(refused))

/* The lower half of an argument: a filter reads words of 32 bits. */
#define ARG_LOW(n)                                                                                 \
        (offsetof(struct seccomp_data, args) + 8 * (n) +                                           \
         (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))

static int load_filter(struct err **reterr)
{
        struct sock_filter f[FILTER_MAX];
        struct sock_fprog prog = {.filter = f};
        unsigned short n = 0;

#define LOAD(field)                                                                                \
        f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(field))
#define RETURN_IF_NOT_EQUAL(value, verdict)                                                        \
        do {                                                                                       \
                f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);     \
                f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);                   \
        } while (0)
        LOAD(offsetof(struct seccomp_data, arch));
        RETURN_IF_NOT_EQUAL(ARCH_AUDIT, SECCOMP_RET_KILL_PROCESS);
        LOAD(offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
        f[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1); /* x32 */
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
#endif
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                      (uint32_t)refused[i], 0, 1);
                f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        }
        /* abort() sends a signal to ourselves, and to nobody else. */
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 4);
        LOAD(ARG_LOW(0));
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        /* A descriptor's owner gets signals of our choice. */
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 6);
        LOAD(ARG_LOW(1));
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETOWN, 3, 0);
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETSIG, 2, 0);
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETOWN_EX, 1, 0);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        /* Limits of our own only. */
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 4);
        LOAD(ARG_LOW(0));
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        /* libc makes threads with clone3 and falls back to clone, whose flags a filter can read. */
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        LOAD(ARG_LOW(CLONE_FLAGS_ARG));
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
#undef LOAD
#undef RETURN_IF_NOT_EQUAL
        prog.len = n;
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
                return err_sys(reterr, errno, "load the system call filter");
        return 0;
}

/* Rights by the version of Landlock that brought them; headers of older kernels lack the later ones. */
#define ACCESS_READ                                                                                \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_ABI_1    ((1ULL << 13) - 1)
#define ACCESS_REFER    (1ULL << 13)
#define ACCESS_TRUNCATE (1ULL << 14)

static int restrict_files(const struct confine_dir *dirs, size_t n, struct err **reterr)
{
        struct landlock_ruleset_attr attr = {.handled_access_fs = ACCESS_ABI_1 | ACCESS_REFER};
        AUTO_CLOSE int ruleset = -EBADF;
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

#ifdef __SANITIZE_ADDRESS__
        abi = 0; /* the sanitizer's run time reads /proc/self/maps when it reports */
#endif
        if (abi < 2) {
                log_debug("Landlock is not there (%ld): files are not restricted", abi);
                return 0;
        }
        if (abi >= 3)
                attr.handled_access_fs |= ACCESS_TRUNCATE;
        ruleset =
            (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
        if (ruleset < 0)
                return err_sys(reterr, errno, "make a Landlock rule set");
        for (size_t i = 0; i < n; i++) {
                struct landlock_path_beneath_attr rule = {
                    .allowed_access =
                        dirs[i].writable ? attr.handled_access_fs : (uint64_t)ACCESS_READ,
                    .parent_fd = dirs[i].fd,
                };

                if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) <
                    0)
                        return err_sys(reterr, errno, "add a Landlock rule");
        }
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return err_sys(reterr, errno, "restrict files with Landlock");
        return 0;
}

int confine(const struct confine_dir *dirs, size_t n, struct err **reterr)
{
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return err_sys(reterr, errno, "set no_new_privs");
        r = drop_capabilities(reterr);
        if (r < 0)
                return r;
        r = restrict_files(dirs, n, reterr);
        if (r < 0)
                return r;
        return load_filter(reterr);
}
