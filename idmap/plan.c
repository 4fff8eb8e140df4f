/* SPDX-License-Identifier: Apache-2.0 */
#include "idmap/idmap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/str.h"
#include "idmap/idmap_internal.h"

static const char *const tier_names[] = {
    [IDMAP_TIER_FULL] = "full",
    [IDMAP_TIER_SHORT] = "short",
    [IDMAP_TIER_ONE] = "one",
};
static_assert(ARRAY_SIZE(tier_names) == IDMAP_TIER_COUNT, "a name for every tier");

const char *idmap_tier_name(enum idmap_tier t)
{
        return t < IDMAP_TIER_COUNT ? tier_names[t] : "unknown";
}

void idmap_request_release(struct idmap_request *r)
{
        id_map_release(&r->uid);
        id_map_release(&r->gid);
        *r = (struct idmap_request){.keep_uid = ID_NONE, .keep_gid = ID_NONE};
}

/* ---- parsing ---- */

static int parse_keep_option(const char *part, struct idmap_request *r, struct err **reterr)
{
        bool is_uid = str_starts(part, "uid=");
        uint32_t id;

        if (!is_uid && !str_starts(part, "gid="))
                return err_new(
                    reterr, ERR_USAGE,
                    "--userns keep-id: unknown option '%s' (uid=N, gid=N, or image alone)", part);
        if (parse_u32(part + 4, &id) < 0 || id == ID_NONE)
                return err_new(reterr, ERR_USAGE, "--userns keep-id: '%s' is no valid id", part);
        if (is_uid)
                r->keep_uid = id;
        else
                r->keep_gid = id;
        return 0;
}

static int parse_keep_id(const char *options, struct idmap_request *r, struct err **reterr)
{
        AUTO_STRV parts = {0};

        r->mode = IDMAP_MODE_KEEP_ID;
        if (!options)
                return 0;
        strv_split(&parts, options, ',');
        for (size_t i = 0; i < parts.n; i++) {
                int q = parse_keep_option(parts.v[i], r, reterr);

                if (q < 0)
                        return q;
        }
        return 0;
}

static int parse_mode(const char *userns, struct idmap_request *r, struct err **reterr)
{
        if (str_empty(userns) || strcmp(userns, "private") == 0)
                r->mode = IDMAP_MODE_PRIVATE;
        else if (strcmp(userns, "host") == 0)
                r->mode = IDMAP_MODE_HOST;
        else if (strcmp(userns, "nomap") == 0)
                r->mode = IDMAP_MODE_NOMAP;
        else if (strcmp(userns, "keep-id") == 0)
                return parse_keep_id(NULL, r, reterr);
        else if (str_starts(userns, "keep-id:"))
                return parse_keep_id(userns + strlen("keep-id:"), r, reterr);
        else if (strcmp(userns, "auto") == 0 || str_starts(userns, "auto:"))
                return idmap_auto_parse(userns + strlen("auto"), r, reterr);
        else
                return err_hint(
                    reterr, err_new(reterr, ERR_USAGE, "--userns: unknown mode '%s'", userns),
                    "use private, host, keep-id, keep-id:uid=N,gid=N, keep-id:image, nomap or "
                    "auto[:size=N]");
        return 0;
}

int idmap_parse_line(const char *option, const char *arg, struct id_map *ret, struct err **reterr)
{
        AUTO_STRV parts = {0};
        struct id_extent e = {.count = 1};
        AUTO_ERR struct err *why = NULL;

        strv_split(&parts, arg, ':');
        if (parts.n < 2 || parts.n > 3 || parse_u32(parts.v[0], &e.inside) < 0 ||
            parse_u32(parts.v[1], &e.outside) < 0 ||
            (parts.n == 3 && parse_u32(parts.v[2], &e.count) < 0))
                return err_hint(
                    reterr, err_new(reterr, ERR_USAGE, "%s '%s': not an id map", option, arg),
                    "write CONTAINER:INTERMEDIATE[:AMOUNT], for example %s 0:1:1000", option);
        if (ret->n >= ID_MAP_MAX_EXTENTS)
                return err_new(reterr, ERR_USAGE, "%s '%s': more than %d ranges", option, arg,
                               ID_MAP_MAX_EXTENTS);
        if (id_map_check_extent(ret, &e, &why) < 0)
                return err_new(reterr, ERR_USAGE, "%s '%s': %s", option, arg, err_message(why));
        id_map_add(ret, e.inside, e.outside, e.count);
        return 0;
}

static int parse_map_list(const char *option, char *const *args, struct id_map *ret,
                          struct err **reterr)
{
        for (size_t i = 0; args && args[i]; i++) {
                int r = idmap_parse_line(option, args[i], ret, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

int idmap_request_parse(const char *userns, char *const *uidmaps, char *const *gidmaps,
                        struct idmap_request *ret, struct err **reterr)
{
        AUTO(idmap_request_release)
        struct idmap_request req = {.keep_uid = ID_NONE, .keep_gid = ID_NONE};
        int r;

        r = parse_mode(userns, &req, reterr);
        if (r < 0)
                return r;
        r = parse_map_list("--uidmap", uidmaps, &req.uid, reterr);
        if (r < 0)
                return r;
        r = parse_map_list("--gidmap", gidmaps, &req.gid, reterr);
        if (r < 0)
                return r;
        if ((uidmaps && *uidmaps) || (gidmaps && *gidmaps)) {
                if (req.mode != IDMAP_MODE_PRIVATE)
                        return err_new(reterr, ERR_USAGE,
                                       "--userns '%s' cannot be combined with --uidmap or --gidmap",
                                       userns);
                req.mode = IDMAP_MODE_EXPLICIT;
        }
        *ret = req;
        req = (struct idmap_request){0};
        return 0;
}

/* ---- planning ---- */

/* Gives container ids, counted up from 0, to U's ids in order; one container id is already taken and stepped over. */
struct counter {
        struct id_map map;
        uint64_t next;
        uint64_t taken; /* above every id: none */
};

static void give(struct counter *c, uint32_t outside, uint32_t count)
{
        while (count > 0) {
                uint64_t n = count;

                if (c->next == c->taken)
                        c->next++;
                if (c->next < c->taken)
                        n = MIN(n, c->taken - c->next);
                id_map_add(&c->map, (uint32_t)c->next, outside, (uint32_t)n);
                c->next += n;
                outside += (uint32_t)n;
                count -= (uint32_t)n;
        }
}

/* All ids of U but the caller's, in order. */
static void give_others(struct counter *c, const struct id_map *u)
{
        AUTO(id_map_release) struct id_map sorted = id_map_copy(u);

        id_map_sort(&sorted);
        for (size_t i = 0; i < sorted.n; i++) {
                struct id_extent e = sorted.v[i];

                if (e.inside == 0)
                        give(c, 1, e.count - 1);
                else
                        give(c, e.inside, e.count);
        }
}

/*
 * The caller (id 0 of U) appears as @keep; the others fill the container's ids from 0 on, around it. With one id, or with @keep
 * above all others, container ids stay unmapped in between; the launcher copes with an unmapped root.
 */
static struct id_map plan_keep_id(const struct id_map *u, uint32_t keep)
{
        struct counter c = {.taken = keep};

        id_map_add(&c.map, keep, 0, 1);
        give_others(&c, u);
        id_map_sort(&c.map);
        return c.map;
}

static int plan_nomap(const struct id_map *parent, const struct idmap_userns *u, struct id_map *ret,
                      struct err **reterr)
{
        struct counter c = {.taken = (uint64_t)ID_NONE + 1};
        int r;

        give_others(&c, parent);
        if (c.map.n > 0) {
                *ret = c.map;
                return 0;
        }
        r = err_new(reterr, ERR_UNSUPPORTED,
                    "--userns nomap: there are no subordinate ids, and without your own there is "
                    "none at all");
        return u->remedy ? err_hint(reterr, r, "%s", u->remedy) : r;
}

/* Every id of U under its own number. */
static struct id_map plan_private(const struct id_map *u)
{
        struct id_map out = {0};

        for (size_t i = 0; i < u->n; i++)
                id_map_add(&out, u->v[i].inside, u->v[i].inside, u->v[i].count);
        return out;
}

static const char *remedy_for_tier(const struct idmap_userns *u)
{
        if (u->remedy)
                return u->remedy;
        return "the second number counts from 0 in the user's namespace (0 is you, 1 the first "
               "subordinate id): see kelp info";
}

static int plan_explicit(const struct id_map *want, const struct id_map *parent,
                         const struct idmap_userns *u, struct id_map *ret, struct err **reterr)
{
        int r = id_map_split(want, parent, ret, reterr);

        if (r < 0)
                return err_hint(reterr, r, "%s", remedy_for_tier(u));
        return 0;
}

static int plan_one(const struct idmap_request *req, const struct idmap_userns *u, bool is_uid,
                    uint32_t caller, struct id_map *ret, struct err **reterr)
{
        const struct id_map *parent = is_uid ? &u->uid : &u->gid;
        const struct id_map *own = is_uid ? &req->uid : &req->gid;
        const struct id_map *other = is_uid ? &req->gid : &req->uid;
        uint32_t keep = is_uid ? req->keep_uid : req->keep_gid;
        int r;

        switch (req->mode) {
        case IDMAP_MODE_HOST:
                return 0;
        case IDMAP_MODE_PRIVATE:
                *ret = plan_private(parent);
                break;
        case IDMAP_MODE_KEEP_ID:
                *ret = plan_keep_id(parent, keep == ID_NONE ? caller : keep);
                break;
        case IDMAP_MODE_EXPLICIT:
                return plan_explicit(own->n > 0 ? own : other, parent, u, ret, reterr);
        case IDMAP_MODE_AUTO:
                return idmap_auto_plan(own, parent, req, ret, reterr);
        case IDMAP_MODE_NOMAP:
                r = plan_nomap(parent, u, ret, reterr);
                if (r < 0)
                        return r;
                break;
        case IDMAP_MODE_COUNT:
        default:
                return err_new(reterr, ERR_USAGE, "unknown user namespace mode");
        }
        r = id_map_check_limits(ret, reterr);
        if (r < 0)
                id_map_release(ret);
        return r;
}

int idmap_plan(const struct idmap_request *req, const struct idmap_userns *u, uid_t caller_uid,
               gid_t caller_gid, struct id_map *ret_uid, struct id_map *ret_gid,
               struct err **reterr)
{
        AUTO(id_map_release) struct id_map uid = {0};
        AUTO(id_map_release) struct id_map gid = {0};
        int r;

        r = plan_one(req, u, true, caller_uid, &uid, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "user ids");
        r = plan_one(req, u, false, caller_gid, &gid, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "group ids");
        *ret_uid = uid;
        *ret_gid = gid;
        uid = gid = (struct id_map){0};
        return 0;
}
