/* SPDX-License-Identifier: Apache-2.0 */
/* read_parts.c — reading what a spec of ours and a bundle's config.json have in common. Every error names the path of the value; every list is bounded. */
#include "base/err.h"
#include "base/json.h"
#include "security/caps.h"
#include "spec/spec_internal.h"

#include <inttypes.h>
#include <string.h>

int spec_read_string(const struct json_at *at, const char *key, char **ret, struct err **reterr)
{
        const char *value = NULL;
        int r = json_opt_string(at, key, &value, reterr);

        if (r < 0 || !value)
                return r;
        free(*ret);
        *ret = xstrdup(value);
        return 0;
}

int spec_check_absolute(const struct json_at *at, const char *path, struct err **reterr)
{
        return path[0] == '/' ? 0 : json_fail(at, reterr, "'%s' is not an absolute path", path);
}

int spec_read_name(const struct json_at *at, const char *const *names, size_t n, size_t *ret,
                   struct err **reterr)
{
        const char *value;
        int r = json_value_string(at, &value, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (strcmp(names[i], value) == 0) {
                        *ret = i;
                        return 0;
                }
        }
        return json_fail(at, reterr, "unknown value '%s'", value);
}

static int read_cap_set(const struct json_at *caps, size_t set, struct spec_process *p,
                        struct strv *warnings, struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = json_opt_strv(caps, spec_cap_sets[set], &names, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                int cap = cap_from_name(names.v[i]);

                if (cap >= 0)
                        *spec_cap_set(p, set) |= UINT64_C(1) << cap;
                else if (!warnings)
                        return json_fail(caps, reterr, "%s: unknown capability '%s'",
                                         spec_cap_sets[set], names.v[i]);
                else
                        strv_addf(warnings,
                                  "process.capabilities.%s: unknown capability '%s' is left out",
                                  spec_cap_sets[set], names.v[i]);
        }
        return 0;
}

static int read_rlimits(const struct json_at *process, struct spec_process *p, struct err **reterr)
{
        struct json_at list = json_key(process, "rlimits");
        size_t n = 0;
        int r;

        if (!list.obj)
                return 0;
        r = json_want_array(&list, RLIM_NLIMITS, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(&list, i);
                struct spec_rlimit limit = {0};
                const char *type = NULL;

                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = json_get_string(&e, "type", &type, reterr)) < 0 ||
                    (r = json_get_u64(&e, "soft", &limit.soft, reterr)) < 0 ||
                    (r = json_get_u64(&e, "hard", &limit.hard, reterr)) < 0)
                        return r;
                limit.resource = str_starts(type, "RLIMIT_") ? spec_rlimit_from_name(type + 7) : -1;
                if (limit.resource < 0)
                        return json_fail(&e, reterr, "unknown limit '%s'", type);
                for (size_t j = 0; j < p->n_rlimits; j++) {
                        if (p->rlimits[j].resource == limit.resource)
                                return json_fail(&e, reterr, "%s is given twice", type);
                }
                spec_process_add_rlimit(p, &limit);
        }
        return r;
}

static int read_console_size(const struct json_at *process, struct spec_process *p,
                             struct err **reterr)
{
        struct json_at size = json_key(process, "consoleSize");
        uint32_t rows = 0, cols = 0;
        int r;

        if (!size.obj)
                return 0;
        if ((r = json_want_object(&size, reterr)) < 0 ||
            (r = json_opt_u32(&size, "height", &rows, reterr)) < 0 ||
            (r = json_opt_u32(&size, "width", &cols, reterr)) < 0)
                return r;
        if (rows > UINT16_MAX || cols > UINT16_MAX)
                return json_fail(&size, reterr, "larger than %d", UINT16_MAX);
        p->rows = (uint16_t)rows;
        p->cols = (uint16_t)cols;
        return 0;
}

static int read_ids(const struct json_at *user, struct spec_process *p, struct err **reterr)
{
        struct json_at uid_at = json_key(user, "uid"), gid_at = json_key(user, "gid");
        uint32_t uid = 0, gid = 0;
        int r;

        if (!uid_at.obj && !gid_at.obj)
                return 0;
        if ((r = json_opt_u32(user, "uid", &uid, reterr)) < 0 ||
            (r = json_opt_u32(user, "gid", &gid, reterr)) < 0)
                return r;
        if (uid == ID_NONE || gid == ID_NONE)
                return json_fail(uid == ID_NONE ? &uid_at : &gid_at, reterr, "not an id");
        free(p->user);
        p->user = xasprintf("%" PRIu32 ":%" PRIu32, uid, gid);
        return 0;
}

static int read_user(const struct json_at *process, struct spec_process *p, struct err **reterr)
{
        struct json_at user = json_key(process, "user");
        struct json_at groups;
        size_t n = 0;
        int r;

        if (!user.obj)
                return 0;
        if ((r = json_want_object(&user, reterr)) < 0 || (r = read_ids(&user, p, reterr)) < 0 ||
            (r = json_opt_i64(&user, "umask", &p->umask, reterr)) < 0)
                return r;
        if (p->umask < -1 || p->umask > 0777)
                return json_fail(&user, reterr, "umask out of range");
        groups = json_key(&user, "additionalGids");
        if (!groups.obj)
                return 0;
        r = json_want_array(&groups, SPEC_LIST_MAX, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(&groups, i);
                uint64_t gid = json_object_get_uint64(e.obj);

                if (!json_object_is_type(e.obj, json_type_int) || gid >= ID_NONE ||
                    json_object_get_int64(e.obj) < 0)
                        return json_fail(&e, reterr, "expected the number of a group");
                strv_addf(&p->groups, "%" PRIu64, gid);
        }
        return r;
}

int spec_process_from_json(const struct json_at *at, struct spec_process *p, struct strv *warnings,
                           struct err **reterr)
{
        struct json_at caps;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_bool(at, "terminal", &p->terminal, reterr)) < 0 ||
            (r = read_console_size(at, p, reterr)) < 0 || (r = read_user(at, p, reterr)) < 0 ||
            (r = json_opt_strv(at, "args", &p->args, reterr)) < 0 ||
            (r = json_opt_strv(at, "env", &p->env, reterr)) < 0 ||
            (r = spec_read_string(at, "cwd", &p->cwd, reterr)) < 0 ||
            (r = json_opt_bool(at, "noNewPrivileges", &p->no_new_privileges, reterr)) < 0 ||
            (r = json_opt_i64(at, "oomScoreAdj", &p->oom_score_adj, reterr)) < 0 ||
            (r = read_rlimits(at, p, reterr)) < 0)
                return r;
        caps = json_key(at, "capabilities");
        if (!caps.obj)
                return 0;
        r = json_want_object(&caps, reterr);
        for (size_t i = 0; r >= 0 && i < SPEC_CAP_SETS; i++)
                r = read_cap_set(&caps, i, p, warnings, reterr);
        return r;
}

int spec_read_namespace(const struct json_at *at, struct spec *s, struct err **reterr)
{
        const char *names[SPEC_NS_COUNT];
        struct json_at type, path;
        size_t ns = 0;
        int r;

        if ((r = json_want_object(at, reterr)) < 0)
                return r;
        for (size_t i = 0; i < SPEC_NS_COUNT; i++)
                names[i] = spec_ns_name((enum spec_ns)i);
        type = json_key(at, "type");
        if ((r = spec_read_name(&type, names, SPEC_NS_COUNT, &ns, reterr)) < 0)
                return r;
        if (s->ns[ns].enabled)
                return json_fail(&type, reterr, "given twice");
        s->ns[ns].enabled = true;
        if ((r = spec_read_string(at, "path", &s->ns[ns].path, reterr)) < 0)
                return r;
        if (str_empty(s->ns[ns].path)) { /* as some engines write "none" */
                free(TAKE_PTR(s->ns[ns].path));
                return 0;
        }
        path = json_key(at, "path");
        return spec_check_absolute(&path, s->ns[ns].path, reterr);
}

int spec_read_list(const struct json_at *parent, const char *key, spec_read_element_fn fn,
                   struct spec *s, struct err **reterr)
{
        struct json_at list = json_key(parent, key);
        size_t n = 0;
        int r;

        if (!list.obj)
                return 0;
        r = json_want_array(&list, SPEC_LIST_MAX, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(&list, i);

                r = fn(&e, s, reterr);
        }
        return r;
}

int spec_read_id_map(const struct json_at *linux_at, const char *key, struct id_map *map,
                     struct err **reterr)
{
        struct json_at list = json_key(linux_at, key);
        size_t n = 0;
        int r;

        if (!list.obj)
                return 0;
        r = json_want_array(&list, ID_MAP_MAX_EXTENTS, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(&list, i);
                uint32_t inside = ID_NONE, outside = ID_NONE, count = 0;

                if ((r = json_want_object(&e, reterr)) < 0 ||
                    (r = json_opt_u32(&e, "containerID", &inside, reterr)) < 0 ||
                    (r = json_opt_u32(&e, "hostID", &outside, reterr)) < 0 ||
                    (r = json_opt_u32(&e, "size", &count, reterr)) < 0)
                        return r;
                if (inside == ID_NONE || outside == ID_NONE || !count || count > ID_NONE - inside ||
                    count > ID_NONE - outside)
                        return json_fail(&e, reterr, "not a range of ids");
                id_map_add(map, inside, outside, count);
        }
        return r;
}
