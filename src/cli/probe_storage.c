/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: the storage driver, by the code that chooses it for containers. */
#include "cli/probe_internal.h"

#include "base/err.h"
#include "base/str.h"
#include "cli/verb.h"
#include "container/storage.h"

#include <string.h>

void probe_storage(struct cli *cli, struct probe_result *ret)
{
        AUTO(storage_info_freep) struct storage_info *s = NULL;
        AUTO_ERR struct err *err = NULL;
        struct dirs *d;
        int r = cli_dirs(cli, &d, &err);

        if (r >= 0)
                r = storage_probe(d, NULL, &s, &err);
        if (r < 0) {
                const char *hint = err_hint_text(err);

                probe_fail(ret, PROBE_MISSING, err_message(err),
                           hint ? hint : "kelp info says which drivers were tried");
                return;
        }
        ret->detail = xasprintf("driver %s", s->driver);
        if (strcmp(s->driver, "overlay") != 0)
                probe_fail(ret, PROBE_DEGRADED, s->why ? s->why : "the kernel's overlay is refused",
                           "a kernel of 5.13 or newer and a data root on ext4, xfs, btrfs or tmpfs "
                           "(--root, KELP_ROOT)");
}
