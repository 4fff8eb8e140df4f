/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

/* The kernel takes a map in one write(2) and only once. */
static int write_once(int procfd, const char *name, const char *text)
{
        AUTO_CLOSE int fd = openat(procfd, name, O_WRONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, strlen(text));
        if (n < 0)
                return -errno;
        return (size_t)n == strlen(text) ? 0 : -EIO;
}

static int write_map(int procfd, const char *name, const struct id_map *m, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        int r;

        r = id_map_check_limits(m, reterr);
        if (r < 0)
                return r;
        text = id_map_format(m);
        r = write_once(procfd, name, text);
        /*
         * Without CAP_SETGID above, one's own group may be mapped only by giving up setgroups(2), since leaving a group can
         * be a way around an access list. Only then, because the denial cannot be taken back.
         */
        if (r == -EPERM && strcmp(name, "gid_map") == 0 && id_map_total(m) == 1 &&
            write_once(procfd, "setgroups", "deny") == 0)
                r = write_once(procfd, name, text);
        return r < 0 ? err_sys(reterr, -r, "write %s", name) : 0;
}

int idmap_write(pid_t pid, const struct id_map *uid, const struct id_map *gid, struct err **reterr)
{
        AUTO_CLOSE int procfd = -EBADF;
        char path[32];
        int r;

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (procfd < 0)
                return err_sys(reterr, errno, "id maps: open %s", path);
        r = write_map(procfd, "uid_map", uid, reterr);
        if (r == 0)
                r = write_map(procfd, "gid_map", gid, reterr);
        return r < 0 ? err_wrap(reterr, r, "id maps") : 0;
}

/* ---- maps of somebody else's choice ---- */

struct map_file {
        const char *name;
        const struct id_map *map;
        uint32_t own; /* the one id that anybody may map */
        bool is_gid;
};

static bool is_own_id(const struct map_file *f)
{
        return f->map->n == 1 && f->map->v[0].count == 1 && f->map->v[0].outside == f->own;
}

/* A line that crosses an extent of our own map is refused. Whoever lets us nest need not know where they are. */
static int write_split(int procfd, const struct map_file *f)
{
        AUTO(id_map_release) struct id_map parent = {0}, split = {0};
        AUTO_FREE char *path = xasprintf("/proc/self/%s", f->name), *text = NULL, *lines = NULL;

        if (io_read_file(AT_FDCWD, path, PROC_MAP_MAX, &text, NULL, NULL) < 0 ||
            id_map_parse(text, &parent, NULL) < 0 ||
            id_map_split(f->map, &parent, &split, NULL) < 0 || split.n <= f->map->n ||
            split.n > ID_MAP_MAX_EXTENTS)
                return -EPERM;
        lines = id_map_format(&split);
        return write_once(procfd, f->name, lines);
}

/* -EPERM: by the tool. */
static int write_direct(int procfd, const struct map_file *f, struct err **reterr)
{
        AUTO_FREE char *text = NULL;
        int r = id_map_check_limits(f->map, reterr);

        if (r < 0)
                return r;
        text = id_map_format(f->map);
        r = write_once(procfd, f->name, text);
        if (r == -EPERM && f->is_gid && is_own_id(f) &&
            write_once(procfd, "setgroups", "deny") == 0)
                r = write_once(procfd, f->name, text);
        if (r == -EPERM)
                r = write_split(procfd, f);
        return r < 0 && r != -EPERM ? err_sys(reterr, -r, "write %s", f->name) : r;
}

int idmap_give(pid_t pid, const struct id_map *uid, const struct id_map *gid, struct err **reterr)
{
        const struct map_file files[] = {
            {.name = "uid_map", .map = uid, .own = geteuid()},
            {.name = "gid_map", .map = gid, .own = getegid(), .is_gid = true},
        };
        const struct id_map *by_tool[ARRAY_SIZE(files)] = {0};
        AUTO_CLOSE int procfd = -EBADF;
        char path[32];
        int r = 0;

        (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
        procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (procfd < 0)
                return err_sys(reterr, errno, "id maps: open %s", path);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                r = write_direct(procfd, &files[i], reterr);
                if (r < 0 && r != -EPERM)
                        return err_wrap(reterr, r, "id maps");
                if (r == -EPERM)
                        by_tool[i] = files[i].map;
        }
        if (!by_tool[0] && !by_tool[1])
                return 0;
        r = idmap_run_tools(pid, by_tool[0], by_tool[1], reterr);
        return r < 0 ? err_wrap(reterr, r, "id maps") : 0;
}
