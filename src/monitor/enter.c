/* SPDX-License-Identifier: Apache-2.0 */
/* enter — what every mode does first: U, and the container's description. */
#include "base/dirs.h"
#include "base/json.h"
#include "base/path.h"
#include "idmap/idmap.h"
#include "monitor/monitor.h"
#include "spec/spec.h"

#define SPEC_MAX JSON_OWN_MAX

int monitor_enter(const struct dirs *d, struct err **reterr)
{
        AUTO(idmap_userns_freep) struct idmap_userns *u = NULL;
        int r = idmap_userns_open(d, &u, reterr);

        return r < 0 ? r : idmap_userns_enter(u, reterr);
}

/* Paths below the data root are stored relative to it, so that it can be moved. */
static void make_absolute(const struct dirs *d, char **path)
{
        char *joined;

        if (!*path || **path == '/')
                return;
        joined = path_join(d->root, *path);
        free(*path);
        *path = joined;
}

int monitor_read_spec(const struct dirs *d, int dir_fd, struct spec **ret, struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        struct spec *s;
        int r = json_read_file(dir_fd, "spec.json", SPEC_MAX, &doc, reterr);

        if (r >= 0)
                r = spec_from_json(doc, "spec.json", ret, reterr);
        if (r < 0)
                return r;
        s = *ret;
        make_absolute(d, &s->upper);
        make_absolute(d, &s->work);
        make_absolute(d, &s->root_path);
        for (size_t i = 0; i < s->n_mounts; i++) {
                if (s->mounts[i].file)
                        make_absolute(d, &s->mounts[i].source);
        }
        return 0;
}
