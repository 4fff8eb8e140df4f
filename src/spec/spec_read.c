/* SPDX-License-Identifier: Apache-2.0 */
/* spec_read.c — a spec from its JSON. Every error names the path of the value; every list is bounded. */
#include "spec/spec.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

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

static int read_linux(const struct json_at *at, struct spec *s, struct err **reterr)
{
        struct json_at seccomp = json_key(at, "seccomp"), personality = json_key(at, "personality");
        const char *domain = NULL;
        int r;

        if (seccomp.obj) /* fail closed: a filter that we do not load must not be passed over */
                return json_fail(&seccomp, reterr,
                                 "a profile belongs into a file (kelp.seccompFile)");
        if ((r = spec_read_list(at, "namespaces", spec_read_namespace, s, reterr)) < 0 ||
            (r = spec_read_id_map(at, "uidMappings", &s->uid_map, reterr)) < 0 ||
            (r = spec_read_id_map(at, "gidMappings", &s->gid_map, reterr)) < 0 ||
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
                return spec_read_string(kelp, f->name, at, reterr);
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
        if ((r = spec_read_name(&value, roots, SPEC_ROOT_COUNT, &chosen, reterr)) < 0)
                return r;
        s->root_kind = (enum spec_root)chosen;
        value = json_key(at, "seccomp");
        /* The last name is for who writes: no profile stands in a spec of ours. */
        if ((r = spec_read_name(&value, spec_seccomp_names, SPEC_SECCOMP_INLINE, &chosen, reterr)) <
            0)
                return r;
        s->seccomp = (enum spec_seccomp)chosen;
        if ((r = json_opt_i64(at, "stopSignal", &sig, reterr)) < 0)
                return r;
        if (sig < 1 || sig > 64)
                return json_fail(at, reterr, "stopSignal out of range");
        s->stop_signal = (int)sig;
        r = spec_read_list(at, "devices", read_device, s, reterr);
        return r < 0 ? r : spec_read_list(at, "secrets", read_secret, s, reterr);
}

static int read_root(const struct json_at *at, struct spec *s, struct err **reterr)
{
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_bool(at, "readonly", &s->root_readonly, reterr)) < 0)
                return r;
        return spec_read_string(at, "path", &s->root_path, reterr);
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
        if ((r = spec_process_from_json(&process, &s->process, NULL, reterr)) < 0 ||
            (r = read_root(&root, s, reterr)) < 0 ||
            (r = spec_read_string(at, "hostname", &s->hostname, reterr)) < 0 ||
            (r = spec_read_string(at, "domainname", &s->domainname, reterr)) < 0 ||
            (r = spec_read_list(at, "mounts", read_mount, s, reterr)) < 0 ||
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
