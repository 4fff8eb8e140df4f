/* SPDX-License-Identifier: Apache-2.0 */
/* lend — a container's root directory for others who work on its files (cp), until they close ATTACH or die. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "monitor/monitor.h"
#include "monitor/protocol.h"
#include "monitor/status.h"
#include "monitor/tree.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

int monitor_lend(const char *root, const char *id, bool write)
{
        AUTO(container_tree_freep) struct container_tree *t = NULL;
        AUTO(dirs_freep) struct dirs *d = NULL;
        AUTO_ERR struct err *e = NULL;
        uint8_t byte = 0;
        int r = dirs_open(root, &d, &e);

        if (r >= 0)
                r = monitor_enter(d, &e);
        if (r >= 0)
                r = container_tree_open(d, id, write, true, &t, &e);
        if (r >= 0) {
                ssize_t n = fd_send(MONITOR_FD_ATTACH, &byte, sizeof(byte), &t->root->fd, 1);

                if (n < 0)
                        r = err_sys(&e, (int)-n, "hand over the root file system");
        }
        if (r < 0) {
                status_error(e);
                return 1;
        }
        status_started(getpid(), NULL);
        (void)io_read_some(MONITOR_FD_ATTACH, &byte, sizeof(byte));
        t = container_tree_free(t); /* written and unmounted before anybody is told */
        status_exited(0, false);
        return 0;
}
