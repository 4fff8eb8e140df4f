/* SPDX-License-Identifier: Apache-2.0 */
/* oci_mount.c — an element of "mounts" in a bundle's config.json. What its options mean is the business of rootfs/mount_options.c. */
#include "spec/oci.h"

#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "spec/spec_internal.h"

#include <string.h>

/* Nothing is mounted: the options change what is there already. */
static bool changes_only(const struct strv *options)
{
        static const char *const propagation[] = {"shared",     "rshared",    "slave",
                                                  "rslave",     "private",    "rprivate",
                                                  "unbindable", "runbindable"};
        size_t n = 0;

        if (strv_contains(options, "remount"))
                return true;
        for (size_t i = 0; i < options->n; i++) {
                for (size_t j = 0; j < ARRAY_SIZE(propagation); j++)
                        n += strcmp(options->v[i], propagation[j]) == 0;
        }
        return n > 0 && n == options->n;
}

static bool is_bind(const struct spec_mount *m)
{
        return strv_contains(&m->options, "bind") || strv_contains(&m->options, "rbind") ||
               (m->type && strcmp(m->type, "bind") == 0);
}

/* A relative destination is one of old tools, and means the same below the root. */
static int read_destination(const struct json_at *at, struct spec_mount *m, struct err **reterr)
{
        struct json_at destination = json_key(at, "destination");

        if (m->destination[0] == '\0')
                return json_fail(&destination, reterr, "empty");
        if (m->destination[0] != '/') {
                char *absolute = xasprintf("/%s", m->destination);

                free(m->destination);
                m->destination = absolute;
        }
        return 0;
}

static int read_source(const struct json_at *at, const struct spec *s, struct spec_mount *m,
                       struct err **reterr)
{
        struct json_at source = json_key(at, "source"), type = json_key(at, "type");

        if (str_empty(m->type)) {
                if (!is_bind(m) && !changes_only(&m->options))
                        return json_fail(&type, reterr,
                                         "missing: what is not a bind mount needs a file system");
                free(m->type);
                m->type = xstrdup(is_bind(m) ? "bind" : "none");
        }
        if (!is_bind(m) || strv_contains(&m->options, "remount"))
                return 0;
        if (str_empty(m->source))
                return json_fail(&source, reterr, "missing: a bind mount needs one");
        if (m->source[0] != '/') {
                char *absolute = path_join(s->bundle, m->source);

                free(m->source);
                m->source = absolute;
        }
        return 0;
}

static bool wants_id_map(const struct strv *options)
{
        for (size_t i = 0; i < options->n; i++) {
                const char *o = options->v[i];

                if (strcmp(o, "idmap") == 0 || strcmp(o, "ridmap") == 0)
                        return true;
        }
        return false;
}

static int read_mount_maps(const struct json_at *at, const struct spec *s, struct spec_mount *m,
                           struct err **reterr)
{
        int r;

        if ((r = spec_read_id_map(at, "uidMappings", &m->uid_map, reterr)) < 0 ||
            (r = spec_read_id_map(at, "gidMappings", &m->gid_map, reterr)) < 0)
                return r;
        if ((m->uid_map.n > 0) != (m->gid_map.n > 0))
                return json_fail(at, reterr, "uidMappings and gidMappings must be given together");
        if (wants_id_map(&m->options) && m->uid_map.n == 0 && !s->ns[SPEC_NS_USER].enabled)
                return json_fail(at, reterr,
                                 "an idmapped mount needs mappings of its own or a user namespace");
        return 0;
}

int spec_read_oci_mount(const struct json_at *at, struct spec *s, struct err **reterr)
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
            (r = read_destination(at, m, reterr)) < 0 || (r = read_source(at, s, m, reterr)) < 0)
                return r;
        return read_mount_maps(at, s, m, reterr);
}
