/* SPDX-License-Identifier: Apache-2.0 */
/* One string as the value of -v, --mount, --tmpfs and --secret, and as the options of a volume, line by line; what is accepted must be something that the launcher can hold in the root. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/err.h"
#include "spec/options.h"
#include "volume/volume.h"

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
        if (r >= 0 && m->subpath && (m->subpath[0] == '/' || strncmp(m->subpath, "../", 3) == 0))
                abort();
        if (r >= 0)
                run_mount_release(m);
        (void)err_free(e);
}

static void check_secret(const char *value)
{
        struct run_secret s = {0};
        struct err *e = NULL;
        int r = run_secret_parse(value, &s, &e);

        if ((r < 0) != (e != NULL))
                abort();
        if (r >= 0 && !s.env && s.target && (s.target[0] != '/' || strcmp(s.target, "/") == 0))
                abort();
        run_secret_release(&s);
        (void)err_free(e);
}

/* What comes out of it is for the launcher as well. */
static void check_volume(const struct strv *options)
{
        struct volume_mount m = {0};
        struct err *e = NULL;
        int r = volume_mount_parse(options, &m, &e);

        if ((r < 0) != (e != NULL))
                abort();
        if (r >= 0 && (m.kind == VOLUME_KIND_BIND) != (m.device != NULL))
                abort();
        if (m.device && m.device[0] != '/')
                abort();
        volume_mount_release(&m);
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
        AUTO_STRV lines = {0};

        for (size_t i = 0; i < ARRAY_SIZE(parsers); i++) {
                struct run_mount m = {0};
                struct err *e = NULL;
                int r = parsers[i](s, &m, &e);

                check(r, &m, e);
        }
        check_secret(s);
        strv_split(&lines, s, '\n');
        check_volume(&lines);
        return 0;
}
