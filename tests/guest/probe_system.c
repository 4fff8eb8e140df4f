/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells a container of itself and how it schedules its program. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int cmd_uname(int argc, char **argv)
{
        struct utsname u;

        if (uname(&u) < 0)
                return probe_fail("uname");
        printf("machine=%s nodename=%s domainname=%s\n", u.machine, u.nodename, u.domainname);
        return 0;
}

/* clock boottime|monotonic: whole seconds. */
static int cmd_clock(int argc, char **argv)
{
        struct timespec t;

        if (clock_gettime(argv[1][0] == 'b' ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &t) < 0)
                return probe_fail(argv[1]);
        printf("%lld\n", (long long)t.tv_sec);
        return 0;
}

/* The kernel's struct sched_attr in its first version, which glibc does not have. */
struct attributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
};

static int cmd_sched(int argc, char **argv)
{
        struct attributes a = {.size = sizeof(a)};

        if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) < 0)
                return probe_fail("sched_getattr");
        printf("policy=%u flags=%llu nice=%d priority=%u runtime=%llu deadline=%llu period=%llu\n",
               a.policy, (unsigned long long)a.flags, a.nice, a.priority,
               (unsigned long long)a.runtime, (unsigned long long)a.deadline,
               (unsigned long long)a.period);
        return 0;
}

/* ioprio: class (1 realtime, 2 best effort, 3 idle) and level of this process. */
static int cmd_ioprio(int argc, char **argv)
{
        long r = syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0);

        if (r < 0)
                return probe_fail("ioprio_get");
        printf("class=%ld level=%ld\n", r >> 13, r & 7);
        return 0;
}

/* propagation PATH: the optional fields of its mount, as "shared:1 master:2"; "private" for none. */
static int cmd_propagation(int argc, char **argv)
{
        char line[16384], result[1024] = "not a mount";
        FILE *f = fopen("/proc/self/mountinfo", "re");

        if (!f)
                return probe_fail("/proc/self/mountinfo");
        while (fgets(line, sizeof(line), f)) {
                char target[4096], options[1024];
                const char *dash = strstr(line, " - ");
                int end = 0;
                if (sscanf(line, "%*d %*d %*s %*s %4095s %1023s%n", target, options, &end) != 2 ||
                    !dash || strcmp(target, argv[1]) != 0)
                        continue;
                snprintf(result, sizeof(result), "%.*s",
                         dash > line + end ? (int)(dash - line - end - 1) : 7,
                         dash > line + end ? line + end + 1 : "private");
        }
        fclose(f);
        puts(result);
        return 0;
}

/* save FILE: appends standard input to it. */
static int cmd_save(int argc, char **argv)
{
        char buf[65536];
        ssize_t n;
        int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

        if (fd < 0)
                return probe_fail(argv[1]);
        while ((n = read(0, buf, sizeof(buf))) > 0)
                if (write(fd, buf, (size_t)n) != n)
                        return probe_fail(argv[1]);
        close(fd);
        return n < 0 ? probe_fail("stdin") : 0;
}

/* syscall NUMBER [ARG…]: any system call whose arguments are numbers. */
static int cmd_syscall(int argc, char **argv)
{
        unsigned long a[6] = {0};

        for (int i = 2; i < argc && i < 8; i++)
                a[i - 2] = strtoul(argv[i], NULL, 0);
        return probe_verdict(syscall(probe_number(argv[1]), a[0], a[1], a[2], a[3], a[4], a[5]));
}

const struct command system_commands[] = {
    {"uname", cmd_uname, 0, ""},
    {"clock", cmd_clock, 1, "boottime|monotonic"},
    {"sched", cmd_sched, 0, ""},
    {"ioprio", cmd_ioprio, 0, ""},
    {"propagation", cmd_propagation, 1, "PATH"},
    {"save", cmd_save, 1, "FILE"},
    {"syscall", cmd_syscall, 1, "NUMBER [ARG…]"},
    {NULL, NULL, 0, NULL},
};
