/* SPDX-License-Identifier: Apache-2.0 */
/* Tries to get out, or to do what a container must not do. Each prints "ok" when it worked. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int cmd_tiocsti(int argc, char **argv)
{
        const char *text = argc > 1 ? argv[1] : "id\n";
        int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                fd = 0;
        for (; *text; text++)
                if (ioctl(fd, TIOCSTI, text) < 0)
                        return probe_verdict(-1);
        return probe_verdict(0);
}

/* setns PATH: joins a namespace given as a file. */
static int cmd_setns(int argc, char **argv)
{
        int fd = open(argv[1], O_RDONLY | O_CLOEXEC);

        return probe_verdict(fd < 0 ? -1 : setns(fd, 0));
}

/* setns-parent: joins the user namespace above through the ioctl, without needing its file. */
static int cmd_setns_parent(int argc, char **argv)
{
        int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), up;

        if (fd < 0)
                return probe_verdict(-1);
        up = ioctl(fd, _IO(0xb7, 0x2)); /* NS_GET_PARENT */
        return probe_verdict(up < 0 ? -1 : setns(up, CLONE_NEWUSER));
}

static int cmd_ptrace(int argc, char **argv)
{
        return probe_verdict(ptrace(PTRACE_SEIZE, probe_number(argv[1]), NULL, NULL));
}

/* handle PATH: opens the file system's root by a handle made up from inode 2, as escapes from chroots did. */
static int cmd_handle(int argc, char **argv)
{
        struct {
                unsigned int bytes;
                int type;
                unsigned char data[8];
        } h = {.bytes = 8, .type = 1, .data = {2}};
        int mount = open(argv[1], O_RDONLY | O_CLOEXEC);

        if (mount < 0)
                return probe_verdict(-1);
        return probe_verdict(syscall(SYS_open_by_handle_at, mount, &h, O_RDONLY));
}

static int cmd_mount(int argc, char **argv)
{
        return probe_verdict(mount(argv[1], argv[2], argv[3], 0, argc > 4 ? argv[4] : NULL));
}

static int cmd_bind(int argc, char **argv)
{
        return probe_verdict(mount(argv[1], argv[2], NULL, MS_BIND | MS_REC, NULL));
}

static int cmd_remount_rw(int argc, char **argv)
{
        return probe_verdict(mount(NULL, argv[1], NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int cmd_umount(int argc, char **argv)
{
        return probe_verdict(umount2(argv[1], MNT_DETACH));
}

static int cmd_unshare(int argc, char **argv)
{
        static const struct {
                const char *name;
                int flag;
        } kinds[] = {{"user", CLONE_NEWUSER},    {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET},
                     {"pid", CLONE_NEWPID},      {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
                     {"cgroup", CLONE_NEWCGROUP}};

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcmp(argv[1], kinds[i].name) == 0)
                        return probe_verdict(unshare(kinds[i].flag));
        return 125;
}

/* chroot-out: the classic way out of a chroot: a second chroot below a directory that is still open, then climbing. */
static int cmd_chroot_out(int argc, char **argv)
{
        struct stat st;
        int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        mkdir("/tmp", 0777);
        mkdir("/tmp/pit", 0755);
        if (fd < 0 || chroot("/tmp/pit") < 0 || fchdir(fd) < 0)
                return probe_verdict(-1);
        for (int i = 0; i < 64; i++)
                if (chdir("..") < 0)
                        return probe_verdict(-1);
        if (chroot(".") < 0)
                return probe_verdict(-1);
        return probe_verdict(stat(argc > 1 ? argv[1] : "/etc/shadow", &st));
}

static int cmd_keyring(int argc, char **argv)
{
        return probe_verdict(
            syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
}

/* Which session keyring this is. */
static int cmd_keyring_id(int argc, char **argv)
{
        long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

        if (id < 0)
                return probe_fail("keyctl");
        printf("%ld\n", id);
        (void)fflush(stdout);
        return 0;
}

static int cmd_bpf(int argc, char **argv)
{
        char attr[128] = {0};

        return probe_verdict(syscall(SYS_bpf, 0, attr, sizeof(attr)));
}

static int cmd_perf(int argc, char **argv)
{
        struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE, .size = sizeof(a)};

        return probe_verdict(syscall(SYS_perf_event_open, &a, -1, 0, -1, 0));
}

static int cmd_module(int argc, char **argv)
{
        return probe_verdict(syscall(SYS_init_module, "", 0, ""));
}

static int cmd_reboot(int argc, char **argv)
{
        return probe_verdict(reboot(RB_DISABLE_CAD));
}

static int cmd_kexec(int argc, char **argv)
{
        return probe_verdict(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

static int cmd_settime(int argc, char **argv)
{
        struct {
                long sec, nsec;
        } t = {1, 0};

        return probe_verdict(syscall(SYS_clock_settime, 0, &t));
}

static int cmd_userfaultfd(int argc, char **argv)
{
        return probe_verdict(syscall(SYS_userfaultfd, 0));
}

static int cmd_personality(int argc, char **argv)
{
        return probe_verdict(personality((unsigned long)strtoul(argv[1], NULL, 16)));
}

static int cmd_sethostname(int argc, char **argv)
{
        return probe_verdict(sethostname(argv[1], strlen(argv[1])));
}

const struct command attack_commands[] = {
    {"tiocsti", cmd_tiocsti, 0, "[TEXT]"},
    {"setns", cmd_setns, 1, "PATH"},
    {"setns-parent", cmd_setns_parent, 0, ""},
    {"ptrace", cmd_ptrace, 1, "PID"},
    {"handle", cmd_handle, 1, "PATH"},
    {"mount", cmd_mount, 3, "SOURCE TARGET TYPE [OPTIONS]"},
    {"bind", cmd_bind, 2, "SOURCE TARGET"},
    {"remount-rw", cmd_remount_rw, 1, "TARGET"},
    {"umount", cmd_umount, 1, "TARGET"},
    {"unshare", cmd_unshare, 1, "KIND"},
    {"chroot-out", cmd_chroot_out, 0, "[FILE]"},
    {"keyring", cmd_keyring, 0, ""},
    {"keyring-id", cmd_keyring_id, 0, ""},
    {"bpf", cmd_bpf, 0, ""},
    {"perf", cmd_perf, 0, ""},
    {"module", cmd_module, 0, ""},
    {"reboot", cmd_reboot, 0, ""},
    {"kexec", cmd_kexec, 0, ""},
    {"settime", cmd_settime, 0, ""},
    {"userfaultfd", cmd_userfaultfd, 0, ""},
    {"personality", cmd_personality, 1, "HEX"},
    {"sethostname", cmd_sethostname, 1, "NAME"},
    {NULL, NULL, 0, NULL},
};
