/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_env.c — the environment of a container. What comes later wins: the engine's own, the caller's (--env-host, --http-proxy), the
 * image's, --env-merge, what was typed. --unsetenv takes away whatever was not typed.
 */
#include "spec/spec_internal.h"

#include <ctype.h>
#include <string.h>

static bool is_name_char(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

/* $NAME and ${NAME}; a variable that is not there is empty, a "$" that begins none stays. Caller owns. */
static char *expand(const char *text, const struct strv *env)
{
        AUTO_STRBUF out = {0};

        while (*text) {
                bool brace = text[0] == '$' && text[1] == '{';
                const char *name = text + (brace ? 2 : 1), *value;
                AUTO_FREE char *key = NULL;
                size_t n = 0;

                while (text[0] == '$' && is_name_char(name[n]))
                        n++;
                if (n == 0 || (brace && name[n] != '}')) {
                        strbuf_add_len(&out, text++, 1);
                        continue;
                }
                key = xstrndup(name, n);
                value = strv_env_get(env, key);
                if (value)
                        strbuf_add(&out, value);
                text = name + n + brace;
        }
        return strbuf_take(&out);
}

static void merge(const char *assignment, struct strv *env)
{
        size_t n = strcspn(assignment, "=");
        AUTO_FREE char *value = expand(assignment[n] ? assignment + n + 1 : "", env);
        AUTO_FREE char *whole = xasprintf("%.*s=%s", (int)n, assignment, value);

        strv_env_set(env, whole);
}

static void unset(const struct run_options *o, struct strv *env)
{
        struct strv kept = {0};

        for (size_t i = 0; i < env->n && !o->unsetenv_all; i++) {
                AUTO_FREE char *name = xstrndup(env->v[i], strcspn(env->v[i], "="));

                if (!strv_contains(&o->unsetenv, name))
                        strv_add(&kept, env->v[i]);
        }
        strv_release(env);
        *env = kept;
}

void run_env_build(const struct run_options *o, const struct image_config *image, struct strv *env)
{
        for (size_t i = 0; i < o->env_below.n; i++)
                strv_env_set(env, o->env_below.v[i]);
        for (size_t i = 0; i < image->env.n; i++)
                strv_env_set(env, image->env.v[i]);
        for (size_t i = 0; i < o->env_merge.n; i++)
                merge(o->env_merge.v[i], env);
        if (o->unsetenv_all || o->unsetenv.n)
                unset(o, env);
        for (size_t i = 0; i < o->env.n; i++)
                strv_env_set(env, o->env.v[i]);
}
