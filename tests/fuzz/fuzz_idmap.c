/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything of idmap/ that reads text: maps, range files, --userns and --uidmap, holder.json. What comes out must hold what the kernel asks
 * of a map, and survive being written and read again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"
#include "idmap/holder.h"
#include "idmap/idmap_internal.h"

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x))                                                                          \
                        abort();                                                                   \
        } while (0)

/* Each id once on either side, none of them (uid_t)-1. */
static void check_map(const struct id_map *m)
{
        struct id_map seen = {0};

        for (size_t i = 0; i < m->n; i++) {
                CHECK(id_map_check_extent(&seen, &m->v[i], NULL) == 0);
                id_map_add(&seen, m->v[i].inside, m->v[i].outside, m->v[i].count);
        }
        id_map_release(&seen);
}

static void try_map(const char *text)
{
        AUTO(id_map_release) struct id_map m = {0};
        AUTO(id_map_release) struct id_map again = {0};
        AUTO_FREE char *out = NULL;
        struct id_map both;

        if (id_map_parse(text, &m, NULL) < 0)
                return;
        check_map(&m);
        out = id_map_format(&m);
        CHECK(id_map_parse(out, &again, NULL) == 0 && id_map_equal(&m, &again));
        both = id_map_compose(&m, &again);
        check_map(&both);
        CHECK(id_map_total(&both) <= id_map_total(&m));
        id_map_release(&both);
}

static void try_ranges(const char *text)
{
        AUTO(subid_ranges_release) struct subid_ranges ranges = {0};
        AUTO(id_map_release) struct id_map parent = {0};
        AUTO(id_map_release) struct id_map u = {0};
        struct idmap_userns ns = {.fd = -1};
        struct idmap_request req = {.mode = IDMAP_MODE_KEEP_ID, .keep_uid = 3, .keep_gid = 0};
        struct id_map uid = {0}, gid = {0};

        (void)subid_first_free(text);
        subid_parse(text, "u", 1000, &ranges);
        id_map_add(&parent, 0, 0, 70000);
        id_map_add(&parent, 70000, 70000, ID_NONE - 70000);
        u = subid_plan(1000, &ranges, &parent);
        check_map(&u);
        CHECK(id_map_to_outside(&u, 0) == 1000 && id_map_check_limits(&u, NULL) == 0);
        ns.uid = ns.gid = u;
        CHECK(idmap_plan(&req, &ns, 1000, 1000, &uid, &gid, NULL) == 0);
        check_map(&uid);
        check_map(&gid);
        CHECK(id_map_total(&uid) == id_map_total(&u));
        id_map_release(&uid);
        id_map_release(&gid);
}

static void try_request(char *text)
{
        AUTO(idmap_request_release) struct idmap_request r = {0};
        AUTO(idmap_request_release) struct idmap_request mode = {0};
        AUTO_STRV maps = {0};

        strv_split(&maps, text, '\n');
        if (idmap_request_parse(NULL, maps.v, NULL, &r, NULL) == 0)
                check_map(&r.uid);
        (void)idmap_request_parse(text, NULL, NULL, &mode, NULL);
}

static void try_record(const char *text, size_t size)
{
        AUTO(holder_record_release) struct holder_record r = {0};
        AUTO_JSON *obj = NULL;

        if (json_parse(text, size, "record", &obj, NULL) < 0 ||
            holder_record_from_json(obj, &r, NULL) < 0)
                return;
        CHECK(r.process.pid > 0);
        check_map(&r.uid_map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO_FREE char *text = NULL;

        if (size > HOLDER_FILE_MAX)
                return 0;
        text = xstrndup((const char *)data, size);
        try_map(text);
        try_ranges(text);
        try_request(text);
        try_record(text, strlen(text));
        return 0;
}
