/* SPDX-License-Identifier: Apache-2.0 */
/* Who a program is inside its container: ids, capabilities, limits, descriptors. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_gid(const void *a, const void *b)
{
        gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

        return x < y ? -1 : x > y;
}

static int cmd_id(int argc, char **argv)
{
        gid_t groups[1024];
        int n = getgroups(1024, groups);

        if (n < 0)
                return probe_fail("getgroups");
        qsort(groups, (size_t)n, sizeof(groups[0]), by_gid);
        printf("uid=%u euid=%u gid=%u egid=%u groups=", getuid(), geteuid(), getgid(), getegid());
        for (int i = 0; i < n; i++)
                printf("%s%u", i > 0 ? "," : "", groups[i]);
        putchar('\n');
        return 0;
}

/* status FIELD…: lines of /proc/self/status without their tab. */
static int print_status(int argc, const char *const *argv)
{
        char line[4096];
        FILE *f = fopen("/proc/self/status", "re");

        if (!f)
                return probe_fail("/proc/self/status");
        while (fgets(line, sizeof(line), f)) {
                char *colon = strchr(line, ':');
                if (!colon)
                        continue;
                *colon = '\0';
                for (int i = 1; i < argc; i++)
                        if (strcmp(argv[i], line) == 0)
                                printf("%s=%s", line, colon + 1 + strspn(colon + 1, " \t"));
        }
        fclose(f);
        return 0;
}

static int cmd_status(int argc, char **argv)
{
        return print_status(argc, (const char *const *)argv);
}

static int cmd_caps(int argc, char **argv)
{
        static const char *const fields[] = {"caps",   "CapInh", "CapPrm",
                                             "CapEff", "CapBnd", "CapAmb"};

        return print_status(6, fields);
}

static int cmd_confined(int argc, char **argv)
{
        static const char *const fields[] = {"confined", "NoNewPrivs", "Seccomp",
                                             "Seccomp_filters"};

        return print_status(4, fields);
}

static const struct {
        const char *name;
        int resource;
} limits[] = {
    {"core", RLIMIT_CORE},     {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},   {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},   {"rss", RLIMIT_RSS},         {"stack", RLIMIT_STACK},
    {"nice", RLIMIT_NICE},     {"rtprio", RLIMIT_RTPRIO},   {"msgqueue", RLIMIT_MSGQUEUE},
    {"locks", RLIMIT_LOCKS},   {"as", RLIMIT_AS},           {"sigpending", RLIMIT_SIGPENDING},
    {"rttime", RLIMIT_RTTIME},
};

static int cmd_limit(int argc, char **argv)
{
        struct rlimit lim;

        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
                if (strcmp(argv[1], limits[i].name) != 0)
                        continue;
                if (getrlimit(limits[i].resource, &lim) < 0)
                        return probe_fail(argv[1]);
                /* RLIM_INFINITY prints as -1 */
                printf("%lld %lld\n", (long long)lim.rlim_cur, (long long)lim.rlim_max);
                return 0;
        }
        fprintf(stderr, "probe: no such limit: %s\n", argv[1]);
        return 125;
}

static int cmd_umask(int argc, char **argv)
{
        mode_t m = umask(0);

        umask(m);
        printf("%04o\n", m);
        return 0;
}

static int cmd_setid(int argc, char **argv)
{
        gid_t gid = (gid_t)probe_number(argv[2]);

        if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0)
                return probe_verdict(-1);
        return probe_verdict(setresuid((uid_t)probe_number(argv[1]), (uid_t)probe_number(argv[1]),
                                       (uid_t)probe_number(argv[1])));
}

/* fds: every open descriptor, found without /proc so that a hidden /proc hides nothing. */
static int cmd_fds(int argc, char **argv)
{
        for (int fd = 0; fd < 4096; fd++) {
                char link[64], target[4096] = "?";
                struct stat st;
                ssize_t n;
                if (fcntl(fd, F_GETFD) < 0)
                        continue;
                snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
                n = readlink(link, target, sizeof(target) - 1);
                if (n >= 0)
                        target[n] = '\0';
                if (fstat(fd, &st) < 0)
                        st.st_mode = 0;
                printf("%d %s %06o %c\n", fd, target, st.st_mode & S_IFMT,
                       "rwb?"[fcntl(fd, F_GETFL) & O_ACCMODE]);
        }
        return 0;
}

static int cmd_securebits(int argc, char **argv)
{
        printf("%d\n", prctl(PR_GET_SECUREBITS));
        return 0;
}

static int cmd_dumpable(int argc, char **argv)
{
        printf("%d\n", prctl(PR_GET_DUMPABLE));
        return 0;
}

/* ns KIND…: the namespaces' identities. */
static int cmd_ns(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                char path[128], target[256];
                ssize_t n;
                snprintf(path, sizeof(path), "/proc/self/ns/%s", argv[i]);
                n = readlink(path, target, sizeof(target) - 1);
                if (n < 0)
                        return probe_fail(path);
                target[n] = '\0';
                puts(target);
        }
        return 0;
}

const struct command identity_commands[] = {
    {"id", cmd_id, 0, ""},
    {"status", cmd_status, 1, "FIELD…"},
    {"caps", cmd_caps, 0, ""},
    {"confined", cmd_confined, 0, ""},
    {"limit", cmd_limit, 1, "NAME"},
    {"umask", cmd_umask, 0, ""},
    {"setid", cmd_setid, 2, "UID GID"},
    {"fds", cmd_fds, 0, ""},
    {"securebits", cmd_securebits, 0, ""},
    {"dumpable", cmd_dumpable, 0, ""},
    {"ns", cmd_ns, 1, "KIND…"},
    {NULL, NULL, 0, NULL},
};
