/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's archives of versions 1.10 to 24: <config>.json, and for each layer a directory <id>/ with VERSION, json and layer.tar. The
 * ids are of no meaning to readers since 1.10; they are made from the chain of layers, so that equal images give equal archives.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "image/digest.h"
#include "image/hash.h"
#include "image/reference.h"
#include "image/save.h"
#include "image/tool.h"

#include <string.h>

static void add_json(struct save_files *ret, const char *name, struct json_object *doc)
{
        const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE);

        save_add_text(ret, name, text, strlen(text));
}

/* The id of one step: of what lies below it and of the layer. */
static void step_id(const char *parent, const char *diff_id, const char *image,
                    char ret[HASH_DIGEST_SIZE])
{
        AUTO_FREE char *text =
            xasprintf("%s %s %s", parent ? parent : "", diff_id, image ? image : "");

        hash_bytes(text, strlen(text), ret);
}

static int add_step(struct tool *t, const struct save_image *m, size_t i, const char *id,
                    const char *parent, struct save_files *ret, struct err **reterr)
{
        AUTO_FREE char *version = xasprintf("%s/VERSION", digest_hex(id)),
                       *json = xasprintf("%s/json", digest_hex(id));
        AUTO_FREE char *tar = xasprintf("%s/layer.tar", digest_hex(id));
        AUTO_JSON *step = json_object_new_object();

        json_add_string(step, "id", digest_hex(id));
        if (parent)
                json_add_string(step, "parent", digest_hex(parent));
        json_add_string(step, "created", "1970-01-01T00:00:00Z");
        json_add_string(step, "os", m->summary.platform.os);
        json_add_string(step, "architecture", m->summary.platform.arch);
        save_add_text(ret, version, "1.0", 3);
        add_json(ret, json, step);
        return save_add_layer(t, ret, tar, m->layers.v[i], reterr);
}

static void add_repository(struct json_object *repositories, const char *formatted, const char *id)
{
        AUTO(reference_release) struct reference r = {0};
        AUTO_FREE char *familiar = NULL;
        struct json_object *tags = NULL;
        char *colon;

        if (reference_parse(formatted, &r, NULL) < 0)
                return;
        familiar = reference_familiar(&r);
        colon = strrchr(familiar, ':');
        *colon = '\0';
        if (!json_object_object_get_ex(repositories, familiar, &tags))
                tags = json_object(repositories, familiar);
        json_add_string(tags, colon + 1, digest_hex(id));
}

static int add_image(struct tool *t, const struct save_image *m, struct json_object *list,
                     struct json_object *repositories, struct save_files *ret, struct err **reterr)
{
        struct json_object *entry = json_object_new_object(), *tags, *layers;
        AUTO_FREE char *config = xasprintf("%s.json", digest_hex(m->id));
        char id[HASH_DIGEST_SIZE] = "", parent[HASH_DIGEST_SIZE] = "";

        json_object_array_add(list, entry);
        save_add_text(ret, config, m->config, m->config_len);
        json_add_string(entry, "Config", config);
        tags = json_array(entry, "RepoTags");
        layers = json_array(entry, "Layers");
        for (size_t i = 0; i < m->layers.n; i++) {
                AUTO_FREE char *tar = NULL;
                int r;

                step_id(i ? parent : NULL, m->summary.diff_ids.v[i],
                        i + 1 == m->layers.n ? m->id : NULL, id);
                r = add_step(t, m, i, id, i ? parent : NULL, ret, reterr);
                if (r < 0)
                        return r;
                tar = xasprintf("%s/layer.tar", digest_hex(id));
                json_object_array_add(layers, json_object_new_string(tar));
                memcpy(parent, id, sizeof(parent));
        }
        for (size_t i = 0; i < m->names.n; i++) {
                AUTO(reference_release) struct reference ref = {0};
                AUTO_FREE char *familiar = NULL;

                if (reference_parse(m->names.v[i], &ref, NULL) < 0)
                        continue;
                familiar = reference_familiar(&ref);
                json_object_array_add(tags, json_object_new_string(familiar));
                if (id[0])
                        add_repository(repositories, m->names.v[i], id);
        }
        return 0;
}

int save_docker_v1(struct tool *t, const struct save_images *images, struct save_files *ret,
                   struct err **reterr)
{
        AUTO_JSON *list = json_object_new_array();
        AUTO_JSON *repositories = json_object_new_object();

        for (size_t i = 0; i < images->n; i++) {
                int r = add_image(t, &images->v[i], list, repositories, ret, reterr);

                if (r < 0)
                        return r;
        }
        add_json(ret, "manifest.json", list);
        if (json_object_object_length(repositories) > 0)
                add_json(ret, "repositories", repositories);
        return 0;
}
