/* SPDX-License-Identifier: Apache-2.0 */
/* oci_hooks.c — "hooks" of a bundle's config.json. */
#include "spec/oci.h"

#include "base/err.h"
#include "base/json.h"
#include "spec/spec_internal.h"

#include <string.h>

static int read_timeout(const struct json_at *at, uint32_t *ret, struct err **reterr)
{
        struct json_at value = json_key(at, "timeout");
        int64_t seconds = 0;
        int r;

        if (!value.obj)
                return 0;
        r = json_opt_i64(at, "timeout", &seconds, reterr);
        if (r < 0)
                return r;
        if (seconds <= 0)
                return json_fail(&value, reterr, "a time limit is greater than 0");
        *ret = (uint32_t)MIN(seconds, INT64_C(1) << 31); /* 68 years */
        return 0;
}

static int read_hook(const struct json_at *at, struct spec_hooks *hooks, struct err **reterr)
{
        struct json_at path_at = json_key(at, "path");
        const char *path = NULL;
        struct spec_hook_entry *e;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "path", &path, reterr)) < 0 ||
            (r = spec_check_absolute(&path_at, path, reterr)) < 0)
                return r;
        hooks->v = xrealloc(hooks->v, hooks->n + 1, sizeof(*hooks->v));
        e = &hooks->v[hooks->n++];
        *e = (struct spec_hook_entry){.path = xstrdup(path)};
        if ((r = json_opt_strv(at, "args", &e->args, reterr)) < 0 ||
            (r = json_opt_strv(at, "env", &e->env, reterr)) < 0)
                return r;
        return read_timeout(at, &e->timeout, reterr);
}

static int read_point(const struct json_at *at, struct spec_hooks *hooks, struct err **reterr)
{
        size_t n = 0;
        int r = at->obj ? json_want_array(at, SPEC_HOOKS_MAX, &n, reterr) : 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at e = json_elem(at, i);

                r = read_hook(&e, hooks, reterr);
        }
        return r;
}

int spec_read_oci_hooks(const struct json_at *at, struct spec *s, struct err **reterr)
{
        int r = at->obj ? json_want_object(at, reterr) : 0;

        for (int i = 0; r >= 0 && i < SPEC_HOOK_COUNT; i++) {
                struct json_at point = json_key(at, spec_hook_name((enum spec_hook)i));

                r = read_point(&point, &s->hooks[i], reterr);
        }
        return r;
}
