/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/removal.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/path.h"
#include "volume/volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void removal_unlink_name(const struct dirs *d, const char *id, const char *name)
{
        AUTO_FREE char *path = NULL;
        char target[128], want[128];
        ssize_t n;

        if (!name || !path_is_clean_name(name))
                return;
        path = xasprintf("names/%s", name);
        (void)snprintf(want, sizeof(want), "../containers/%s", id);
        n = readlinkat(d->root_fd, path, target, sizeof(target));
        /* No race with somebody who takes the name over: that is done only with names that lead nowhere, and this one leads to a
         * container that still exists. */
        if (n == (ssize_t)strlen(want) && memcmp(target, want, (size_t)n) == 0)
                (void)unlinkat(d->root_fd, path, 0);
}

int removal_commit(const struct dirs *d, const char *id, const char *name, struct err **reterr)
{
        AUTO_FREE char *from = xasprintf("containers/%s", id), *to = xasprintf("tmp/%s", id);
        int r;

        /* The name first. Killed between the two, the container is still there and is found by its id and in listings; the other
         * order would leave a name whose removal could hit the next one who takes it. */
        removal_unlink_name(d, id, name);
        FAULT_POINT("removal-unnamed");
        r = renameat(d->root_fd, from, d->root_fd, to);
        if (r < 0 && errno == ENOENT && mkdirat(d->root_fd, "tmp", 0700) == 0)
                r = renameat(d->root_fd, from, d->root_fd, to);
        if (r < 0 && errno == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "no such container: %s", id);
        if (r < 0)
                return err_sys(reterr, errno, "remove container '%s'", id);
        FAULT_POINT("removal-renamed");
        return 0;
}

int removal_delete(const struct dirs *d, const char *id, struct err **reterr)
{
        AUTO_CLOSE int tmp_fd = dirs_sub(d, "tmp", reterr);

        if (tmp_fd < 0)
                return tmp_fd;
        volume_take_listed(d, id);
        return path_remove_tree(tmp_fd, id, reterr);
}
