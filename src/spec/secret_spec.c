/* SPDX-License-Identifier: Apache-2.0 */
/* secret_spec.c — the value of --secret: NAME[,KEY=VALUE…]. */
#include "base/err.h"
#include "base/parse.h"
#include "base/path.h"
#include "spec/options.h"
#include "spec/spec_internal.h"

#include <errno.h>
#include <string.h>

#define SECRET_MODE 0444 /* Podman's */

void run_secret_release(struct run_secret *s)
{
        free(s->name);
        free(s->target);
        *s = (struct run_secret){0};
}

struct secret_parse {
        const char *value; /* the whole, for messages */
        struct run_secret *s;
        const char *file_only; /* an option that only a file has */
};

static int take_type(struct secret_parse *p, const char *v, struct err **reterr)
{
        p->s->env = strcmp(v, "env") == 0;
        if (p->s->env || strcmp(v, "mount") == 0)
                return 0;
        return err_new(reterr, ERR_USAGE, "secret '%s': unknown type '%s': expected mount or env",
                       p->value, v);
}

static int take_target(struct secret_parse *p, const char *v, struct err **reterr)
{
        if (!*v)
                return err_new(reterr, ERR_USAGE, "secret '%s': target has no value", p->value);
        free(p->s->target);
        p->s->target = xstrdup(v);
        return 0;
}

static int take_number(struct secret_parse *p, const char *key, const char *v, uint32_t *ret,
                       struct err **reterr)
{
        p->file_only = key;
        if (parse_u32(v, ret) < 0 || *ret == UINT32_MAX)
                return err_new(reterr, ERR_USAGE, "secret '%s': %s: '%s' is no number of an id",
                               p->value, key, v);
        return 0;
}

static int take_uid(struct secret_parse *p, const char *v, struct err **reterr)
{
        return take_number(p, "uid", v, &p->s->uid, reterr);
}

static int take_gid(struct secret_parse *p, const char *v, struct err **reterr)
{
        return take_number(p, "gid", v, &p->s->gid, reterr);
}

static int take_mode(struct secret_parse *p, const char *v, struct err **reterr)
{
        p->file_only = "mode";
        if (parse_octal_mode(v, &p->s->mode) < 0 || p->s->mode > 0777)
                return err_new(reterr, ERR_USAGE, "secret '%s': mode: '%s' is not 0 to 0777",
                               p->value, v);
        return 0;
}

static int take_option(struct secret_parse *p, const char *option, struct err **reterr)
{
        static const struct {
                const char *key;
                int (*take)(struct secret_parse *p, const char *v, struct err **reterr);
        } keys[] = {{"type", take_type},
                    {"target", take_target},
                    {"uid", take_uid},
                    {"gid", take_gid},
                    {"mode", take_mode}};
        const char *equals = strchr(option, '=');
        int r;

        for (size_t i = 0; equals && i < ARRAY_SIZE(keys); i++) {
                size_t n = strlen(keys[i].key);

                if ((size_t)(equals - option) == n && strncmp(option, keys[i].key, n) == 0)
                        return keys[i].take(p, equals + 1, reterr);
        }
        r = err_new(reterr, ERR_USAGE, "secret '%s': unknown option '%s'", p->value, option);
        return err_hint(reterr, r, "options are type=, target=, uid=, gid= and mode=");
}

/* A relative target lies in /run/secrets, and cannot leave it. */
static int check_target(struct secret_parse *p, struct err **reterr)
{
        char *clean, *whole;

        if (p->s->env) {
                if (p->file_only)
                        return err_new(reterr, ERR_USAGE, "secret '%s': a variable has no %s",
                                       p->value, p->file_only);
                if (p->s->target && strchr(p->s->target, '='))
                        return err_new(reterr, ERR_USAGE,
                                       "secret '%s': '%s' is not a name for a variable", p->value,
                                       p->s->target);
                return 0;
        }
        if (!p->s->target)
                return 0;
        whole = p->s->target[0] == '/' ? xstrdup(p->s->target)
                                       : xasprintf("/run/secrets/%s", p->s->target);
        clean = path_clean(whole);
        if (strcmp(clean, "/") == 0 ||
            (p->s->target[0] != '/' && !str_starts(clean, "/run/secrets/"))) {
                free(whole);
                free(clean);
                return err_new(reterr, ERR_USAGE, "secret '%s': target '%s' is not a file there",
                               p->value, p->s->target);
        }
        free(whole);
        free(p->s->target);
        p->s->target = clean;
        return 0;
}

int run_secret_parse(const char *value, struct run_secret *ret, struct err **reterr)
{
        AUTO(run_secret_release) struct run_secret s = {.mode = SECRET_MODE};
        struct secret_parse p = {.value = value, .s = &s};
        AUTO_STRV parts = {0};
        int r = 0;

        strv_split(&parts, value, ',');
        if (parts.n == 0 || !*parts.v[0] || strchr(parts.v[0], '='))
                return err_new(reterr, ERR_USAGE,
                               "secret '%s': the first word is the name of the secret", value);
        s.name = xstrdup(parts.v[0]);
        for (size_t i = 1; i < parts.n && r >= 0; i++)
                r = take_option(&p, parts.v[i], reterr);
        if (r >= 0)
                r = check_target(&p, reterr);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct run_secret){0};
        return 0;
}
