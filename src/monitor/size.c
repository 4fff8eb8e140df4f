/* SPDX-License-Identifier: Apache-2.0 */
/* size — measures what a container has written. Directories of subordinate ids may be closed to everybody outside U. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/path.h"
#include "monitor/monitor.h"

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
