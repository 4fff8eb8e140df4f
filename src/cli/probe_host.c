/* SPDX-License-Identifier: Apache-2.0 */
/* Probes: places and programs of this host. */
#include "cli/probe_internal.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/process.h"
#include "base/str.h"
#include "cli/output.h"
#include "cli/verb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SPACE_LOW  (1ULL << 30) /* a mid-sized image */
#define SPACE_NONE (64ULL << 20)
#define INODES_LOW 20000

void probe_fuse(struct cli *cli, struct probe_result *ret)
{
        AUTO_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        AUTO_FREE char *program = NULL;

        if (fd < 0)
                probe_fail_step(ret, PROBE_DEGRADED, "open /dev/fuse", -errno,
                                "as root: modprobe fuse; chmod 0666 /dev/fuse; inside another "
                                "container: --device /dev/fuse");
        else if (!(program = process_find_program("fuse-overlayfs")))
                probe_fail(ret, PROBE_DEGRADED, "fuse-overlayfs is not installed",
                           "as root: apt-get install fuse-overlayfs");
        else
                probe_ok(ret, "fuse-overlayfs");
}

/* ---- cgroups ------------------------------------------------------------------------------------- */

/* Our cgroup's directory, from the "0::" line; NULL when there is none. Caller owns. */
static char *own_cgroup(void)
{
        AUTO_FREE char *text = NULL;
        char *line;
        size_t n;

        if (io_read_file(AT_FDCWD, "/proc/self/cgroup", 65536, &text, &n, NULL) < 0)
                return NULL;
        line = str_starts(text, "0::") ? text : strstr(text, "\n0::");
        if (!line)
                return NULL;
        line += *line == '\n' ? 4 : 3;
        line[strcspn(line, "\n")] = '\0';
        return xasprintf("/sys/fs/cgroup%s", strcmp(line, "/") == 0 ? "" : line);
}

static char *read_line(const char *dir, const char *file)
{
        AUTO_FREE char *path = xasprintf("%s/%s", dir, file);
        char *text = NULL;
        size_t n;

        if (io_read_file(AT_FDCWD, path, 4096, &text, &n, NULL) < 0)
                return xstrdup("");
        text[strcspn(text, "\n")] = '\0';
        return text;
}

/* A child cgroup is what a container needs; made and removed at once. */
static int try_subgroup(const char *dir)
{
        AUTO_FREE char *path = xasprintf("%s/kelp-probe-%d", dir, getpid());

        if (mkdir(path, 0755) < 0)
                return -errno;
        (void)rmdir(path);
        return 0;
}

bool probe_has_cgroup2(void)
{
        struct statfs st;

        return statfs("/sys/fs/cgroup", &st) == 0 && st.f_type == CGROUP2_SUPER_MAGIC;
}

void probe_cgroup(struct cli *cli, struct probe_result *ret)
{
        AUTO_FREE char *dir = own_cgroup();
        AUTO_FREE char *controllers = NULL;
        int r;

        if (!probe_has_cgroup2() || !dir) {
                probe_fail(ret, PROBE_DEGRADED,
                           "/sys/fs/cgroup is no version 2 hierarchy: limits cannot be set",
                           "kernel parameter systemd.unified_cgroup_hierarchy=1; inside another "
                           "container: mount cgroup2 there");
                return;
        }
        r = try_subgroup(dir);
        if (r < 0) {
                AUTO_FREE char *cause = xasprintf("%s: make a cgroup: %s", dir, strerror(-r));

                probe_fail(ret, PROBE_DEGRADED, cause,
                           "run below a delegated cgroup: systemd-run --user --scope -p "
                           "Delegate=yes kelp …; for all controllers as root: "
                           "'[Service]' and 'Delegate=yes' in "
                           "/etc/systemd/system/user@.service.d/delegate.conf");
                return;
        }
        controllers = read_line(dir, "cgroup.controllers");
        probe_ok(ret, "delegated: %s", *controllers ? controllers : "no controllers");
}

/* ---- places -------------------------------------------------------------------------------------- */

void probe_space(struct cli *cli, struct probe_result *ret)
{
        AUTO_FREE char *cause = NULL;
        AUTO_ERR struct err *err = NULL;
        char room[OUTPUT_SIZE_MAX];
        struct statvfs st;
        struct dirs *d;
        uint64_t bytes;

        if (cli_dirs(cli, &d, &err) < 0) {
                probe_fail(ret, PROBE_MISSING, err_message(err),
                           "choose another place with --root or KELP_ROOT");
                return;
        }
        if (fstatvfs(d->root_fd, &st) < 0) {
                probe_fail_step(ret, PROBE_MISSING, d->root, -errno,
                                "choose another place with --root or KELP_ROOT");
                return;
        }
        bytes = (uint64_t)st.f_bavail * st.f_frsize;
        ret->detail = xasprintf("%s free in %s", output_size(bytes, room), d->root);
        if (bytes >= SPACE_LOW && (st.f_files == 0 || st.f_favail >= INODES_LOW))
                return;
        cause = bytes < SPACE_LOW
                    ? xasprintf("only %s are free", room)
                    : xasprintf("only %llu inodes are free", (unsigned long long)st.f_favail);
        probe_fail(ret, bytes < SPACE_NONE ? PROBE_MISSING : PROBE_DEGRADED, cause,
                   "kelp image prune; kelp rm of stopped containers; or another place with --root "
                   "or KELP_ROOT");
}

void probe_runtime_dir(struct cli *cli, struct probe_result *ret)
{
        AUTO_ERR struct err *err = NULL;
        const char *xdg = getenv("XDG_RUNTIME_DIR");
        struct dirs *d;

        if (cli_dirs(cli, &d, &err) < 0) {
                probe_fail(ret, PROBE_MISSING, err_message(err),
                           "see the message; --root and XDG_RUNTIME_DIR choose the places");
                return;
        }
        ret->detail = xstrdup(d->runtime);
        if (!str_empty(xdg) && str_starts(d->runtime, xdg))
                return;
        probe_fail(ret, PROBE_DEGRADED,
                   str_empty(xdg) ? "XDG_RUNTIME_DIR is not set"
                                  : "XDG_RUNTIME_DIR is missing or belongs to somebody else",
                   "log in with a session (ssh, machinectl shell) instead of su; as root: loginctl "
                   "enable-linger USER");
}

void probe_programs(struct cli *cli, struct probe_result *ret)
{
        static const char *const programs[] = {"kelp-monitor", "kelp-image",   "kelp-userns",
                                               "kelp-init",    "kelp-changes", "kelp-seccomp"};
        AUTO_STRBUF missing = {0};

        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                AUTO_FREE char *path = process_helper_path(programs[i]);

                if (access(path, X_OK) < 0)
                        strbuf_addf(&missing, "%s%s", missing.len ? ", " : "not there: ", path);
        }
        if (missing.len)
                probe_fail(ret, PROBE_MISSING, missing.data,
                           "install Kelp whole (meson install), or set KELP_LIBEXEC to the "
                           "helpers' directory");
        else
                probe_ok(ret, NULL);
}
