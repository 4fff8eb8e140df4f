/* SPDX-License-Identifier: Apache-2.0 */
/* measure — what trees of containers and volumes take on disk: by us where nothing is closed to us, else by a process in U. */
#include "base/dirs.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "container/container_internal.h"

#include <string.h>

/* One line each, from a process in U. */
static int measure_inside(const struct dirs *d, const struct strv *paths, uint64_t *ret,
                          struct err **reterr)
{
        AUTO_FREE char *program = process_helper_path(MONITOR_PROGRAM), *out = NULL;
        AUTO_STRV argv = {0}, lines = {0};
        int r;

        strv_add(&argv, MONITOR_PROGRAM);
        strv_add(&argv, "usage");
        strv_add(&argv, d->root);
        strv_copy(&argv, paths);
        r = process_run_capture(program, argv.v, 32 * (paths->n + 1), &out, reterr);
        if (r < 0)
                return r;
        strv_split(&lines, out, '\n');
        for (size_t i = 0; i < paths->n; i++) {
                if (i >= lines.n || parse_u64(lines.v[i], &ret[i]) < 0)
                        return err_new(reterr, ERR_REMOTE, "'%s' answered '%s'", program, out);
        }
        return 0;
}

int measure_trees(const struct dirs *d, const struct strv *paths, uint64_t **ret,
                  struct err **reterr)
{
        AUTO_FREE uint64_t *sizes = xcalloc(paths->n + 1, sizeof(*sizes));
        AUTO_FREE uint64_t *inside = xcalloc(paths->n + 1, sizeof(*inside));
        AUTO_FREE size_t *which = xcalloc(paths->n + 1, sizeof(*which));
        AUTO_STRV closed = {0};
        int r = 0;

        for (size_t i = 0; i < paths->n; i++) {
                unsigned long long bytes = 0, inodes = 0;

                /* Most hold nothing that is closed to us. */
                r = path_usage(d->root_fd, paths->v[i], &bytes, &inodes, NULL);
                sizes[i] = r == -ENOENT ? UINT64_MAX : bytes;
                if (r < 0 && r != -ENOENT) {
                        which[closed.n] = i;
                        strv_add(&closed, paths->v[i]);
                }
        }
        r = closed.n > 0 ? measure_inside(d, &closed, inside, reterr) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < closed.n; i++)
                sizes[which[i]] = inside[i];
        *ret = TAKE_PTR(sizes);
        return 0;
}

char *container_upper_path(const char *id)
{
        return xasprintf(CONTAINERS "/%s/upper", id);
}
