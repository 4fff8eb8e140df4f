/* SPDX-License-Identifier: Apache-2.0 */
/* size — measures trees of containers and volumes. Directories of subordinate ids may be closed to everybody outside U. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/path.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

int monitor_usage(const char *root, char *const *paths)
{
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;
        unsigned long long bytes, inodes;
        int r = dirs_open(root, &d, &e);

        if (r >= 0)
                r = monitor_enter(d, &e);
        for (; r >= 0 && *paths; paths++) {
                AUTO_ERR struct err *one = NULL;

                r = path_usage(d->root_fd, *paths, &bytes, &inodes, &one);
                if (r == -ENOENT) { /* removed meanwhile */
                        r = 0;
                        bytes = UINT64_MAX;
                }
                if (r < 0)
                        (void)err_move(&e, r, &one);
                else
                        printf("%llu\n", bytes);
        }
        if (r < 0) {
                err_print(e, stderr, "kelp-monitor", 0);
                return 1;
        }
        return fflush(stdout) == 0 ? 0 : 1;
}
