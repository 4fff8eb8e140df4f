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
int run_mount_take_option(struct run_mount *m, const char *o, const char *value,
                          struct err **reterr)
{
        if (is_plain_option(o)) {
                strv_add(&m->options, o);
                return 1;
        }
        /* SELinux labels: without SELinux there is nothing to label, and Docker takes them silently there too. Consistency is about
         * Docker's virtual machines: there it has had no effect for years. */
        if (strcmp(o, "z") == 0 || strcmp(o, "Z") == 0 || strcmp(o, "cached") == 0 ||
            strcmp(o, "delegated") == 0 || strcmp(o, "consistent") == 0)
                return 1;
        if (strcmp(o, "U") == 0)
                m->chown = true;
        else if (strcmp(o, "O") == 0)
                m->overlay = true;
        else if (strcmp(o, "nocopy") == 0)
                m->no_copy = true;
        else if (strcmp(o, "copy") == 0)
                m->no_copy = false;
        else if (str_starts(o, "upperdir=") && o[9])
                return free(m->upper), m->upper = xstrdup(o + 9), 1;
        else if (str_starts(o, "workdir=") && o[8])
                return free(m->work), m->work = xstrdup(o + 8), 1;
        else if (strcmp(o, "idmap") == 0 || str_starts(o, "idmap=")) {
                (void)err_new(reterr, ERR_UNSUPPORTED,
                              "mount '%s': option '%s': the kernel lets only the administrator map "
                              "the ids of a mount of the host's file systems",
                              value, o);
                return err_hint(reterr, -EOPNOTSUPP,
                                "--userns=keep-id gives the container your own id instead");
        } else
                return 0;
        return 1;
}

/* What is only known once the whole value was read. */
int run_mount_check(const struct run_mount *m, const char *value, struct err **reterr)
{
        const char *why = NULL;

        if (m->no_copy && m->type != RUN_MOUNT_VOLUME)
                why = "nocopy is for volumes";
        else if (m->overlay && m->type != RUN_MOUNT_BIND && m->type != RUN_MOUNT_VOLUME)
                why = "O is for directories of the host and volumes";
        else if (!m->overlay && (m->upper || m->work))
                why = "upperdir and workdir go with the option O";
        else if (!m->upper != !m->work)
                why = "upperdir and workdir go together";
        else if (m->upper && (m->upper[0] != '/' || m->work[0] != '/'))
                why = "upperdir and workdir are absolute paths";
        else if (m->chown && m->type != RUN_MOUNT_BIND && m->type != RUN_MOUNT_VOLUME)
                why = "U is for directories of the host and volumes";
        else if (m->chown && m->overlay)
                why = "U would change the files that O leaves as they are";
        return why ? err_new(reterr, ERR_USAGE, "mount '%s': %s", value, why) : 0;
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

int run_mount_check_target(const char *what, const char *value, const char *target,
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
        if ((r = run_mount_check_target("volume", value, m.target, reterr)) < 0)
                return r;
        if (parts.n == 3)
                strv_split(&options, parts.v[2], ',');
        for (size_t i = 0; i < options.n; i++) {
                r = run_mount_take_option(&m, options.v[i], value, reterr);
                if (r < 0)
                        return r;
                if (r == 0)
                        return err_new(reterr, ERR_USAGE, "volume '%s': unknown option '%s'", value,
                                       options.v[i]);
        }
        if ((r = run_mount_check(&m, value, reterr)) < 0)
                return r;
        *ret = m;
        m = (struct run_mount){0};
        return 0;
}

int run_mount_size(struct run_mount *m, const char *v, const char *value, struct err **reterr)
{
        uint64_t bytes;

        if (!v || parse_size(v, &bytes) < 0)
                return err_new(reterr, ERR_USAGE, "mount '%s': '%s' is not a size", value,
                               v ? v : "");
        strv_addf(&m->options, "size=%llu", (unsigned long long)bytes);
        return 0;
}

int run_mount_mode(struct run_mount *m, const char *v, const char *value, struct err **reterr)
{
        uint32_t mode;

        if (!v || parse_octal_mode(v, &mode) < 0 || mode > 07777)
                return err_new(reterr, ERR_USAGE, "mount '%s': '%s' is not an octal mode", value,
                               v ? v : "");
        strv_addf(&m->options, "mode=%o", mode);
        return 0;
}

/* tmpfs(5) options that may come from outside; the rest of the list are plain mount options. */
static int tmpfs_option(struct run_mount *m, const char *value, const char *o, struct err **reterr)
{
        uint32_t id;

        if (str_starts(o, "size="))
                return run_mount_size(m, o + 5, value, reterr);
        if (str_starts(o, "mode="))
                return run_mount_mode(m, o + 5, value, reterr);
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
        if ((r = run_mount_check_target("tmpfs", value, m.target, reterr)) < 0)
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
