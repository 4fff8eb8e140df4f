/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_json.c — writing a spec as runtime-spec JSON. Theory of operation: what the OCI runtime specification has a place for is
 * written there, under its names; the rest is the member "kelp", driven by the table spec_kelp_fields, which the reader
 * (spec_read.c) walks as well, so that neither side can forget a field. Whatever equals its default is left out: the file
 * lies on the path of every start.
 */
#include "spec/spec.h"

#include "base/json.h"
#include "security/caps.h"
#include "spec/spec_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIELD(json, kind, member)                                                                  \
        {                                                                                          \
                json, kind, offsetof(struct spec, member)                                          \
        }
const struct spec_field spec_kelp_fields[] = {
    FIELD("id", SPEC_FIELD_STRING, id),
    FIELD("user", SPEC_FIELD_STRING, process.user),
    FIELD("groups", SPEC_FIELD_STRV, process.groups),
    FIELD("setHome", SPEC_FIELD_BOOL, process.set_home),
    FIELD("layers", SPEC_FIELD_STRV, layers),
    FIELD("upper", SPEC_FIELD_STRING, upper),
    FIELD("work", SPEC_FIELD_STRING, work),
    FIELD("volatileUpper", SPEC_FIELD_BOOL, volatile_upper),
    FIELD("storageDriver", SPEC_FIELD_STRING, storage_driver),
    FIELD("oneId", SPEC_FIELD_BOOL, rootless_one_id),
    FIELD("seccompFile", SPEC_FIELD_STRING, seccomp_file),
    FIELD("privileged", SPEC_FIELD_BOOL, privileged),
    FIELD("init", SPEC_FIELD_BOOL, init),
    FIELD("pause", SPEC_FIELD_BOOL, pause),
    FIELD("initPath", SPEC_FIELD_STRING, init_path),
    FIELD("stdinOpen", SPEC_FIELD_BOOL, stdin_open),
    FIELD("stopTimeout", SPEC_FIELD_U32, stop_timeout),
    FIELD("timeout", SPEC_FIELD_U32, timeout),
    FIELD("sdnotify", SPEC_FIELD_STRING, sdnotify),
    FIELD("imageName", SPEC_FIELD_STRING, image_name),
    FIELD("labels", SPEC_FIELD_STRV, labels),
};
const size_t spec_kelp_n_fields = ARRAY_SIZE(spec_kelp_fields);

const char *const spec_seccomp_names[SPEC_SECCOMP_COUNT] = {
    [SPEC_SECCOMP_DEFAULT] = "default",
    [SPEC_SECCOMP_UNCONFINED] = "unconfined",
    [SPEC_SECCOMP_FILE] = "file",
    [SPEC_SECCOMP_INLINE] = "inline",
};
const char *const spec_cap_sets[SPEC_CAP_SETS] = {"bounding", "effective", "permitted",
                                                  "inheritable", "ambient"};

uint64_t *spec_cap_set(struct spec_process *p, size_t i)
{
        uint64_t *const sets[SPEC_CAP_SETS] = {&p->cap_bounding, &p->cap_effective,
                                               &p->cap_permitted, &p->cap_inheritable,
                                               &p->cap_ambient};

        return sets[i];
}

static void add_caps(struct json_object *process, struct spec_process *p)
{
        struct json_object *caps = json_object(process, "capabilities");

        for (size_t i = 0; i < SPEC_CAP_SETS; i++) {
                struct json_object *list = json_array(caps, spec_cap_sets[i]);

                for (int cap = 0; cap < CAPS_COUNT; cap++) {
                        if (*spec_cap_set(p, i) & (UINT64_C(1) << cap))
                                json_object_array_add(list, json_object_new_string(cap_name(cap)));
                }
        }
}

static void add_rlimits(struct json_object *process, const struct spec_process *p)
{
        struct json_object *list;

        if (!p->n_rlimits)
                return;
        list = json_array(process, "rlimits");
        for (size_t i = 0; i < p->n_rlimits; i++) {
                struct json_object *o = json_object_new_object();
                char type[32];

                (void)snprintf(type, sizeof(type), "RLIMIT_%s",
                               spec_rlimit_name(p->rlimits[i].resource));
                for (char *c = type; *c; c++) {
                        if (*c >= 'a' && *c <= 'z')
                                *c = (char)(*c - 'a' + 'A');
                }
                json_add_string(o, "type", type);
                json_add_uint(o, "soft", p->rlimits[i].soft);
                json_add_uint(o, "hard", p->rlimits[i].hard);
                json_object_array_add(list, o);
        }
}

static void add_process(struct json_object *doc, const struct spec *s)
{
        struct spec_process p =
            s->process; /* a copy of the struct: spec_cap_set() wants it mutable */
        struct json_object *o = json_object(doc, "process");
        struct json_object *user = json_object(o, "user");

        if (p.terminal)
                json_add_bool(o, "terminal", true);
        if (p.rows || p.cols) {
                struct json_object *size = json_object(o, "consoleSize");

                json_add_uint(size, "height", p.rows);
                json_add_uint(size, "width", p.cols);
        }
        if (p.umask >= 0)
                json_add_int(user, "umask", p.umask);
        json_object_object_add(o, "args", json_from_strv(&p.args));
        json_object_object_add(o, "env", json_from_strv(&p.env));
        json_add_string(o, "cwd", p.cwd ? p.cwd : "/");
        add_caps(o, &p);
        add_rlimits(o, &p);
        json_add_bool(o, "noNewPrivileges", p.no_new_privileges);
        if (p.oom_score_adj != INT64_MIN)
                json_add_int(o, "oomScoreAdj", p.oom_score_adj);
}

static void add_mounts(struct json_object *doc, const struct spec *s)
{
        struct json_object *list = json_array(doc, "mounts");

        for (size_t i = 0; i < s->n_mounts; i++) {
                const struct spec_mount *m = &s->mounts[i];
                struct json_object *o = json_object_new_object();

                json_add_string(o, "destination", m->destination);
                json_add_string(o, "type", m->type);
                json_add_string(o, "source", m->source);
                json_object_object_add(o, "options", json_from_strv(&m->options));
                if (m->create_missing)
                        json_add_bool(o, "kelpCreateMissing", true);
                if (m->file)
                        json_add_bool(o, "kelpFile", true);
                if (m->chown)
                        json_add_bool(o, "kelpChown", true);
                if (m->of_ipc)
                        json_add_bool(o, "kelpOfIpc", true);
                if (m->subpath)
                        json_add_string(o, "kelpSubpath", m->subpath);
                if (m->layers.n)
                        json_object_object_add(o, "kelpLayers", json_from_strv(&m->layers));
                if (m->upper)
                        json_add_string(o, "kelpUpper", m->upper);
                if (m->work)
                        json_add_string(o, "kelpWork", m->work);
                json_object_array_add(list, o);
        }
}

static void add_linux(struct json_object *doc, const struct spec *s)
{
        struct json_object *o = json_object(doc, "linux");
        struct json_object *list = json_array(o, "namespaces");

        for (size_t i = 0; i < SPEC_NS_COUNT; i++) {
                struct json_object *ns;

                if (!s->ns[i].enabled)
                        continue;
                ns = json_object_new_object();
                json_add_string(ns, "type", spec_ns_name((enum spec_ns)i));
                if (s->ns[i].path)
                        json_add_string(ns, "path", s->ns[i].path);
                json_object_array_add(list, ns);
        }
        if (s->uid_map.n)
                json_object_object_add(o, "uidMappings", id_map_to_json(&s->uid_map));
        if (s->gid_map.n)
                json_object_object_add(o, "gidMappings", id_map_to_json(&s->gid_map));
        json_object_object_add(o, "maskedPaths", json_from_strv(&s->masked_paths));
        json_object_object_add(o, "readonlyPaths", json_from_strv(&s->readonly_paths));
        if (s->sysctl.n)
                json_add_pairs(json_object(o, "sysctl"), &s->sysctl);
        if (s->process.personality >= 0)
                json_add_string(json_object(o, "personality"), "domain",
                                spec_personality_name(s->process.personality));
}

static void add_devices(struct json_object *kelp, const struct spec *s)
{
        struct json_object *list;

        if (!s->n_devices)
                return;
        list = json_array(kelp, "devices");
        for (size_t i = 0; i < s->n_devices; i++) {
                struct json_object *o = json_object_new_object();

                json_add_string(o, "path", s->devices[i].path);
                json_add_string(o, "hostPath", s->devices[i].host_path);
                json_add_string(o, "access", s->devices[i].access);
                json_object_array_add(list, o);
        }
}

static void add_secrets(struct json_object *kelp, const struct spec *s)
{
        struct json_object *list;

        if (!s->n_secrets)
                return;
        list = json_array(kelp, "secrets");
        for (size_t i = 0; i < s->n_secrets; i++) {
                const struct spec_secret *secret = &s->secrets[i];
                struct json_object *o = json_object_new_object();

                json_add_string(o, "name", secret->name);
                json_add_string(o, "target", secret->target);
                json_add_string(o, "file", secret->file);
                if (secret->env)
                        json_add_bool(o, "env", true);
                json_add_uint(o, "uid", secret->uid);
                json_add_uint(o, "gid", secret->gid);
                json_add_uint(o, "mode", secret->mode);
                json_object_array_add(list, o);
        }
}

static void add_field(struct json_object *kelp, const struct spec_field *f, const void *at)
{
        switch (f->kind) {
        case SPEC_FIELD_STRING:
                if (*(char *const *)at)
                        json_add_string(kelp, f->name, *(char *const *)at);
                break;
        case SPEC_FIELD_STRV:
                if (((const struct strv *)at)->n)
                        json_object_object_add(kelp, f->name, json_from_strv(at));
                break;
        case SPEC_FIELD_BOOL:
                if (*(const bool *)at)
                        json_add_bool(kelp, f->name, true);
                break;
        case SPEC_FIELD_U32:
                json_add_uint(kelp, f->name, *(const uint32_t *)at);
                break;
        }
}

static void add_kelp(struct json_object *doc, const struct spec *s)
{
        struct json_object *kelp = json_object(doc, "kelp");

        for (size_t i = 0; i < spec_kelp_n_fields; i++)
                add_field(kelp, &spec_kelp_fields[i], (const char *)s + spec_kelp_fields[i].offset);
        json_add_string(kelp, "root", s->root_kind == SPEC_ROOT_LAYERS ? "layers" : "directory");
        json_add_string(kelp, "seccomp", spec_seccomp_names[s->seccomp]);
        json_add_int(kelp, "stopSignal", s->stop_signal);
        add_devices(kelp, s);
        add_secrets(kelp, s);
}

struct json_object *spec_to_json(const struct spec *s)
{
        struct json_object *doc = json_object_new_object();
        struct json_object *root;

        json_add_string(doc, "ociVersion", SPEC_OCI_VERSION);
        add_process(doc, s);
        root = json_object(doc, "root");
        json_add_string(root, "path", s->root_path ? s->root_path : "rootfs");
        json_add_bool(root, "readonly", s->root_readonly);
        json_add_string(doc, "hostname", s->hostname);
        if (s->domainname)
                json_add_string(doc, "domainname", s->domainname);
        add_mounts(doc, s);
        if (s->annotations.n)
                json_add_pairs(json_object(doc, "annotations"), &s->annotations);
        add_linux(doc, s);
        add_kelp(doc, s);
        return doc;
}
