/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename — theory of operation
 *
 *   new name reserved → config.json replaced (this is the rename) → old name let go
 *
 * Killed in between, a name leads to a container that calls itself otherwise: such a name is found by nobody (container_find()) and may be
 * taken by anybody (name_reserve()), unless the lock says that a rename is under way.
 */
#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/lock.h"
#include "container/container_internal.h"
#include "monitor/removal.h"

#include <errno.h>
#include <string.h>

int container_change_begin(const struct dirs *d, struct container *c, struct err **reterr)
{
        AUTO_CLOSE int lock = -EBADF;
        int dir = container_dir(d, c, reterr), r;

        if (dir < 0)
                return dir;
        lock = lock_try_for(dir, CONFIG_LOCK, reterr);
        if (lock == -EWOULDBLOCK)
                return err_new(reterr, ERR_BUSY,
                               "container '%s' is being changed by another command", c->name);
        if (lock < 0)
                return lock;
        r = container_reload(d, c, reterr); /* what the other one has changed */
        return r < 0 ? r : TAKE_FD(lock);
}

static int reserve(const struct dirs *d, const struct container *c, const char *name,
                   struct err **reterr)
{
        char other[65];
        int r = name_reserve(d, name, c->id, other, reterr);

        if (r != 0)
                return r;
        r = err_new(reterr, ERR_EXISTS,
                    "the container name '/%s' is already in use by container '%s'", name, other);
        return err_hint(reterr, r, "rename or remove that container first");
}

static int change_name(const struct dirs *d, struct container *c, const char *name,
                       struct err **reterr)
{
        int r;

        json_add_string(c->config, "Name", name);
        r = atomic_file_write_json(c->dir_fd, CONFIG_FILE, c->config, true, reterr);
        if (r < 0)
                removal_unlink_name(d, c->id, name);
        return r;
}

int container_rename(const struct dirs *d, struct container *c, const char *name,
                     struct err **reterr)
{
        AUTO_FREE char *old = xstrdup(c->name);
        AUTO_CLOSE int lock = -EBADF;
        int r;

        if (name[0] == '/')
                name++;
        r = name_check(name, reterr);
        if (r >= 0)
                r = lock = container_change_begin(d, c, reterr);
        if (r >= 0 && strcmp(c->name, name) == 0)
                r = err_new(reterr, ERR_USAGE, "it has that name already");
        if (r >= 0)
                r = reserve(d, c, name, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "rename container '%s'", old);
        FAULT_POINT("rename-reserved");
        free(old);
        old = xstrdup(c->name);
        r = change_name(d, c, name, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "rename container '%s'", old);
        FAULT_POINT("rename-renamed");
        removal_unlink_name(d, c->id, old);
        free(c->name);
        c->name = xstrdup(name);
        container_event(d, c, "rename", (const char *const[]){"oldName", old, NULL});
        return 0;
}
