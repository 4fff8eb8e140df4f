/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

#define FIRST_SUBID 100000 /* SUB_UID_MIN of login.defs, as Debian, Fedora and Arch have it */

void subid_ranges_add(struct subid_ranges *r, uint64_t start, uint64_t count)
{
        if (start >= ID_NONE || count == 0)
                return;
        count = MIN(count, ID_NONE - start);
        r->v = xrealloc(r->v, r->n + 1, sizeof(r->v[0]));
        r->v[r->n++] = (struct idmap_range){(uint32_t)start, (uint32_t)count};
}

void subid_ranges_release(struct subid_ranges *r)
{
        free(r->v);
        *r = (struct subid_ranges){0};
}

/*
 * Room is kept for what containers make of U's map: under private every id stands for itself, under keep-id the numbers move by
 * one and up to two lines are cut. What fits here must fit there.
 */
#define MAX_LINES (ID_MAP_MAX_EXTENTS - 4)
#define MAX_TEXT  (ID_MAP_MAX_TEXT - MAX_LINES - 2 * 33)

static size_t digits(uint32_t v)
{
        size_t n = 1;

        for (; v >= 10; v /= 10)
                n++;
        return n;
}

struct builder {
        struct id_map map;
        size_t text; /* upper bound of the bytes the map takes when it is written */
};

static bool append(struct builder *b, uint32_t outside, uint32_t count)
{
        struct id_extent *last = b->map.n > 0 ? &b->map.v[b->map.n - 1] : NULL;
        uint32_t inside = last ? last->inside + last->count : 0;
        size_t text = digits(inside) + MAX(digits(inside), digits(outside)) + digits(count) + 3;

        if (b->map.n >= MAX_LINES || b->text + text > MAX_TEXT)
                return false;
        id_map_add(&b->map, inside, outside, count);
        b->text += text;
        return true;
}

/* How many ids from @start on are free of @taken's outside ids; 0: @start itself is taken, *ret_skip ids of it. */
static uint32_t free_piece(const struct id_map *taken, uint32_t start, uint32_t count,
                           uint32_t *ret_skip)
{
        uint32_t n = count;

        for (size_t i = 0; i < taken->n; i++) {
                const struct id_extent *t = &taken->v[i];

                if (start >= t->outside && start - t->outside < t->count) {
                        *ret_skip = MIN(count, t->count - (start - t->outside));
                        return 0;
                }
                if (t->outside > start)
                        n = MIN(n, t->outside - start);
        }
        return n;
}

/* How many ids from @start on lie in one extent of @parent's inside; 0: @start is unmapped, as are *ret_skip ids. */
static uint32_t mapped_piece(const struct id_map *parent, uint32_t start, uint32_t count,
                             uint32_t *ret_skip)
{
        uint32_t n = count;

        for (size_t i = 0; i < parent->n; i++) {
                const struct id_extent *p = &parent->v[i];

                if (start >= p->inside && start - p->inside < p->count)
                        return MIN(count, p->count - (start - p->inside));
                if (p->inside > start)
                        n = MIN(n, p->inside - start);
        }
        *ret_skip = n;
        return 0;
}

static bool append_range(struct builder *b, struct idmap_range r, const struct id_map *parent)
{
        while (r.count > 0) {
                uint32_t n, skip = 0;

                n = mapped_piece(parent, r.start, r.count, &skip);
                if (n > 0)
                        n = free_piece(&b->map, r.start, n, &skip);
                if (n > 0 && !append(b, r.start, n))
                        return false;
                if (n == 0)
                        n = skip;
                r.start += n;
                r.count -= n;
        }
        return true;
}

struct id_map subid_plan(uint32_t caller, const struct subid_ranges *ranges,
                         const struct id_map *parent)
{
        struct builder b = {0};

        (void)append(&b, caller, 1);
        for (size_t i = 0; i < ranges->n; i++)
                if (!append_range(&b, ranges->v[i], parent))
                        break;
        return b.map;
}

struct id_map subid_plan_all(uint32_t caller, const struct id_map *parent)
{
        AUTO(id_map_release) struct id_map sorted = id_map_normalise(parent);
        struct builder b = {0};

        (void)append(&b, caller, 1);
        for (size_t i = 0; i < sorted.n; i++) {
                struct idmap_range r = {sorted.v[i].inside, sorted.v[i].count};

                if (!append_range(&b, r, parent))
                        break;
        }
        return b.map;
}

enum idmap_tier idmap_tier_of(const struct id_map *uid, const struct id_map *gid)
{
        uint64_t n = MIN(id_map_total(uid), id_map_total(gid));

        if (n >= IDMAP_FULL_IDS)
                return IDMAP_TIER_FULL;
        return n > 1 ? IDMAP_TIER_SHORT : IDMAP_TIER_ONE;
}

/* "name:start:count" in place; the line is cut up. False when it is not of that form. */
static bool parse_line(char *line, const char **ret_owner, uint64_t *ret_start, uint64_t *ret_count)
{
        char *start = strchr(line, ':'), *count;

        if (!start || start == line)
                return false;
        *start++ = '\0';
        count = strchr(start, ':');
        if (!count)
                return false;
        *count++ = '\0';
        *ret_owner = line;
        return parse_u64(start, ret_start) == 0 && parse_u64(count, ret_count) == 0;
}

typedef void (*line_fn)(const char *owner, uint64_t start, uint64_t count, void *arg);

static void for_each_line(const char *text, line_fn fn, void *arg)
{
        while (*text) {
                size_t n = strcspn(text, "\n");
                AUTO_FREE char *line = xstrndup(text, n);
                uint64_t start, count;
                const char *owner;

                if (line[0] != '#' && parse_line(line, &owner, &start, &count))
                        fn(owner, start, count, arg);
                text += n + (text[n] == '\n');
        }
}

struct owned {
        const char *name;
        uint32_t id;
        struct subid_ranges *ranges;
};

static void add_if_owned(const char *owner, uint64_t start, uint64_t count, void *arg)
{
        struct owned *o = arg;
        uint32_t id;

        if ((o->name && strcmp(owner, o->name) == 0) || (parse_u32(owner, &id) == 0 && id == o->id))
                subid_ranges_add(o->ranges, start, count);
}

void subid_parse(const char *text, const char *name, uint32_t id, struct subid_ranges *ret)
{
        struct owned o = {name, id, ret};

        for_each_line(text, add_if_owned, &o);
}

static void raise_end(const char *owner, uint64_t start, uint64_t count, void *arg)
{
        uint64_t *end = arg;

        (void)owner;
        if (start < ID_NONE && count < ID_NONE && start + count > *end)
                *end = start + count;
}

uint32_t subid_first_free(const char *text)
{
        uint64_t end = FIRST_SUBID;

        for_each_line(text, raise_end, &end);
        return end + IDMAP_FULL_IDS <= ID_NONE ? (uint32_t)end : 0;
}
