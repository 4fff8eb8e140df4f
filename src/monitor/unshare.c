/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unshare — becomes a command inside U, with a mount namespace of its own. kelp has become this program, and it becomes the command: so there is
 * nobody in between whom signals, the terminal or the exit code would have to pass.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/sys.h"
#include "idmap/idmap.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int enter(const struct dirs *d, struct err **reterr)
{
        AUTO_FREE char *mark = NULL;
        int r = monitor_enter(d, reterr);

        if (r < 0)
                return r;
        /* Nothing that is mounted in it is seen outside: a namespace of less privilege gets mounts and gives none. */
        r = sys_unshare(CLONE_NEWNS);
        if (r < 0)
                return err_sys(reterr, -r, "take a mount namespace");
        mark = idmap_inside_mark(reterr);
        if (!mark)
                return -ENOENT;
        /* Kelp's own commands in there work on the same store, and know where they are. */
        if (setenv(IDMAP_INSIDE_ENV, mark, 1) < 0 || setenv("KELP_ROOT", d->root, 1) < 0)
                return err_sys(reterr, errno, "set the environment");
        return 0;
}

int monitor_unshare(const char *root, char *const *command)
{
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;
        int r = dirs_open(root, &d, &e), code = 125;

        if (r >= 0)
                r = enter(d, &e);
        if (r >= 0) {
                (void)execvp(command[0], command);
                code = errno == ENOENT ? 127 : 126;
                (void)err_sys(&e, errno, "'%s'", command[0]);
        }
        err_print(e, stderr, "kelp", 0);
        return code;
}
