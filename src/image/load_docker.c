/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker archives: manifest.json with a config and layers at any path, and the older form that has only `repositories` and one
 * directory per layer, whose json files are chained by "parent"; there the config is made from the topmost one.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "image/archive.h"
#include "image/assemble.h"
#include "image/digest.h"
#include "image/hash.h"
#include "image/load.h"
#include "image/manifest.h"
#include "image/tool.h"

#include <stdlib.h>
#include <string.h>

/* A config file is usually named by its digest. Then it must be true. */
static int check_config_name(const char *path, const char *data, size_t n, struct err **reterr)
{
        const char *slash = strrchr(path, '/');
        AUTO_FREE char *name = xstrdup(slash ? slash + 1 : path);
        char digest[HASH_DIGEST_SIZE];

        if (str_ends(name, ".json"))
                name[strlen(name) - strlen(".json")] = '\0';
        if (!str_is_hex(name, 64))
                return 0;
        hash_bytes(data, n, digest);
        if (strcmp(digest_hex(digest), name) != 0)
                return err_new(reterr, ERR_INVALID, "'%s' is damaged: its digest is %s", path,
                               digest);
        return 0;
}

static int load_layers(struct loader *l, const struct strv *paths, const struct strv *diff_ids,
                       struct strv *ret_ids, uint64_t *sizes, struct err **reterr)
{
        AUTO_FREE struct layer_want *wants = xcalloc(paths->n + 1, sizeof(*wants));

        for (size_t i = 0; i < paths->n; i++)
                wants[i] = (struct layer_want){
                    .entry = paths->v[i],
                    .diff_id = diff_ids ? diff_ids->v[i] : NULL,
                };
        return assembler_layers(l->assembler, wants, paths->n, ret_ids, sizes, reterr);
}

static int load_one(struct loader *l, const struct docker_image *d, struct err **reterr)
{
        AUTO(config_summary_release) struct config_summary config = {0};
        AUTO_FREE uint64_t *sizes = xcalloc(d->layers.n + 1, sizeof(*sizes));
        struct assembled image = {.sizes = sizes};
        AUTO_STRV names = {0};
        AUTO_FREE char *text = NULL;
        int r;

        if ((r = archive_read(l->archive, d->config, &text, &image.config_len, reterr)) < 0 ||
            (r = check_config_name(d->config, text, image.config_len, reterr)) < 0 ||
            (r = config_parse(text, image.config_len, d->config, &config, reterr)) < 0 ||
            (r = load_check_platform(l, &config.platform, reterr)) < 0)
                return r;
        if (d->layers.n != config.diff_ids.n)
                return err_new(reterr, ERR_INVALID, "manifest.json has %zu layers, the config %zu",
                               d->layers.n, config.diff_ids.n);
        for (size_t i = 0; i < d->tags.n; i++)
                load_add_name(l, d->tags.v[i], false, &names);
        r = load_layers(l, &d->layers, &config.diff_ids, NULL, sizes, reterr);
        if (r < 0)
                return r;
        image.config = text;
        image.diff_ids = &config.diff_ids;
        image.names = names.v;
        r = assembler_publish(l->assembler, &image, reterr);
        if (r >= 0)
                l->loaded++;
        return r;
}

int load_docker(struct loader *l, struct err **reterr)
{
        AUTO(docker_manifest_release) struct docker_manifest m = {0};
        AUTO_FREE char *data = NULL;
        size_t n = 0;
        int r;

        r = archive_read(l->archive, "manifest.json", &data, &n, reterr);
        if (r >= 0)
                r = docker_manifest_parse(data, n, &m, reterr);
        for (size_t i = 0; r >= 0 && i < m.n; i++)
                r = load_one(l, &m.v[i], reterr);
        return r < 0 ? err_wrap(reterr, r, "%s", archive_what(l->archive)) : 0;
}

/* ---- repositories ---- */

static int read_step(struct loader *l, const char *id, struct json_object **ret,
                     struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("%s/json", id), *data = NULL;
        size_t n = 0;
        int r = archive_read(l->archive, path, &data, &n, reterr);

        return r < 0 ? r : json_parse(data, n, path, ret, reterr);
}

static void add_history(struct json_object *history, struct json_object *step)
{
        static const char *const copied[] = {"created", "author", "comment"};
        struct json_object *entry = json_object_new_object(), *value = NULL, *config = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(copied); i++)
                if (json_object_object_get_ex(step, copied[i], &value) &&
                    json_object_is_type(value, json_type_string))
                        json_object_object_add(entry, copied[i], json_object_get(value));
        if (json_object_object_get_ex(step, "container_config", &config) &&
            json_object_is_type(config, json_type_object) &&
            json_object_object_get_ex(config, "Cmd", &value) &&
            json_object_is_type(value, json_type_array)) {
                AUTO_STRBUF words = {0};

                for (size_t i = 0; i < json_object_array_length(value); i++)
                        strbuf_addf(&words, "%s%s", i ? " " : "",
                                    json_object_get_string(json_object_array_get_idx(value, i)));
                json_add_string(entry, "created_by", words.data ? words.data : "");
        }
        json_object_array_add(history, entry);
}

/* From the topmost step down to the one without a parent: paths and history, lowest first. */
static int collect_chain(struct loader *l, const char *top, struct strv *ret_paths,
                         struct json_object **ret_config, struct err **reterr)
{
        AUTO_STRV ids = {0};
        AUTO_FREE char *id = xstrdup(top);
        AUTO_JSON *config = NULL;
        struct json_object *history;
        int r;

        while (id) {
                AUTO_JSON *step = NULL;
                const char *parent = NULL;
                struct json_at root;

                if (ids.n >= MANIFEST_MAX_LAYERS || strv_contains(&ids, id))
                        return err_new(reterr, ERR_INVALID,
                                       "the chain of parents of '%.12s' does not end", top);
                r = read_step(l, id, &step, reterr);
                if (r < 0)
                        return r;
                root = json_root(step, "json");
                if ((r = json_want_object(&root, reterr)) < 0 ||
                    (r = json_opt_string(&root, "parent", &parent, reterr)) < 0)
                        return r;
                if (parent && *parent && !str_is_hex(parent, 64))
                        return json_fail(&root, reterr, "the parent '%s' is no image id", parent);
                strv_add(&ids, id);
                free(id);
                id = str_empty(parent) ? NULL : xstrdup(parent);
                if (!config)
                        config = json_object_get(step);
        }
        history = json_array(config, "history");
        for (size_t i = ids.n; i-- > 0;) {
                AUTO_JSON *step = NULL;

                r = read_step(l, ids.v[i], &step, reterr);
                if (r < 0)
                        return r;
                add_history(history, step);
                strv_addf(ret_paths, "%s/layer.tar", ids.v[i]);
        }
        *ret_config = TAKE_PTR(config);
        return 0;
}

static char *finish_config(struct json_object *config, const struct strv *diff_ids)
{
        static const char *const dropped[] = {"id",   "parent",    "layer_id",
                                              "Size", "throwaway", "parent_id"};
        struct json_object *rootfs = json_object(config, "rootfs");

        for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
                json_object_object_del(config, dropped[i]);
        json_add_string(rootfs, "type", "layers");
        json_object_object_add(rootfs, "diff_ids", json_from_strv(diff_ids));
        return xstrdup(json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
}

static int load_chain(struct loader *l, const char *id, const struct strv *names,
                      struct err **reterr)
{
        AUTO_STRV paths = {0}, diff_ids = {0};
        AUTO_FREE uint64_t *sizes = NULL;
        AUTO_FREE char *text = NULL;
        AUTO_JSON *config = NULL;
        struct assembled image = {.names = names->v};
        int r;

        r = collect_chain(l, id, &paths, &config, reterr);
        if (r < 0)
                return r;
        sizes = xcalloc(paths.n + 1, sizeof(*sizes));
        r = load_layers(l, &paths, NULL, &diff_ids, sizes, reterr);
        if (r < 0)
                return r;
        text = finish_config(config, &diff_ids);
        image.config = text;
        image.config_len = strlen(text);
        image.diff_ids = &diff_ids;
        image.sizes = sizes;
        r = assembler_publish(l->assembler, &image, reterr);
        if (r >= 0)
                l->loaded++;
        return r;
}

int load_repositories(struct loader *l, struct err **reterr)
{
        AUTO_STRV names = {0}, ids = {0};
        AUTO_FREE char *data = NULL;
        size_t n = 0;
        int r;

        r = archive_read(l->archive, "repositories", &data, &n, reterr);
        if (r >= 0)
                r = repositories_parse(data, n, &names, &ids, reterr);
        for (size_t i = 0; r >= 0 && i < ids.n; i++) {
                AUTO_STRV mine = {0};
                size_t first = 0;

                while (strcmp(ids.v[first], ids.v[i]) != 0)
                        first++;
                if (first < i) /* loaded with all its names */
                        continue;
                for (size_t k = i; k < ids.n; k++)
                        if (strcmp(ids.v[k], ids.v[i]) == 0)
                                load_add_name(l, names.v[k], false, &mine);
                r = load_chain(l, ids.v[i], &mine, reterr);
        }
        return r < 0 ? err_wrap(reterr, r, "%s", archive_what(l->archive)) : 0;
}
