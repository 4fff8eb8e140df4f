/* SPDX-License-Identifier: Apache-2.0 */
/* host — see host.h. */
#include "cli/host.h"

#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static const struct {
        const char *machine, *arch;
} arches[] = {
    {"x86_64", "amd64"},        {"aarch64", "arm64"}, {"armv7l", "arm"},
    {"armv6l", "arm"},          {"i686", "386"},      {"i586", "386"},
    {"ppc64le", "ppc64le"},     {"s390x", "s390x"},   {"riscv64", "riscv64"},
    {"loongarch64", "loong64"},
};

/* The value of KEY= in os-release's shell syntax, without its quotes. */
static void os_value(const char *text, const char *key, char *ret, size_t size)
{
        size_t len = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                size_t n;

                line += *line == '\n';
                if (strncmp(line, key, len) != 0 || line[len] != '=')
                        continue;
                line += len + 1;
                n = strcspn(line, "\n");
                if (n >= 2 && (*line == '"' || *line == '\'') && line[n - 1] == *line) {
                        line++;
                        n -= 2;
                }
                snprintf(ret, size, "%.*s", (int)n, line);
                return;
        }
}

static void read_os_release(struct host *h)
{
        AUTO_FREE char *text = NULL;
        size_t n;

        if (io_read_file(AT_FDCWD, "/etc/os-release", 65536, &text, &n, NULL) < 0 &&
            io_read_file(AT_FDCWD, "/usr/lib/os-release", 65536, &text, &n, NULL) < 0)
                return;
        os_value(text, "PRETTY_NAME", h->os_name, sizeof(h->os_name));
        os_value(text, "VERSION_ID", h->os_version, sizeof(h->os_version));
}

void host_get(struct host *ret)
{
        struct utsname u;
        struct sysinfo si;
        cpu_set_t cpus;

        *ret = (struct host){.go_arch = "", .processors = 1};
        if (uname(&u) == 0) {
                snprintf(ret->kernel, sizeof(ret->kernel), "%.64s", u.release);
                snprintf(ret->machine, sizeof(ret->machine), "%.64s", u.machine);
                snprintf(ret->name, sizeof(ret->name), "%.64s", u.nodename);
        }
        ret->go_arch = ret->machine;
        for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
                if (strcmp(arches[i].machine, ret->machine) == 0)
                        ret->go_arch = arches[i].arch;
        }
        if (sysinfo(&si) == 0)
                ret->memory = (uint64_t)si.totalram * si.mem_unit;
        if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
                ret->processors = (unsigned)CPU_COUNT(&cpus);
        snprintf(ret->os_name, sizeof(ret->os_name), "Linux");
        read_os_release(ret);
}
