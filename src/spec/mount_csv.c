/* SPDX-License-Identifier: Apache-2.0 */
/* mount_csv.c — the value of --mount: KEY=VALUE pairs as one line of comma-separated values, quotes included, as Docker reads it. */
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "spec/options.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

#define TYPE(t)  (1U << RUN_MOUNT_##t)
#define ANY_TYPE (~0U)

struct mount_parse {
        const char *value; /* the whole, for messages */
        struct run_mount *m;
        bool image_rw;
};

static int mount_bool(const struct mount_parse *p, const char *key, const char *v, bool *ret,
                      struct err **reterr)
{
        *ret = true;
        if (v && parse_bool(v, ret) < 0)
                return err_new(reterr, ERR_USAGE, "mount '%s': %s: '%s' is not a truth value",
                               p->value, key, v);
        return 0;
}

static int mount_type(struct mount_parse *p, const char *v, struct err **reterr)
{
        for (int i = 0; v && i < RUN_MOUNT_TYPE_COUNT; i++) {
                if (strcmp(v, run_mount_type_name((enum run_mount_type)i)) == 0) {
                        p->m->type = (enum run_mount_type)i;
                        return 0;
                }
        }
        (void)err_new(reterr, ERR_USAGE, "mount '%s': unknown type '%s'", p->value, v ? v : "");
        return err_hint(reterr, -EINVAL,
                        "types are bind, devpts, glob, image, ramfs, tmpfs and volume");
}

static int mount_readonly(struct mount_parse *p, const char *v, struct err **reterr)
{
        bool on;
        int r = mount_bool(p, "readonly", v, &on, reterr);

        if (r >= 0)
                strv_add(&p->m->options, on ? "ro" : "rw");
        p->image_rw = r >= 0 ? !on : p->image_rw;
        return r;
}

static int mount_readwrite(struct mount_parse *p, const char *v, struct err **reterr)
{
        bool on;
        int r = mount_bool(p, "rw", v, &on, reterr);

        if (r >= 0)
                strv_add(&p->m->options, on ? "rw" : "ro");
        p->image_rw = r >= 0 ? on : p->image_rw;
        return r;
}

static int mount_propagation(struct mount_parse *p, const char *v, struct err **reterr)
{
        static const char *const known[] = {"private", "rprivate", "slave",
                                            "rslave",  "shared",   "rshared"};

        for (size_t i = 0; v && i < ARRAY_SIZE(known); i++) {
                if (strcmp(v, known[i]) == 0) {
                        strv_add(&p->m->options, v);
                        return 0;
                }
        }
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown propagation '%s'", p->value,
                       v ? v : "");
}

/* Docker: enabled, disabled (this mount only), writable (only the top is read-only), readonly (all of it or fail). */
static int mount_recursive(struct mount_parse *p, const char *v, struct err **reterr)
{
        static const struct {
                const char *name, *option;
        } known[] = {
            {"enabled", "rbind"}, {"disabled", "bind"}, {"writable", "rbind"}, {"readonly", "rro"}};

        for (size_t i = 0; v && i < ARRAY_SIZE(known); i++) {
                if (strcmp(v, known[i].name) == 0) {
                        strv_add(&p->m->options, known[i].option);
                        p->m->writable_below = strcmp(v, "writable") == 0;
                        return 0;
                }
        }
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown bind-recursive '%s'", p->value,
                       v ? v : "");
}

static int mount_nonrecursive(struct mount_parse *p, const char *v, struct err **reterr)
{
        bool on;
        int r = mount_bool(p, "bind-nonrecursive", v, &on, reterr);

        if (r >= 0)
                strv_add(&p->m->options, on ? "bind" : "rbind");
        return r;
}

static int mount_create(struct mount_parse *p, const char *v, struct err **reterr)
{
        return mount_bool(p, "bind-create-src", v, &p->m->create_source, reterr);
}

static int mount_size(struct mount_parse *p, const char *v, struct err **reterr)
{
        return run_mount_size(p->m, v, p->value, reterr);
}

static int mount_mode(struct mount_parse *p, const char *v, struct err **reterr)
{
        return run_mount_mode(p->m, v, p->value, reterr);
}

static int take_string(const struct mount_parse *p, const char *key, const char *v, char **ret,
                       struct err **reterr)
{
        if (str_empty(v))
                return err_new(reterr, ERR_USAGE, "mount '%s': %s has no value", p->value, key);
        free(*ret);
        *ret = xstrdup(v);
        return 0;
}

static int mount_source(struct mount_parse *p, const char *v, struct err **reterr)
{
        (void)reterr;
        free(p->m->source);
        p->m->source = str_empty(v) ? NULL : xstrdup(v);
        return 0;
}

static int mount_target(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_string(p, "target", v, &p->m->target, reterr);
}

static int mount_subpath(struct mount_parse *p, const char *v, struct err **reterr)
{
        AUTO_FREE char *clean = NULL;
        int r = take_string(p, "subpath", v, &p->m->subpath, reterr);

        if (r < 0)
                return r;
        /* Where its links lead is seen when it is mounted; what is said here must already stay inside. */
        clean = path_clean(p->m->subpath);
        if (p->m->subpath[0] == '/' || strcmp(clean, "..") == 0 || str_starts(clean, "../"))
                return err_new(reterr, ERR_USAGE,
                               "mount '%s': subpath '%s' is not a path below the source", p->value,
                               p->m->subpath);
        return 0;
}

static int mount_nocopy(struct mount_parse *p, const char *v, struct err **reterr)
{
        return mount_bool(p, "volume-nocopy", v, &p->m->no_copy, reterr);
}

static int mount_chown(struct mount_parse *p, const char *v, struct err **reterr)
{
        return mount_bool(p, "chown", v, &p->m->chown, reterr);
}

static int mount_driver(struct mount_parse *p, const char *v, struct err **reterr)
{
        if (v && strcmp(v, "local") == 0)
                return 0;
        (void)err_new(reterr, ERR_UNSUPPORTED,
                      "mount '%s': volume driver '%s': there is no such "
                      "driver",
                      p->value, v ? v : "");
        return err_hint(reterr, -EOPNOTSUPP, "the one driver is 'local'");
}

static int take_pair(const struct mount_parse *p, const char *key, const char *v, struct strv *ret,
                     struct err **reterr)
{
        if (!v || !*v || *v == '=')
                return err_new(reterr, ERR_USAGE, "mount '%s': %s: '%s' is not KEY=VALUE", p->value,
                               key, v ? v : "");
        if (strchr(v, '='))
                strv_add(ret, v);
        else
                strv_addf(ret, "%s=", v);
        return 0;
}

static int mount_volume_opt(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_pair(p, "volume-opt", v, &p->m->volume_options, reterr);
}

static int mount_volume_label(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_pair(p, "volume-label", v, &p->m->volume_labels, reterr);
}

static int mount_consistency(struct mount_parse *p, const char *v, struct err **reterr)
{
        static const char *const known[] = {"default", "consistent", "cached", "delegated"};

        for (size_t i = 0; v && i < ARRAY_SIZE(known); i++) {
                if (strcmp(known[i], v) == 0)
                        return 0;
        }
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown consistency '%s'", p->value,
                       v ? v : "");
}

static int mount_relabel(struct mount_parse *p, const char *v, struct err **reterr)
{
        if (v && (strcmp(v, "shared") == 0 || strcmp(v, "private") == 0))
                return 0; /* as z and Z of -v */
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown relabel '%s'", p->value, v ? v : "");
}

/* An option of the file system itself, a number: uid, gid, max, or a mode. */
static int take_parameter(const struct mount_parse *p, const char *key, const char *v, bool octal,
                          struct err **reterr)
{
        uint32_t number;

        if (!v || (octal ? parse_octal_mode(v, &number) : parse_u32(v, &number)) < 0)
                return err_new(reterr, ERR_USAGE, "mount '%s': %s: '%s' is no number", p->value,
                               key, v ? v : "");
        strv_addf(&p->m->options, octal ? "%s=%o" : "%s=%u", key, number);
        return 0;
}

static int mount_uid(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_parameter(p, "uid", v, false, reterr);
}

static int mount_gid(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_parameter(p, "gid", v, false, reterr);
}

static int mount_max(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_parameter(p, "max", v, false, reterr);
}

static int mount_pts_mode(struct mount_parse *p, const char *v, struct err **reterr)
{
        return take_parameter(p, "mode", v, true, reterr);
}

static const struct {
        const char *key;
        int (*take)(struct mount_parse *p, const char *v, struct err **reterr);
        unsigned types;
} mount_keys[] = {
    {"type", mount_type, ANY_TYPE},
    {"source", mount_source, ANY_TYPE},
    {"src", mount_source, ANY_TYPE},
    {"target", mount_target, ANY_TYPE},
    {"destination", mount_target, ANY_TYPE},
    {"dst", mount_target, ANY_TYPE},
    {"readonly", mount_readonly, ANY_TYPE},
    {"ro", mount_readonly, ANY_TYPE},
    {"rw", mount_readwrite, ANY_TYPE},
    {"readwrite", mount_readwrite, ANY_TYPE},
    {"consistency", mount_consistency, ANY_TYPE},
    {"relabel", mount_relabel, TYPE(BIND) | TYPE(VOLUME)},
    {"uid", mount_uid, TYPE(DEVPTS)},
    {"gid", mount_gid, TYPE(DEVPTS)},
    {"max", mount_max, TYPE(DEVPTS)},
    {"mode", mount_pts_mode, TYPE(DEVPTS)},
    {"bind-propagation", mount_propagation, TYPE(BIND) | TYPE(GLOB)},
    {"bind-recursive", mount_recursive, TYPE(BIND)},
    {"bind-nonrecursive", mount_nonrecursive, TYPE(BIND)},
    {"bind-create-src", mount_create, TYPE(BIND)},
    {"U", mount_chown, TYPE(BIND) | TYPE(VOLUME)},
    {"chown", mount_chown, TYPE(BIND) | TYPE(VOLUME)},
    {"tmpfs-size", mount_size, TYPE(TMPFS)},
    {"tmpfs-mode", mount_mode, TYPE(TMPFS) | TYPE(RAMFS)},
    {"volume-nocopy", mount_nocopy, TYPE(VOLUME)},
    {"volume-driver", mount_driver, TYPE(VOLUME)},
    {"volume-opt", mount_volume_opt, TYPE(VOLUME)},
    {"volume-label", mount_volume_label, TYPE(VOLUME)},
    {"volume-subpath", mount_subpath, TYPE(VOLUME)},
    {"image-subpath", mount_subpath, TYPE(IMAGE)},
    {"subpath", mount_subpath, TYPE(VOLUME) | TYPE(IMAGE)},
};

static int find_key(const char *pair)
{
        size_t n = strcspn(pair, "=");

        for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++) {
                if (strlen(mount_keys[i].key) == n && memcmp(mount_keys[i].key, pair, n) == 0)
                        return (int)i;
        }
        return -1;
}

static int mount_pair(struct mount_parse *p, const char *pair, struct err **reterr)
{
        const char *equals = strchr(pair, '=');
        int key = find_key(pair), r;

        if (key >= 0)
                return mount_keys[key].take(p, equals ? equals + 1 : NULL, reterr);
        if ((r = run_mount_take_option(p->m, pair, p->value, reterr)) != 0)
                return r < 0 ? r : 0;
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown option '%.*s'", p->value,
                       (int)strcspn(pair, "="), pair);
}

/* A key may come before the type that it does not go with. */
static int check_keys(const struct mount_parse *p, const struct strv *parts, struct err **reterr)
{
        for (size_t i = 0; i < parts->n; i++) {
                int key = find_key(parts->v[i]);

                if (key >= 0 && !(mount_keys[key].types & 1U << p->m->type))
                        return err_new(reterr, ERR_USAGE,
                                       "mount '%s': '%s' does not go with the type %s", p->value,
                                       mount_keys[key].key, run_mount_type_name(p->m->type));
        }
        return 0;
}

static int mount_check(const struct mount_parse *p, struct err **reterr)
{
        const unsigned with_source = TYPE(BIND) | TYPE(IMAGE) | TYPE(GLOB),
                       without = TYPE(TMPFS) | TYPE(DEVPTS) | TYPE(RAMFS);
        const struct run_mount *m = p->m;
        int r = 0;

        /* What a pattern matches may be mounted where it is. */
        if (m->type != RUN_MOUNT_GLOB || m->target)
                r = run_mount_check_target("mount", p->value, m->target, reterr);
        if (r < 0)
                return r;
        if ((with_source & 1U << m->type) && !m->source)
                return err_new(reterr, ERR_USAGE, "mount '%s': the source is missing", p->value);
        if ((without & 1U << m->type) && m->source)
                return err_new(reterr, ERR_USAGE, "mount '%s': a %s has no source", p->value,
                               run_mount_type_name(m->type));
        if (m->type != RUN_MOUNT_TMPFS && strv_contains(&m->options, "tmpcopyup"))
                return err_new(reterr, ERR_USAGE, "mount '%s': tmpcopyup is for tmpfs only",
                               p->value);
        return run_mount_check(m, p->value, reterr);
}

int run_csv_split(const char *what, const char *value, struct strv *ret, struct err **reterr)
{
        const char *at = value;

        for (;;) {
                AUTO_STRBUF field = {0};

                if (*at == '"') {
                        for (at++; *at && (*at != '"' || at[1] == '"'); at++) {
                                strbuf_add_len(&field, at, 1);
                                at += *at == '"';
                        }
                        if (*at != '"' || (at[1] && at[1] != ','))
                                return err_new(reterr, ERR_USAGE, "%s '%s': a quote is not closed",
                                               what, value);
                        at++;
                } else {
                        size_t n = strcspn(at, ",");

                        strbuf_add_len(&field, at, n);
                        at += n;
                }
                strv_add_take(ret, strbuf_take(&field));
                if (!*at)
                        return 0;
                at++;
        }
}

int run_mount_parse_mount(const char *value, struct run_mount *ret, struct err **reterr)
{
        AUTO(run_mount_release) struct run_mount m = {.type = RUN_MOUNT_VOLUME, .csv = true};
        struct mount_parse p = {.value = value, .m = &m};
        AUTO_STRV parts = {0};
        int r = run_csv_split("mount", value, &parts, reterr);

        for (size_t i = 0; r >= 0 && i < parts.n; i++)
                r = mount_pair(&p, parts.v[i], reterr);
        if (r < 0 || (r = check_keys(&p, &parts, reterr)) < 0 || (r = mount_check(&p, reterr)) < 0)
                return r;
        /* An image is for reading unless it was said otherwise. */
        if (m.type == RUN_MOUNT_IMAGE && !p.image_rw)
                strv_add(&m.options, "ro");
        *ret = m;
        m = (struct run_mount){0};
        return 0;
}
