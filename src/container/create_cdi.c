/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create_cdi — devices by name, as the Container Device Interface describes them: "--device VENDOR/CLASS=NAME". A specification (JSON,
 * in /etc/cdi or /var/run/cdi, of which the latter wins) says what a container needs for a device: device nodes, mounts, variables, groups.
 * These become options like those that the user has given, and are judged like them.
 *
 * What a specification wants to be run (hooks) is refused: it would be somebody's program with all rights of the user.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "container/container_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC_MAX_BYTES (4U * 1024 * 1024)
#define LIST_MAX       4096

bool creation_is_cdi(const char *device)
{
        const char *slash = strchr(device, '/'), *equals = strchr(device, '=');

        return device[0] != '/' && slash && slash != device && equals && equals > slash + 1 &&
               equals[1];
}

/* What the search for one device has seen. */
struct search {
        const char *device;  /* the whole name, for messages */
        char *kind, *name;   /* "nvidia.com/gpu", "all" */
        struct err *damaged; /* of a file that could not be read; said only if nothing was found */
        struct strv known;   /* devices of that kind */
        bool yaml;           /* there are files that we do not read */
};

static int want_list(const struct json_at *at, const char *key, struct json_at *ret, size_t *n,
                     struct err **reterr)
{
        *ret = json_key(at, key);
        *n = 0;
        return ret->obj ? json_want_array(ret, LIST_MAX, n, reterr) : 0;
}

/* ---- what a device needs ---- */

static int add_nodes(struct creation *k, const struct json_at *edits, struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = want_list(edits, "deviceNodes", &list, &n, reterr);

        for (size_t i = 0; i < n && r >= 0; i++) {
                struct json_at at = json_elem(&list, i);
                const char *path, *host = NULL, *access = NULL;
                AUTO_FREE char *node = NULL;

                if ((r = json_want_object(&at, reterr)) < 0 ||
                    (r = json_get_string(&at, "path", &path, reterr)) < 0 ||
                    (r = json_opt_string(&at, "hostPath", &host, reterr)) < 0 ||
                    (r = json_opt_string(&at, "permissions", &access, reterr)) < 0)
                        return r;
                node = xasprintf("%s:%s:%s", host ? host : path, path,
                                 str_empty(access) ? "rwm" : access);
                if (!strv_contains(&k->cdi_devices, node))
                        strv_add(&k->cdi_devices, node);
        }
        return r;
}

static int add_mount(struct creation *k, const struct json_at *at, struct err **reterr)
{
        const char *host, *inside, *type = NULL;
        AUTO_FREE char *target = NULL;
        struct run_mount *m;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "hostPath", &host, reterr)) < 0 ||
            (r = json_get_string(at, "containerPath", &inside, reterr)) < 0 ||
            (r = json_opt_string(at, "type", &type, reterr)) < 0)
                return r;
        if (!str_empty(type) && strcmp(type, "bind") != 0 && strcmp(type, "none") != 0)
                return json_fail(at, reterr, "mounts of type '%s' are not for ordinary users",
                                 type);
        if (host[0] != '/' || inside[0] != '/')
                return json_fail(at, reterr, "a path is not absolute");
        /* The user's own mounts win, and what is for all devices of a specification comes with each of them. */
        target = path_clean(inside);
        if (creation_mount_taken(k, target))
                return 0;
        m = creation_mount_add(k);
        m->type = RUN_MOUNT_BIND;
        m->source = xstrdup(host);
        m->target = xstrdup(inside);
        m->implied = true;
        return json_opt_strv(at, "options", &m->options, reterr);
}

static int add_lists(struct creation *k, const struct json_at *edits, struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = json_opt_strv(edits, "env", &k->cdi_env, reterr);

        if (r >= 0)
                r = want_list(edits, "mounts", &list, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&list, i);

                r = add_mount(k, &at, reterr);
        }
        if (r >= 0)
                r = want_list(edits, "additionalGids", &list, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&list, i);

                if (!json_object_is_type(at.obj, json_type_int) ||
                    json_object_get_int64(at.obj) < 0)
                        return json_fail(&at, reterr, "expected a group id");
                strv_addf(&k->cdi_groups, "%lld", (long long)json_object_get_int64(at.obj));
        }
        return r;
}

static int refuse_others(const struct json_at *edits, struct err **reterr)
{
        static const struct {
                const char *key, *why;
        } all[] = {{"hooks", "it wants programs of the host to be run, which Kelp does for nobody"},
                   {"intelRdt", "resource groups of the processor are root's"},
                   {"netDevices", "network devices of the host are root's"}};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                struct json_at at = json_key(edits, all[i].key);
                int r;

                if (!at.obj || (json_object_is_type(at.obj, json_type_array) &&
                                json_object_array_length(at.obj) == 0))
                        continue;
                r = err_new(reterr, ERR_UNSUPPORTED, "%s: %s", all[i].key, all[i].why);
                return err_hint(reterr, r,
                                "write a specification without '%s' into /etc/cdi, or give the "
                                "device nodes with --device and the files with -v",
                                all[i].key);
        }
        return 0;
}

static int apply_edits(struct creation *k, const struct json_at *of, struct err **reterr)
{
        struct json_at edits = json_key(of, "containerEdits");
        int r;

        if (!edits.obj)
                return 0;
        r = json_want_object(&edits, reterr);
        if (r >= 0)
                r = refuse_others(&edits, reterr);
        if (r >= 0)
                r = add_nodes(k, &edits, reterr);
        return r < 0 ? r : add_lists(k, &edits, reterr);
}

/* ---- finding it ---- */

/* 1: it was this one; what is for all devices of the specification comes first. */
static int try_devices(struct creation *k, struct search *s, const struct json_at *root,
                       struct err **reterr)
{
        struct json_at list;
        size_t n;
        int r = want_list(root, "devices", &list, &n, reterr);

        for (size_t i = 0; i < n && r >= 0; i++) {
                struct json_at device = json_elem(&list, i);
                const char *name;

                if ((r = json_want_object(&device, reterr)) < 0 ||
                    (r = json_get_string(&device, "name", &name, reterr)) < 0)
                        return r;
                strv_add(&s->known, name);
                if (strcmp(name, s->name) != 0)
                        continue;
                r = apply_edits(k, root, reterr);
                if (r >= 0)
                        r = apply_edits(k, &device, reterr);
                return r < 0 ? r : 1;
        }
        return r;
}

static int try_file(struct creation *k, struct search *s, int dir, const char *name,
                    struct err **reterr)
{
        AUTO_JSON *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        struct json_at root;
        const char *kind = NULL;
        int r = json_read_file(dir, name, SPEC_MAX_BYTES, &doc, &e);

        root = json_root(doc, name);
        if (r >= 0)
                r = json_want_object(&root, &e);
        if (r >= 0)
                r = json_get_string(&root, "kind", &kind, &e);
        if (r < 0) {
                if (!s->damaged)
                        s->damaged = TAKE_PTR(e);
                return 0; /* it may be about anything */
        }
        return strcmp(kind, s->kind) == 0 ? try_devices(k, s, &root, reterr) : 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int try_directory(struct creation *k, struct search *s, const char *path,
                         struct err **reterr)
{
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_STRV names = {0};
        DIR *dir = fd < 0 ? NULL : opendir(path);
        int r = 0;

        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
                s->yaml = s->yaml || str_ends(e->d_name, ".yaml") || str_ends(e->d_name, ".yml");
                if (e->d_name[0] != '.' && str_ends(e->d_name, ".json"))
                        strv_add(&names, e->d_name);
        }
        if (dir)
                (void)closedir(dir);
        if (names.n > 1)
                qsort(names.v, names.n, sizeof(*names.v), by_name);
        for (size_t i = 0; i < names.n && r == 0; i++)
                r = try_file(k, s, fd, names.v[i], reterr);
        return r;
}

static int not_found(struct search *s, struct err **reterr)
{
        AUTO_STRBUF known = {0};
        int r;

        if (s->damaged && s->known.n == 0) {
                (void)err_wrap(&s->damaged, -EINVAL, "device '%s'", s->device);
                return err_move(reterr, -EINVAL, &s->damaged);
        }
        for (size_t i = 0; i < s->known.n; i++)
                strbuf_addf(&known, "%s%s", i == 0 ? "" : ", ", s->known.v[i]);
        r = err_new(reterr, ERR_NOT_FOUND,
                    "device '%s': no specification in /var/run/cdi or /etc/cdi has it", s->device);
        if (known.len > 0)
                return err_hint(reterr, r, "of %s there are: %s", s->kind, known.data);
        if (s->yaml)
                return err_hint(reterr, r,
                                "Kelp reads specifications in JSON, and those there are in YAML: "
                                "nvidia-ctk cdi generate has --format=json");
        return err_hint(reterr, r,
                        "the vendor's tool makes one, such as nvidia-ctk cdi generate "
                        "--format=json --output=/etc/cdi/nvidia.json");
}

static int add_device(struct creation *k, const char *device, struct err **reterr)
{
        static const char *const directories[] = {"/var/run/cdi", "/etc/cdi"};
        size_t n = strcspn(device, "=");
        struct search s = {
            .device = device, .kind = xstrndup(device, n), .name = xstrdup(device + n + 1)};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(directories) && r == 0; i++) {
                r = try_directory(k, &s, directories[i], reterr);
                if (r < 0)
                        (void)err_wrap(reterr, r, "device '%s'", device);
        }
        if (r == 0)
                r = not_found(&s, reterr);
        err_free(s.damaged);
        strv_release(&s.known);
        free(s.kind);
        free(s.name);
        return r < 0 ? r : 0;
}

int creation_cdi(struct creation *k, struct run_options *o, struct err **reterr)
{
        int r = 0;
        bool any = false;

        for (size_t i = 0; i < k->o->devices.n && r >= 0; i++) {
                if (creation_is_cdi(k->o->devices.v[i])) {
                        any = true;
                        r = add_device(k, k->o->devices.v[i], reterr);
                } else {
                        strv_add(&k->cdi_devices, k->o->devices.v[i]);
                }
        }
        if (r < 0 || !any)
                return r;
        strv_copy(&k->cdi_groups, &k->o->groups);
        /* What the user says himself wins over what a device is said to need. */
        for (size_t i = 0; i < k->o->env.n; i++)
                strv_env_set(&k->cdi_env, k->o->env.v[i]);
        o->devices = k->cdi_devices;
        o->groups = k->cdi_groups;
        o->env = k->cdi_env;
        return 0;
}
