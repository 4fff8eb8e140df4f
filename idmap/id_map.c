/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap/idmap.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

/*
 * Theory of operation: an extent is a half-open interval on both sides. Ends are computed in 64 bits everywhere, since the
 * initial namespace's only line, "0 0 4294967295", ends at the largest id there is. No loop runs over single ids: maps come
 * from files that may be damaged, and 2^32 steps would be a hang.
 */

void id_map_add(struct id_map *m, uint32_t inside, uint32_t outside, uint32_t count)
{
        if (count == 0)
                return;
        m->v = xrealloc(m->v, m->n + 1, sizeof(m->v[0]));
        m->v[m->n++] = (struct id_extent){inside, outside, count};
}

void id_map_release(struct id_map *m)
{
        free(m->v);
        *m = (struct id_map){0};
}

static bool covers(uint32_t start, uint32_t count, uint32_t id)
{
        return id >= start && id - start < count;
}

static const struct id_extent *find_inside(const struct id_map *m, uint32_t inside)
{
        for (size_t i = 0; i < m->n; i++)
                if (covers(m->v[i].inside, m->v[i].count, inside))
                        return &m->v[i];
        return NULL;
}

uint32_t id_map_to_outside(const struct id_map *m, uint32_t inside)
{
        const struct id_extent *e = find_inside(m, inside);

        return e ? e->outside + (inside - e->inside) : ID_NONE;
}

uint32_t id_map_to_inside(const struct id_map *m, uint32_t outside)
{
        for (size_t i = 0; i < m->n; i++)
                if (covers(m->v[i].outside, m->v[i].count, outside))
                        return m->v[i].inside + (outside - m->v[i].outside);
        return ID_NONE;
}

uint64_t id_map_total(const struct id_map *m)
{
        uint64_t total = 0;

        for (size_t i = 0; i < m->n; i++)
                total += m->v[i].count;
        return total;
}

/*
 * Cuts the interval [start, start+count) at @parent's extents, on the inside. Returns how many ids from @start on lie in one
 * extent (*ret_extent), or, when @start is unmapped (*ret_extent is NULL), how many follow that are unmapped too.
 */
static uint32_t next_piece(const struct id_map *parent, uint32_t start, uint32_t count,
                           const struct id_extent **ret_extent)
{
        const struct id_extent *e = find_inside(parent, start);
        uint32_t n = count;

        *ret_extent = e;
        if (e)
                return MIN(count, e->count - (start - e->inside));
        for (size_t i = 0; i < parent->n; i++)
                if (parent->v[i].inside > start)
                        n = MIN(n, parent->v[i].inside - start);
        return n;
}

struct id_map id_map_compose(const struct id_map *inner, const struct id_map *outer)
{
        struct id_map out = {0};

        for (size_t i = 0; i < inner->n; i++) {
                struct id_extent e = inner->v[i];

                while (e.count > 0) {
                        const struct id_extent *p;
                        uint32_t n = next_piece(outer, e.outside, e.count, &p);

                        if (p)
                                id_map_add(&out, e.inside, p->outside + (e.outside - p->inside), n);
                        e = (struct id_extent){e.inside + n, e.outside + n, e.count - n};
                }
        }
        return out;
}

int id_map_split(const struct id_map *want, const struct id_map *parent, struct id_map *ret,
                 struct err **reterr)
{
        AUTO(id_map_release) struct id_map out = {0};
        int r;

        for (size_t i = 0; i < want->n; i++) {
                struct id_extent e = want->v[i];

                while (e.count > 0) {
                        const struct id_extent *p;
                        uint32_t n = next_piece(parent, e.outside, e.count, &p);

                        if (!p && n == 1)
                                return err_new(reterr, ERR_DENIED,
                                               "id %u is not in the user's namespace", e.outside);
                        if (!p)
                                return err_new(reterr, ERR_DENIED,
                                               "ids %u to %u are not in the user's namespace",
                                               e.outside, e.outside + (n - 1));
                        id_map_add(&out, e.inside, e.outside, n);
                        e = (struct id_extent){e.inside + n, e.outside + n, e.count - n};
                }
        }
        r = id_map_check_limits(&out, reterr);
        if (r < 0)
                return r;
        *ret = out;
        out = (struct id_map){0};
        return 0;
}

int id_map_check_limits(const struct id_map *m, struct err **reterr)
{
        AUTO_FREE char *text = NULL;

        if (m->n > ID_MAP_MAX_EXTENTS)
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "%zu map lines are needed, the kernel takes %d", m->n,
                                        ID_MAP_MAX_EXTENTS),
                                "use fewer and larger ranges");
        text = id_map_format(m);
        if (strlen(text) > ID_MAP_MAX_TEXT)
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "the map is %zu bytes long, the kernel takes %d",
                                        strlen(text), ID_MAP_MAX_TEXT),
                                "use fewer and larger ranges");
        return 0;
}

char *id_map_format(const struct id_map *m)
{
        AUTO_STRBUF b = {0};

        for (size_t i = 0; i < m->n; i++)
                strbuf_addf(&b, "%u %u %u\n", m->v[i].inside, m->v[i].outside, m->v[i].count);
        return strbuf_take(&b);
}

static bool intervals_meet(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
        return (uint64_t)a < (uint64_t)b + nb && (uint64_t)b < (uint64_t)a + na;
}

int id_map_check_extent(const struct id_map *m, const struct id_extent *e, struct err **reterr)
{
        if (e->count == 0)
                return err_new(reterr, ERR_INVALID, "the amount is zero");
        /* 4294967295 is (uid_t)-1, "no id": the kernel lets no line reach it. */
        if ((uint64_t)e->inside + e->count > ID_NONE || (uint64_t)e->outside + e->count > ID_NONE)
                return err_new(reterr, ERR_INVALID, "the range goes beyond id %u", ID_NONE - 1);
        for (size_t i = 0; i < m->n; i++) {
                const struct id_extent *o = &m->v[i];

                if (intervals_meet(o->inside, o->count, e->inside, e->count) ||
                    intervals_meet(o->outside, o->count, e->outside, e->count))
                        return err_new(reterr, ERR_INVALID, "the range %u:%u:%u overlaps %u:%u:%u",
                                       e->inside, e->outside, e->count, o->inside, o->outside,
                                       o->count);
        }
        return 0;
}

/* Reads one decimal number and the blanks around it. NULL when there is none or it does not fit. */
static const char *take_number(const char *p, uint32_t *ret)
{
        uint64_t v = 0;

        p += strspn(p, " \t");
        if (*p < '0' || *p > '9')
                return NULL;
        for (; *p >= '0' && *p <= '9'; p++) {
                v = v * 10 + (uint64_t)(*p - '0');
                if (v > UINT32_MAX)
                        return NULL;
        }
        *ret = (uint32_t)v;
        return p + strspn(p, " \t");
}

int id_map_parse(const char *text, struct id_map *ret, struct err **reterr)
{
        AUTO(id_map_release) struct id_map out = {0};
        unsigned line = 0;

        for (const char *p = text; *p;) {
                struct id_extent e = {0};
                int r;

                line++;
                p = take_number(p, &e.inside);
                p = p ? take_number(p, &e.outside) : NULL;
                p = p ? take_number(p, &e.count) : NULL;
                if (!p || (*p && *p != '\n'))
                        return err_new(reterr, ERR_INVALID,
                                       "id map line %u: expected three numbers", line);
                if (*p == '\n')
                        p++;
                if (out.n >= ID_MAP_MAX_EXTENTS)
                        return err_new(reterr, ERR_INVALID, "id map: more than %d lines",
                                       ID_MAP_MAX_EXTENTS);
                r = id_map_check_extent(&out, &e, reterr);
                if (r < 0)
                        return err_wrap(reterr, r, "id map line %u", line);
                id_map_add(&out, e.inside, e.outside, e.count);
        }
        *ret = out;
        out = (struct id_map){0};
        return 0;
}

static int compare_inside(const void *a, const void *b)
{
        const struct id_extent *x = a, *y = b;

        return x->inside < y->inside ? -1 : x->inside > y->inside;
}

struct id_map id_map_copy(const struct id_map *m)
{
        struct id_map out = {0};

        for (size_t i = 0; i < m->n; i++)
                id_map_add(&out, m->v[i].inside, m->v[i].outside, m->v[i].count);
        return out;
}

void id_map_sort(struct id_map *m)
{
        if (m->n > 1)
                qsort(m->v, m->n, sizeof(m->v[0]), compare_inside);
}

struct id_map id_map_normalise(const struct id_map *m)
{
        AUTO(id_map_release) struct id_map sorted = id_map_copy(m);
        struct id_map out = {0};

        id_map_sort(&sorted);
        for (size_t i = 0; i < sorted.n; i++) {
                const struct id_extent *e = &sorted.v[i];
                struct id_extent *last = out.n > 0 ? &out.v[out.n - 1] : NULL;

                if (last && (uint64_t)last->inside + last->count == e->inside &&
                    (uint64_t)last->outside + last->count == e->outside)
                        last->count += e->count;
                else
                        id_map_add(&out, e->inside, e->outside, e->count);
        }
        return out;
}

bool id_map_equal(const struct id_map *a, const struct id_map *b)
{
        AUTO(id_map_release) struct id_map x = id_map_normalise(a);
        AUTO(id_map_release) struct id_map y = id_map_normalise(b);

        return x.n == y.n && (x.n == 0 || memcmp(x.v, y.v, x.n * sizeof(x.v[0])) == 0);
}

struct json_object *id_map_to_json(const struct id_map *m)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < m->n; i++) {
                struct json_object *line = json_object_new_object();

                json_add_uint(line, "containerID", m->v[i].inside);
                json_add_uint(line, "hostID", m->v[i].outside);
                json_add_uint(line, "size", m->v[i].count);
                json_object_array_add(array, line);
        }
        return array;
}
