/* SPDX-License-Identifier: Apache-2.0 */
/* log_tag — the log option "tag": a template over what the container is, resolved at each start, as Docker has it. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "container/container_internal.h"
#include "template/template.h"

#include <string.h>

#define SHORT_ID 12
#define TAG_MAX  1024

static void add_ids(struct json_object *o, const char *short_key, const char *full_key,
                    const char *id)
{
        AUTO_FREE char *cut = NULL;

        if (str_starts(id, "sha256:"))
                id += strlen("sha256:");
        cut = xasprintf("%.*s", SHORT_ID, id);
        json_add_string(o, short_key, cut);
        json_add_string(o, full_key, id);
}

static char *command_of(const struct json_at *root)
{
        AUTO_STRV args = {0};
        AUTO_STRBUF line = {0};
        const char *path = NULL;

        (void)json_opt_string(root, "Path", &path, NULL);
        (void)json_opt_strv(root, "Args", &args, NULL);
        strbuf_addf(&line, "%s", path ? path : "");
        for (size_t i = 0; i < args.n; i++)
                strbuf_addf(&line, " %s", args.v[i]);
        return strbuf_take(&line);
}

static struct json_object *facts_of(const struct container *c)
{
        struct json_at root = json_root(c->config, "config.json");
        struct json_object *o = json_object_new_object();
        AUTO_FREE char *command = command_of(&root), *slash = xasprintf("/%s", c->name);
        const char *image = NULL, *name = NULL;

        (void)json_opt_string(&root, "Image", &image, NULL);
        (void)json_opt_string(&root, "ImageName", &name, NULL);
        add_ids(o, "ID", "FullID", c->id);
        add_ids(o, "ImageID", "ImageFullID", image ? image : "");
        json_add_string(o, "Name", c->name);
        json_add_string(o, "FullName", slash);
        json_add_string(o, "ImageName", name ? name : "");
        json_add_string(o, "Command", command);
        json_add_string(o, "DaemonName", "kelp");
        return o;
}

int log_tag_check(const char *tag, struct err **reterr)
{
        AUTO(template_freep) struct template *t = NULL;
        int r = template_parse(tag, 0, &t, reterr);

        return r < 0 ? err_wrap(reterr, r, "log option tag") : 0;
}

int log_tag_expand(const struct container *c, const char *tag, char **ret, struct err **reterr)
{
        AUTO(template_freep) struct template *t = NULL;
        const struct template_opts opts = {.output_max = TAG_MAX};
        AUTO_JSON *facts = facts_of(c);
        AUTO_STRBUF out = {0};
        int r = template_parse(tag, 0, &t, reterr);

        if (r >= 0)
                r = template_execute(t, facts, &opts, &out, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "log option tag");
        *ret = strbuf_take(&out);
        return 0;
}
