/* SPDX-License-Identifier: Apache-2.0 */
/* size — measures what a container has written. Directories of subordinate ids may be closed to everybody outside U. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/path.h"
#include "monitor/monitor.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

static int measure(const char *root, const char *id, unsigned long long *ret, struct err **reterr)
{
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_FREE char *upper = xasprintf("containers/%s/upper", id);
        unsigned long long inodes;
        int r = dirs_open(root, &d, reterr);

        if (r >= 0)
                r = monitor_enter(d, reterr);
        if (r >= 0)
                r = path_usage(d->root_fd, upper, ret, &inodes, reterr);
        return r;
}

int monitor_size(const char *root, const char *id)
{
        AUTO_ERR struct err *e = NULL;
        unsigned long long bytes;

        if (measure(root, id, &bytes, &e) < 0) {
                err_print(e, stderr, "kelp-monitor", 0);
                return 1;
        }
        printf("%llu\n", bytes);
        return fflush(stdout) == 0 ? 0 : 1;
}

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
