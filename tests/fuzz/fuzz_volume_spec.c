/* SPDX-License-Identifier: Apache-2.0 */
/* One string as the value of -v, --mount and --tmpfs; what is accepted must be something that the launcher can hold in the root. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/err.h"
#include "spec/options.h"

#include <stdlib.h>
#include <string.h>

static void check(int r, struct run_mount *m, struct err *e)
{
        if ((r < 0) != (e != NULL))
                abort();
        if (r >= 0 && (!m->target || m->target[0] != '/' || strcmp(m->target, "/") == 0))
                abort();
        if (r >= 0 && m->type == RUN_MOUNT_TMPFS && m->source)
                abort();
        if (r >= 0)
                run_mount_release(m);
        (void)err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static int (*const parsers[])(const char *, struct run_mount *, struct err **) = {
            run_mount_parse_volume,
            run_mount_parse_mount,
            run_mount_parse_tmpfs,
        };
        AUTO_FREE char *s = xstrndup((const char *)data, n);

        for (size_t i = 0; i < ARRAY_SIZE(parsers); i++) {
                struct run_mount m = {0};
                struct err *e = NULL;
                int r = parsers[i](s, &m, &e);

                check(r, &m, e);
        }
        return 0;
}
