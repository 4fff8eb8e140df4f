/* SPDX-License-Identifier: Apache-2.0 */
/* remove — deletes trees in tmp/ that hold files of subordinate ids, which only a process in U may. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "monitor/monitor.h"

#include <stdio.h>

int monitor_remove(const char *root, char *const *names)
{
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_CLOSE int tmp_fd = -EBADF;
        AUTO_ERR struct err *e = NULL;
        int r, ret = 0;

        r = dirs_open(root, &d, &e);
        if (r >= 0)
                r = tmp_fd = dirs_sub(d, "tmp", &e);
        if (r >= 0)
                r = monitor_enter(d, &e);
        if (r < 0) {
                err_print(e, stderr, "kelp-monitor", 0);
                return 1;
        }
        for (; *names; names++) {
                AUTO_ERR struct err *one = NULL;

                if (!path_is_clean_name(*names))
                        r = err_new(&one, ERR_USAGE, "'%s' is no name of a directory", *names);
                else
                        r = path_remove_tree(tmp_fd, *names, &one);
                if (r < 0) {
                        err_print(one, stderr, "kelp-monitor", 0);
                        ret = 1;
                }
        }
        return ret;
}
