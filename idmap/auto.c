/* SPDX-License-Identifier: Apache-2.0 */
/* auto — --userns=auto: ids of the container's own, a range of U that no other such container has. Who has which is container/'s to know. */
#include "idmap/idmap.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

static int parse_option(const char *part, struct idmap_request *r, struct err **reterr)
{
        if (str_starts(part, "uidmapping="))
                return idmap_parse_line("--userns auto: uidmapping", part + 11, &r->uid, reterr);
        if (str_starts(part, "gidmapping="))
                return idmap_parse_line("--userns auto: gidmapping", part + 11, &r->gid, reterr);
        if (!str_starts(part, "size="))
                return err_new(reterr, ERR_USAGE,
                               "--userns auto: unknown option '%s' (size=N, uidmapping=C:U[:N], "
                               "gidmapping=C:U[:N])",
                               part);
        if (parse_u32(part + 5, &r->auto_size) < 0 || r->auto_size == 0 || r->auto_size == ID_NONE)
                return err_new(reterr, ERR_USAGE, "--userns auto: '%s' is no number of ids", part);
        return 0;
}

int idmap_auto_parse(const char *options, struct idmap_request *r, struct err **reterr)
{
        AUTO_STRV parts = {0};

        r->mode = IDMAP_MODE_AUTO;
        if (!*options)
                return 0;
        strv_split(&parts, options + 1, ',');
        for (size_t i = 0; i < parts.n; i++) {
                int q = parse_option(parts.v[i], r, reterr);

                if (q < 0)
                        return q;
        }
        return 0;
}

/* The first id at or above @id that @m has inside, up to @end. */
static uint64_t next_taken(const struct id_map *m, uint64_t id, uint64_t end)
{
        for (size_t i = 0; i < m->n; i++) {
                uint64_t from = m->v[i].inside, to = from + m->v[i].count;

                if (id < to && from < end)
                        end = MAX(id, from);
        }
        return end;
}

int idmap_auto_plan(const struct id_map *own, const struct id_map *parent,
                    const struct idmap_request *r, struct id_map *ret, struct err **reterr)
{
        AUTO(id_map_release) struct id_map want = id_map_copy(own);
        uint64_t id = 0;
        int q;

        while (id < r->auto_size) {
                uint64_t end = next_taken(own, id, r->auto_size);

                if (end > id)
                        id_map_add(&want, (uint32_t)id, r->auto_start + (uint32_t)id,
                                   (uint32_t)(end - id));
                id = end;
                while (id < r->auto_size && id_map_to_outside(own, (uint32_t)id) != ID_NONE)
                        id++;
        }
        id_map_sort(&want);
        q = id_map_split(&want, parent, ret, reterr);
        return q < 0 ? err_hint(reterr, q,
                                "uidmapping and gidmapping count in the user's namespace (0 is "
                                "you, 1 the first subordinate id): see kelp info")
                     : 0;
}
