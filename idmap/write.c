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
