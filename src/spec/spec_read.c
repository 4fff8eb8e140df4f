/* SPDX-License-Identifier: Apache-2.0 */
/* spec_read.c — a spec from its JSON. Every error names the path of the value; every list is bounded. */
#include "spec/spec.h"

#include "base/err.h"
#include "base/json.h"
#include "security/caps.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/linkhash.h>
#include <string.h>

static int read_string_into(const struct json_at *at, const char *key, char **ret,
                            struct err **reterr)
{
        const char *value = NULL;
        int r = json_opt_string(at, key, &value, reterr);

        if (r < 0 || !value)
                return r;
        free(*ret);
        *ret = xstrdup(value);
        return 0;
}

static int read_name(const struct json_at *at, const char *const *names, size_t n, size_t *ret,
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
                        struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = json_opt_strv(caps, spec_cap_sets[set], &names, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                int cap = cap_from_name(names.v[i]);

                if (cap < 0)
                        return json_fail(caps, reterr, "%s: unknown capability '%s'",
                                         spec_cap_sets[set], names.v[i]);
                *spec_cap_set(p, set) |= UINT64_C(1) << cap;
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

static int read_user(const struct json_at *process, struct spec_process *p, struct err **reterr)
{
        struct json_at user = json_key(process, "user");
        struct json_at groups;
        uint32_t uid = ID_NONE, gid = 0;
        size_t n = 0;
        int r;

        if (!user.obj)
                return 0;
        if ((r = json_want_object(&user, reterr)) < 0 ||
            (r = json_opt_u32(&user, "uid", &uid, reterr)) < 0 ||
            (r = json_opt_u32(&user, "gid", &gid, reterr)) < 0 ||
            (r = json_opt_i64(&user, "umask", &p->umask, reterr)) < 0)
                return r;
        if (p->umask < -1 || p->umask > 0777)
                return json_fail(&user, reterr, "umask out of range");
        if (uid != ID_NONE) {
                free(p->user);
                p->user = xasprintf("%" PRIu32 ":%" PRIu32, uid, gid);
        }
        groups = json_key(&user, "additionalGids");
        if (!groups.obj)
                return 0;
        r = json_want_array(&groups, SPEC_LIST_MAX, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(&groups, i);

                if (!json_object_is_type(e.obj, json_type_int))
                        return json_fail(&e, reterr, "expected a number");
                strv_addf(&p->groups, "%" PRId64, json_object_get_int64(e.obj));
        }
        return r;
}

int spec_process_from_json(const struct json_at *at, struct spec_process *p, struct err **reterr)
{
        struct json_at caps;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_bool(at, "terminal", &p->terminal, reterr)) < 0 ||
            (r = read_console_size(at, p, reterr)) < 0 || (r = read_user(at, p, reterr)) < 0 ||
            (r = json_opt_strv(at, "args", &p->args, reterr)) < 0 ||
            (r = json_opt_strv(at, "env", &p->env, reterr)) < 0 ||
            (r = read_string_into(at, "cwd", &p->cwd, reterr)) < 0 ||
            (r = json_opt_bool(at, "noNewPrivileges", &p->no_new_privileges, reterr)) < 0 ||
            (r = json_opt_i64(at, "oomScoreAdj", &p->oom_score_adj, reterr)) < 0 ||
            (r = read_rlimits(at, p, reterr)) < 0)
                return r;
        caps = json_key(at, "capabilities");
        if (!caps.obj)
                return 0;
        r = json_want_object(&caps, reterr);
        for (size_t i = 0; r >= 0 && i < SPEC_CAP_SETS; i++)
                r = read_cap_set(&caps, i, p, reterr);
        return r;
}

static int read_mount_kelp(const struct json_at *at, struct spec_mount *m, struct err **reterr)
{
        const char *subpath = NULL, *upper = NULL, *work = NULL;
        int r;

        if ((r = json_opt_bool(at, "kelpFile", &m->file, reterr)) < 0 ||
            (r = json_opt_bool(at, "kelpOfIpc", &m->of_ipc, reterr)) < 0 ||
            (r = json_opt_bool(at, "kelpChown", &m->chown, reterr)) < 0 ||
            (r = json_opt_string(at, "kelpSubpath", &subpath, reterr)) < 0 ||
            (r = json_opt_string(at, "kelpUpper", &upper, reterr)) < 0 ||
            (r = json_opt_string(at, "kelpWork", &work, reterr)) < 0)
                return r;
        m->subpath = xstrdup(subpath);
        m->upper = xstrdup(upper);
        m->work = xstrdup(work);
        return json_opt_strv(at, "kelpLayers", &m->layers, reterr);
}

static int read_mount(const struct json_at *at, struct spec *s, struct err **reterr)
{
        const char *destination = NULL, *type = NULL, *source = NULL;
        struct spec_mount *m;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "destination", &destination, reterr)) < 0 ||
            (r = json_opt_string(at, "type", &type, reterr)) < 0 ||
            (r = json_opt_string(at, "source", &source, reterr)) < 0)
                return r;
        m = spec_add_mount(s, destination, type, source, NULL);
        if ((r = json_opt_strv(at, "options", &m->options, reterr)) < 0 ||
            (r = json_opt_bool(at, "kelpCreateMissing", &m->create_missing, reterr)) < 0)
                return r;
        return read_mount_kelp(at, m, reterr);
}

static int read_device(const struct json_at *at, struct spec *s, struct err **reterr)
{
        const char *path = NULL, *host = NULL, *access = NULL;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "path", &path, reterr)) < 0 ||
            (r = json_get_string(at, "hostPath", &host, reterr)) < 0 ||
            (r = json_opt_string(at, "access", &access, reterr)) < 0)
                return r;
        (void)spec_add_device(s, host, path, access ? access : "rwm");
        return 0;
}

static int read_secret(const struct json_at *at, struct spec *s, struct err **reterr)
{
        const char *name = NULL, *target = NULL, *file = NULL;
        struct spec_secret *secret;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "name", &name, reterr)) < 0 ||
            (r = json_get_string(at, "target", &target, reterr)) < 0 ||
            (r = json_get_string(at, "file", &file, reterr)) < 0)
                return r;
        secret = spec_add_secret(s, name, target, file);
        if ((r = json_opt_bool(at, "env", &secret->env, reterr)) < 0 ||
            (r = json_opt_u32(at, "uid", &secret->uid, reterr)) < 0 ||
            (r = json_opt_u32(at, "gid", &secret->gid, reterr)) < 0 ||
            (r = json_opt_u32(at, "mode", &secret->mode, reterr)) < 0)
                return r;
        if (secret->mode > 07777 || (!secret->env && target[0] != '/'))
                return json_fail(at, reterr, "not a secret that can be given");
        return 0;
}

static int read_namespace(const struct json_at *at, struct spec *s, struct err **reterr)
{
        const char *names[SPEC_NS_COUNT];
        struct json_at type;
        size_t ns = 0;
        int r;

        if ((r = json_want_object(at, reterr)) < 0)
                return r;
        for (size_t i = 0; i < SPEC_NS_COUNT; i++)
                names[i] = spec_ns_name((enum spec_ns)i);
        type = json_key(at, "type");
        if ((r = read_name(&type, names, SPEC_NS_COUNT, &ns, reterr)) < 0)
                return r;
        if (s->ns[ns].enabled)
                return json_fail(&type, reterr, "given twice");
        s->ns[ns].enabled = true;
        return read_string_into(at, "path", &s->ns[ns].path, reterr);
}

typedef int (*read_element_fn)(const struct json_at *at, struct spec *s, struct err **reterr);
static int read_list(const struct json_at *parent, const char *key, read_element_fn fn,
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

static int read_id_map(const struct json_at *linux_at, const char *key, struct id_map *map,
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

static int read_linux(const struct json_at *at, struct spec *s, struct err **reterr)
{
        struct json_at seccomp = json_key(at, "seccomp"), personality = json_key(at, "personality");
        const char *domain = NULL;
        int r;

        if (seccomp.obj) /* fail closed: a filter that we do not load must not be passed over */
                return json_fail(&seccomp, reterr,
                                 "a profile belongs into a file (kelp.seccompFile)");
        if ((r = read_list(at, "namespaces", read_namespace, s, reterr)) < 0 ||
            (r = read_id_map(at, "uidMappings", &s->uid_map, reterr)) < 0 ||
            (r = read_id_map(at, "gidMappings", &s->gid_map, reterr)) < 0 ||
            (r = json_opt_strv(at, "maskedPaths", &s->masked_paths, reterr)) < 0 ||
            (r = json_opt_strv(at, "readonlyPaths", &s->readonly_paths, reterr)) < 0)
                return r;
        if (personality.obj) {
                r = json_get_string(&personality, "domain", &domain, reterr);
                s->process.personality = r < 0 ? -1 : spec_personality_from_name(domain);
                if (r >= 0 && s->process.personality < 0)
                        r = json_fail(&personality, reterr, "unknown domain '%s'", domain);
        }
        return r < 0 ? r : json_opt_pairs(at, "sysctl", &s->sysctl, reterr);
}

static int read_field(const struct json_at *kelp, const struct spec_field *f, void *at,
                      struct err **reterr)
{
        switch (f->kind) {
        case SPEC_FIELD_STRING:
                return read_string_into(kelp, f->name, at, reterr);
        case SPEC_FIELD_STRV:
                return json_opt_strv(kelp, f->name, at, reterr);
        case SPEC_FIELD_BOOL:
                return json_opt_bool(kelp, f->name, at, reterr);
        case SPEC_FIELD_U32:
                return json_opt_u32(kelp, f->name, at, reterr);
        }
        return 0;
}

static int read_kelp(const struct json_at *at, struct spec *s, struct err **reterr)
{
        static const char *const roots[SPEC_ROOT_COUNT] = {
            [SPEC_ROOT_LAYERS] = "layers", [SPEC_ROOT_DIRECTORY] = "directory"};
        struct json_at value;
        size_t chosen = 0;
        int64_t sig = s->stop_signal;
        int r;

        for (size_t i = 0; i < spec_kelp_n_fields; i++) {
                r = read_field(at, &spec_kelp_fields[i], (char *)s + spec_kelp_fields[i].offset,
                               reterr);
                if (r < 0)
                        return r;
        }
        value = json_key(at, "root");
        if ((r = read_name(&value, roots, SPEC_ROOT_COUNT, &chosen, reterr)) < 0)
                return r;
        s->root_kind = (enum spec_root)chosen;
        value = json_key(at, "seccomp");
        /* The last name is for who writes: no profile stands in a spec of ours. */
        if ((r = read_name(&value, spec_seccomp_names, SPEC_SECCOMP_INLINE, &chosen, reterr)) < 0)
                return r;
        s->seccomp = (enum spec_seccomp)chosen;
        if ((r = json_opt_i64(at, "stopSignal", &sig, reterr)) < 0)
                return r;
        if (sig < 1 || sig > 64)
                return json_fail(at, reterr, "stopSignal out of range");
        s->stop_signal = (int)sig;
        r = read_list(at, "devices", read_device, s, reterr);
        return r < 0 ? r : read_list(at, "secrets", read_secret, s, reterr);
}

static int read_root(const struct json_at *at, struct spec *s, struct err **reterr)
{
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_bool(at, "readonly", &s->root_readonly, reterr)) < 0)
                return r;
        return read_string_into(at, "path", &s->root_path, reterr);
}

static int read_all(const struct json_at *at, struct spec *s, struct err **reterr)
{
        struct json_at process = json_key(at, "process"), root = json_key(at, "root");
        struct json_at linux_at = json_key(at, "linux"), kelp = json_key(at, "kelp");
        const char *version = NULL;
        int r;

        if ((r = json_get_string(at, "ociVersion", &version, reterr)) < 0)
                return r;
        if (!str_starts(version, "1."))
                return json_fail(at, reterr, "ociVersion: '%s' is not 1.x", version);
        if ((r = spec_process_from_json(&process, &s->process, reterr)) < 0 ||
            (r = read_root(&root, s, reterr)) < 0 ||
            (r = read_string_into(at, "hostname", &s->hostname, reterr)) < 0 ||
            (r = read_string_into(at, "domainname", &s->domainname, reterr)) < 0 ||
            (r = read_list(at, "mounts", read_mount, s, reterr)) < 0 ||
            (r = json_opt_pairs(at, "annotations", &s->annotations, reterr)) < 0 ||
            (r = json_want_object(&linux_at, reterr)) < 0 ||
            (r = read_linux(&linux_at, s, reterr)) < 0 || (r = json_want_object(&kelp, reterr)) < 0)
                return r;
        return read_kelp(&kelp, s, reterr);
}

int spec_from_json(struct json_object *obj, const char *what, struct spec **ret,
                   struct err **reterr)
{
        AUTO(spec_freep) struct spec *s = spec_new();
        struct json_at at = json_root(obj, what);
        int r;

        if ((r = json_want_object(&at, reterr)) < 0 || (r = read_all(&at, s, reterr)) < 0)
                return r;
        if (s->root_kind == SPEC_ROOT_LAYERS) {
                free(s->root_path); /* "rootfs" stands there for the specification's sake */
                s->root_path = NULL;
        }
        *ret = TAKE_PTR(s);
        return 0;
}
