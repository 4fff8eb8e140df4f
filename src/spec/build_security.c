/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_security.c — what decides about privileges: capabilities, no_new_privs, seccomp, masked paths, resource limits, sysctls.
 * docs/security.md gives the reason for every default.
 */
#include "base/err.h"
#include "base/parse.h"
#include "security/caps.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

/* What tells of the host, or acts on it, beyond what the namespaces already keep apart. */
static const char *const masked_paths[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/dev/block",    "/sys/devices/virtual/powercap",
    "/sys/firmware",    "/sys/fs/selinux",
};
static const char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static void default_paths(struct spec *s)
{
        for (size_t i = 0; i < ARRAY_SIZE(masked_paths); i++)
                strv_add(&s->masked_paths, masked_paths[i]);
        for (size_t i = 0; i < ARRAY_SIZE(readonly_paths); i++)
                strv_add(&s->readonly_paths, readonly_paths[i]);
}

/* ---- --security-opt ---- */

struct security {
        const struct run_options *o;
        struct spec *s;
        int no_new_privs; /* -1: not said */
};

static int opt_no_new_privs(struct security *c, const char *v, struct err **reterr)
{
        bool on = true;

        if (v && parse_bool(v, &on) < 0)
                return err_new(reterr, ERR_USAGE,
                               "--security-opt no-new-privileges: '%s' is not a truth value", v);
        c->no_new_privs = on;
        return 0;
}

static int opt_seccomp(struct security *c, const char *v, struct err **reterr)
{
        if (str_empty(v))
                return err_new(reterr, ERR_USAGE, "--security-opt seccomp: the profile is missing");
        free(c->s->seccomp_file);
        c->s->seccomp_file = NULL;
        if (strcmp(v, "unconfined") == 0) {
                c->s->seccomp = SPEC_SECCOMP_UNCONFINED;
        } else if (strcmp(v, "builtin") == 0) {
                c->s->seccomp = SPEC_SECCOMP_DEFAULT;
        } else {
                c->s->seccomp = SPEC_SECCOMP_FILE;
                c->s->seccomp_file = xstrdup(v);
        }
        return 0;
}

static int add_paths(struct strv *to, const char *option, const char *v, struct err **reterr)
{
        AUTO_STRV paths = {0};

        if (v)
                strv_split(&paths, v, ':');
        for (size_t i = 0; i < paths.n; i++) {
                if (paths.v[i][0] != '/')
                        return err_new(reterr, ERR_USAGE,
                                       "--security-opt %s: '%s' is not an absolute path", option,
                                       paths.v[i]);
                strv_add(to, paths.v[i]);
        }
        if (!paths.n)
                return err_new(reterr, ERR_USAGE, "--security-opt %s: the path is missing", option);
        return 0;
}

static int opt_mask(struct security *c, const char *v, struct err **reterr)
{
        return add_paths(&c->s->masked_paths, "mask", v, reterr);
}

/* Whether @path is one of the list, or lies below an entry that ends in "/" + "*", as Podman has it. */
static bool is_listed(const struct strv *list, const char *path)
{
        for (size_t i = 0; i < list->n; i++) {
                size_t n = strlen(list->v[i]);

                if (strcmp(list->v[i], path) == 0)
                        return true;
                if (n > 2 && strcmp(list->v[i] + n - 2, "/*") == 0 &&
                    strncmp(list->v[i], path, n - 1) == 0)
                        return true;
        }
        return false;
}

static void remove_listed(struct strv *from, const struct strv *list)
{
        struct strv kept = {0};

        for (size_t i = 0; i < from->n; i++) {
                if (!is_listed(list, from->v[i]))
                        strv_add(&kept, from->v[i]);
        }
        strv_release(from);
        *from = kept;
}

static int opt_unmask(struct security *c, const char *v, struct err **reterr)
{
        AUTO_STRV list = {0};
        int r;

        if (v && strcasecmp(v, "ALL") == 0) {
                strv_release(&c->s->masked_paths);
                strv_release(&c->s->readonly_paths);
                return 0;
        }
        if ((r = add_paths(&list, "unmask", v, reterr)) < 0)
                return r;
        remove_listed(&c->s->masked_paths, &list);
        remove_listed(&c->s->readonly_paths, &list);
        return 0;
}

static int opt_systempaths(struct security *c, const char *v, struct err **reterr)
{
        if (v && strcmp(v, "unconfined") == 0)
                return opt_unmask(c, "ALL", reterr);
        return err_new(reterr, ERR_USAGE, "--security-opt systempaths: only 'unconfined' is known");
}

/* Options of proc(5): hidepid=2 and the like. The kernel judges them when it is mounted. */
static int opt_proc(struct security *c, const char *v, struct err **reterr)
{
        AUTO_STRV options = {0};

        if (str_empty(v))
                return err_new(reterr, ERR_USAGE,
                               "--security-opt proc-opts: the options are missing");
        strv_split(&options, v, ',');
        for (size_t i = 0; i < options.n; i++) {
                if (!str_starts(options.v[i], "hidepid=") && !str_starts(options.v[i], "subset=") &&
                    !str_starts(options.v[i], "gid="))
                        return err_new(reterr, ERR_USAGE,
                                       "--security-opt proc-opts: '%s' is no option of proc: "
                                       "known are hidepid=, subset= and gid=",
                                       options.v[i]);
                strv_add(&c->s->proc_options, options.v[i]);
        }
        return 0;
}

/* Labels of security modules: what switches them off is true here without doing anything; anything else would be a promise. */
static int opt_no_lsm(const char *option, const char *v, const char *off, struct err **reterr)
{
        if (v && strcmp(v, off) == 0)
                return 0;
        (void)err_new(reterr, ERR_UNSUPPORTED,
                      "--security-opt %s=%s: an ordinary user cannot set it", option, v ? v : "");
        return err_hint(reterr, -EOPNOTSUPP, "leave it out; %s=%s is accepted", option, off);
}

static int opt_label(struct security *c, const char *v, struct err **reterr)
{
        (void)c;
        return opt_no_lsm("label", v, "disable", reterr);
}

static int opt_apparmor(struct security *c, const char *v, struct err **reterr)
{
        (void)c;
        return opt_no_lsm("apparmor", v, "unconfined", reterr);
}

static const struct {
        const char *name;
        int (*take)(struct security *c, const char *v, struct err **reterr);
} security_options[] = {
    {"no-new-privileges", opt_no_new_privs},
    {"seccomp", opt_seccomp},
    {"mask", opt_mask},
    {"unmask", opt_unmask},
    {"systempaths", opt_systempaths},
    {"proc-opts", opt_proc},
    {"label", opt_label},
    {"apparmor", opt_apparmor},
};

static int take_security_option(struct security *c, const char *option, struct err **reterr)
{
        size_t n = strcspn(option, "=:"); /* "seccomp:unconfined" is Docker's old spelling */

        for (size_t i = 0; i < ARRAY_SIZE(security_options); i++) {
                if (strlen(security_options[i].name) == n &&
                    strncmp(security_options[i].name, option, n) == 0)
                        return security_options[i].take(c, option[n] ? option + n + 1 : NULL,
                                                        reterr);
        }
        (void)err_new(reterr, ERR_USAGE, "--security-opt '%s': unknown", option);
        return err_hint(
            reterr, -EINVAL,
            "known: no-new-privileges, seccomp=FILE|unconfined, mask=PATH, unmask=PATH|ALL, "
            "proc-opts=OPTIONS, systempaths=unconfined");
}

/* ---- capabilities ---- */

static int build_caps(const struct run_options *o, struct spec *s, struct err **reterr)
{
        struct spec_process *p = &s->process;
        uint64_t set;
        int r = caps_adjust(o->privileged ? CAPS_ALL : caps_default(), &o->cap_add, &o->cap_drop,
                            &set, reterr);

        if (r < 0)
                return r;
        /* Effective and permitted hold while the process is root; for another user the launcher leaves only the bounding set,
         * as Docker does, so that a setuid program can still get what the container may have. */
        p->cap_bounding = p->cap_permitted = p->cap_effective = set;
        return 0;
}

/* ---- --ulimit ---- */

static int parse_limit(const char *option, const char *text, uint64_t *ret, struct err **reterr)
{
        if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        if (parse_u64(text, ret) < 0)
                return err_new(reterr, ERR_USAGE, "--ulimit '%s': '%s' is not a number", option,
                               text);
        return 0;
}

static int build_ulimit(struct spec_process *p, const char *option, struct err **reterr)
{
        struct spec_rlimit limit;
        const char *equals = strchr(option, '=');
        AUTO_FREE char *name =
            xstrndup(option, equals ? (size_t)(equals - option) : strlen(option));
        AUTO_STRV values = {0};
        int r;

        limit.resource = spec_rlimit_from_name(name);
        if (limit.resource < 0)
                return err_new(reterr, ERR_USAGE, "--ulimit '%s': unknown limit '%s'", option,
                               name);
        if (!equals || !equals[1])
                return err_new(reterr, ERR_USAGE, "--ulimit '%s': the value is missing", option);
        strv_split(&values, equals + 1, ':');
        if (values.n > 2)
                return err_new(reterr, ERR_USAGE, "--ulimit '%s': more than SOFT:HARD", option);
        if ((r = parse_limit(option, values.v[0], &limit.soft, reterr)) < 0)
                return r;
        limit.hard = limit.soft;
        if (values.n == 2 && (r = parse_limit(option, values.v[1], &limit.hard, reterr)) < 0)
                return r;
        if (limit.soft > limit.hard)
                return err_new(reterr, ERR_USAGE,
                               "--ulimit '%s': the soft limit is above the hard one", option);
        spec_process_add_rlimit(p, &limit);
        return 0;
}

static int build_sysctl(struct spec *s, const char *option, struct err **reterr)
{
        const char *equals = strchr(option, '=');

        if (!equals || equals == option)
                return err_new(reterr, ERR_USAGE, "--sysctl '%s' is not KEY=VALUE", option);
        strv_add(&s->sysctl, option);
        return 0;
}

/* no_new_privs costs an image without setuid programs nothing, and keeps one that appears later from mattering. */
static bool default_no_new_privs(const struct run_options *o, const struct image_config *image)
{
        return !o->rootfs && !o->privileged && !image->setuid;
}

int spec_build_security(const struct run_options *o, const struct image_config *image,
                        struct spec *s, struct err **reterr)
{
        struct security c = {.o = o, .s = s, .no_new_privs = -1};
        int r;

        s->privileged = o->privileged;
        if (o->privileged)
                s->seccomp = SPEC_SECCOMP_UNCONFINED;
        else
                default_paths(s);
        if ((r = build_caps(o, s, reterr)) < 0)
                return r;
        for (size_t i = 0; i < o->security_opt.n; i++) {
                if ((r = take_security_option(&c, o->security_opt.v[i], reterr)) < 0)
                        return r;
        }
        s->process.no_new_privileges =
            c.no_new_privs >= 0 ? c.no_new_privs : default_no_new_privs(o, image);
        for (size_t i = 0; i < o->ulimits.n; i++) {
                if ((r = build_ulimit(&s->process, o->ulimits.v[i], reterr)) < 0)
                        return r;
        }
        for (size_t i = 0; i < o->sysctls.n; i++) {
                if ((r = build_sysctl(s, o->sysctls.v[i], reterr)) < 0)
                        return r;
        }
        return 0;
}
