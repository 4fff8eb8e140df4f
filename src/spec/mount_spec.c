/* SPDX-License-Identifier: Apache-2.0 */
/* mount_spec.c — the values of -v, --mount and --tmpfs. Pure; hostile input as far as scripts pass strangers' strings on. */
#include "spec/options.h"

#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

/* Options of -v and of a bind or tmpfs mount that go to the launcher as they are. */
static const char *const plain_options[] = {
    "ro",         "rro",      "rw",          "bind",      "rbind",  "private",  "rprivate",
    "slave",      "rslave",   "shared",      "rshared",   "nosuid", "suid",     "nodev",
    "dev",        "noexec",   "exec",        "noatime",   "atime",  "relatime", "strictatime",
    "nodiratime", "diratime", "nosymfollow", "tmpcopyup",
};

static bool is_plain_option(const char *o)
{
        for (size_t i = 0; i < ARRAY_SIZE(plain_options); i++) {
                if (strcmp(plain_options[i], o) == 0)
                        return true;
        }
        return false;
}

/* Docker spells some of them otherwise; some belong to what this host cannot have. 1: taken; 0: unknown. */
static int take_volume_option(struct run_mount *m, const char *o, const char *value,
                              struct err **reterr)
{
        if (is_plain_option(o)) {
                strv_add(&m->options, o);
                return 1;
        }
        /* SELinux labels: without SELinux there is nothing to label, and Docker takes them silently there too. */
        if (strcmp(o, "z") == 0 || strcmp(o, "Z") == 0 || strcmp(o, "cached") == 0 ||
            strcmp(o, "delegated") == 0 || strcmp(o, "consistent") == 0)
                return 1;
        if (strcmp(o, "U") == 0 || strcmp(o, "O") == 0 || strcmp(o, "idmap") == 0 ||
            str_starts(o, "idmap=")) {
                (void)err_new(reterr, ERR_UNSUPPORTED, "volume '%s': option '%s'", value, o);
                return err_hint(
                    reterr, -EOPNOTSUPP,
                    "this version mounts a directory with the owners it has; see --userns=keep-id");
        }
        return 0;
}

static int split_volume(const char *value, struct strv *parts, struct err **reterr)
{
        strv_split(parts, value, ':');
        if (parts->n > 3)
                return err_new(reterr, ERR_USAGE,
                               "volume '%s': more than SOURCE:TARGET:OPTIONS (use --mount for "
                               "paths with a colon)",
                               value);
        for (size_t i = 0; i < parts->n; i++) {
                if (!*parts->v[i])
                        return err_new(reterr, ERR_USAGE, "volume '%s': an empty part", value);
        }
        return 0;
}

static int check_target(const char *what, const char *value, const char *target,
                        struct err **reterr)
{
        AUTO_FREE char *clean = NULL;

        if (str_empty(target))
                return err_new(reterr, ERR_USAGE, "%s '%s': the target is missing", what, value);
        if (target[0] != '/')
                return err_new(reterr, ERR_USAGE, "%s '%s': target '%s' is not absolute", what,
                               value, target);
        clean = path_clean(target);
        if (strcmp(clean, "/") == 0)
                return err_new(reterr, ERR_USAGE, "%s '%s': the target cannot be '/'", what, value);
        return 0;
}

int run_mount_parse_volume(const char *value, struct run_mount *ret, struct err **reterr)
{
        AUTO(run_mount_release)
        struct run_mount m = {.type = RUN_MOUNT_BIND, .create_source = true};
        AUTO_STRV parts = {0};
        AUTO_STRV options = {0};
        int r = split_volume(value, &parts, reterr);

        if (r < 0)
                return r;
        if (parts.n == 1) {
                m.type = RUN_MOUNT_VOLUME; /* anonymous */
                m.target = xstrdup(parts.v[0]);
        } else {
                m.source = xstrdup(parts.v[0]);
                m.target = xstrdup(parts.v[1]);
                if (m.source[0] != '/' && m.source[0] != '.' && m.source[0] != '~')
                        m.type = RUN_MOUNT_VOLUME;
        }
        if ((r = check_target("volume", value, m.target, reterr)) < 0)
                return r;
        if (parts.n == 3)
                strv_split(&options, parts.v[2], ',');
        for (size_t i = 0; i < options.n; i++) {
                r = take_volume_option(&m, options.v[i], value, reterr);
                if (r < 0)
                        return r;
                if (r == 0)
                        return err_new(reterr, ERR_USAGE, "volume '%s': unknown option '%s'", value,
                                       options.v[i]);
        }
        *ret = m;
        m = (struct run_mount){0};
        return 0;
}

struct mount_parse {
        const char *value; /* the whole, for messages */
        struct run_mount *m;
        bool type_given;
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
        static const struct {
                const char *name;
                enum run_mount_type type;
        } types[] = {
            {"bind", RUN_MOUNT_BIND}, {"tmpfs", RUN_MOUNT_TMPFS}, {"volume", RUN_MOUNT_VOLUME}};

        p->type_given = true;
        for (size_t i = 0; v && i < ARRAY_SIZE(types); i++) {
                if (strcmp(v, types[i].name) == 0) {
                        p->m->type = types[i].type;
                        return 0;
                }
        }
        (void)err_new(reterr, ERR_USAGE, "mount '%s': unknown type '%s'", p->value, v ? v : "");
        return err_hint(reterr, -EINVAL, "types are bind, tmpfs and volume");
}

static int mount_readonly(struct mount_parse *p, const char *v, struct err **reterr)
{
        bool on;
        int r = mount_bool(p, "readonly", v, &on, reterr);

        if (r >= 0 && on)
                strv_add(&p->m->options, "ro");
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

static int mount_size(struct mount_parse *p, const char *v, struct err **reterr)
{
        uint64_t bytes;

        if (!v || parse_size(v, &bytes) < 0)
                return err_new(reterr, ERR_USAGE, "mount '%s': '%s' is not a size", p->value,
                               v ? v : "");
        strv_addf(&p->m->options, "size=%llu", (unsigned long long)bytes);
        return 0;
}

static int mount_mode(struct mount_parse *p, const char *v, struct err **reterr)
{
        uint32_t mode;

        if (!v || parse_octal_mode(v, &mode) < 0 || mode > 07777)
                return err_new(reterr, ERR_USAGE, "mount '%s': '%s' is not an octal mode", p->value,
                               v ? v : "");
        strv_addf(&p->m->options, "mode=%o", mode);
        return 0;
}

static int mount_source(struct mount_parse *p, const char *v, struct err **reterr)
{
        (void)reterr;
        free(p->m->source);
        p->m->source = xstrdup(v);
        return 0;
}

static int mount_target(struct mount_parse *p, const char *v, struct err **reterr)
{
        (void)reterr;
        free(p->m->target);
        p->m->target = xstrdup(v);
        return 0;
}

static const struct {
        const char *key;
        int (*take)(struct mount_parse *p, const char *v, struct err **reterr);
} mount_keys[] = {
    {"type", mount_type},
    {"source", mount_source},
    {"src", mount_source},
    {"target", mount_target},
    {"destination", mount_target},
    {"dst", mount_target},
    {"readonly", mount_readonly},
    {"ro", mount_readonly},
    {"bind-propagation", mount_propagation},
    {"bind-recursive", mount_recursive},
    {"tmpfs-size", mount_size},
    {"tmpfs-mode", mount_mode},
};

static int mount_pair(struct mount_parse *p, const char *pair, struct err **reterr)
{
        const char *equals = strchr(pair, '=');
        AUTO_FREE char *key = xstrndup(pair, equals ? (size_t)(equals - pair) : strlen(pair));
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++) {
                if (strcmp(mount_keys[i].key, key) == 0)
                        return mount_keys[i].take(p, equals ? equals + 1 : NULL, reterr);
        }
        if (!equals && (r = take_volume_option(p->m, pair, p->value, reterr)) != 0)
                return r < 0 ? r : 0;
        return err_new(reterr, ERR_USAGE, "mount '%s': unknown option '%s'", p->value, key);
}

static int mount_check(const struct mount_parse *p, struct err **reterr)
{
        const struct run_mount *m = p->m;
        int r = check_target("mount", p->value, m->target, reterr);

        if (r < 0)
                return r;
        if (!p->type_given)
                return err_new(reterr, ERR_USAGE, "mount '%s': the type is missing", p->value);
        if (m->type == RUN_MOUNT_BIND && str_empty(m->source))
                return err_new(reterr, ERR_USAGE, "mount '%s': the source is missing", p->value);
        if (m->type == RUN_MOUNT_TMPFS && !str_empty(m->source))
                return err_new(reterr, ERR_USAGE, "mount '%s': a tmpfs has no source", p->value);
        for (size_t i = 0; m->type != RUN_MOUNT_TMPFS && i < m->options.n; i++) {
                if (str_starts(m->options.v[i], "size=") || str_starts(m->options.v[i], "mode="))
                        return err_new(reterr, ERR_USAGE, "mount '%s': '%s' belongs to a tmpfs",
                                       p->value, m->options.v[i]);
        }
        return 0;
}

int run_mount_parse_mount(const char *value, struct run_mount *ret, struct err **reterr)
{
        AUTO(run_mount_release) struct run_mount m = {.type = RUN_MOUNT_VOLUME};
        struct mount_parse p = {.value = value, .m = &m};
        AUTO_STRV parts = {0};
        int r = 0;

        strv_split(&parts, value, ',');
        for (size_t i = 0; r >= 0 && i < parts.n; i++)
                r = mount_pair(&p, parts.v[i], reterr);
        if (r < 0 || (r = mount_check(&p, reterr)) < 0)
                return r;
        *ret = m;
        m = (struct run_mount){0};
        return 0;
}

/* tmpfs(5) options that may come from outside; the rest of the list are plain mount options. */
static int tmpfs_option(struct run_mount *m, const char *value, const char *o, struct err **reterr)
{
        struct mount_parse p = {.value = value, .m = m};
        uint32_t id;

        if (str_starts(o, "size="))
                return mount_size(&p, o + 5, reterr);
        if (str_starts(o, "mode="))
                return mount_mode(&p, o + 5, reterr);
        if ((str_starts(o, "uid=") || str_starts(o, "gid=")) && parse_u32(o + 4, &id) == 0) {
                strv_add(&m->options, o);
                return 0;
        }
        if (str_starts(o, "nr_inodes=") && o[10]) {
                strv_add(&m->options, o);
                return 0;
        }
        if (strcmp(o, "notmpcopyup") == 0)
                return 0;
        if (is_plain_option(o) && strcmp(o, "bind") != 0 && strcmp(o, "rbind") != 0) {
                strv_add(&m->options, o);
                return 0;
        }
        return err_new(reterr, ERR_USAGE, "tmpfs '%s': unknown option '%s'", value, o);
}

int run_mount_parse_tmpfs(const char *value, struct run_mount *ret, struct err **reterr)
{
        AUTO(run_mount_release) struct run_mount m = {.type = RUN_MOUNT_TMPFS};
        const char *colon = strchr(value, ':');
        AUTO_STRV options = {0};
        int r;

        m.target = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
        if ((r = check_target("tmpfs", value, m.target, reterr)) < 0)
                return r;
        if (colon && colon[1])
                strv_split(&options, colon + 1, ',');
        for (size_t i = 0; i < options.n; i++) {
                if ((r = tmpfs_option(&m, value, options.v[i], reterr)) < 0)
                        return r;
        }
        *ret = m;
        m = (struct run_mount){0};
        return 0;
}
