/* SPDX-License-Identifier: Apache-2.0 */
/* commit_config — from the container's settings and the config of its image to the config of the new one. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "image/change.h"
#include "image/commit_internal.h"
#include "image/container_source.h"
#include "image/platform.h"
#include "image/store_internal.h"
#include "image/tool.h"

#include <stdlib.h>
#include <string.h>

void commit_request_release(struct commit_request *q)
{
        strv_release(&q->changes);
}

int commit_request_read(const struct tool *t, struct commit_request *q, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        int r;

        q->created_by = "";
        if ((r = json_opt_string(&root, "image", &q->image, reterr)) < 0 ||
            (r = json_opt_string(&root, "createdBy", &q->created_by, reterr)) < 0 ||
            (r = json_opt_string(&root, "author", &q->author, reterr)) < 0 ||
            (r = json_opt_string(&root, "message", &q->message, reterr)) < 0 ||
            (r = json_opt_string(&root, "name", &q->name, reterr)) < 0 ||
            (r = json_opt_bool(&root, "docker", &q->docker, reterr)) < 0 ||
            (r = json_opt_bool(&root, "squash", &q->squash, reterr)) < 0)
                return r;
        return json_opt_strv(&root, "changes", &q->changes, reterr);
}

/* ---- the image below ---- */

void commit_base_release(struct commit_base *b)
{
        b->config = json_unref(b->config);
        strv_release(&b->diff_ids);
        descriptor_list_release(&b->descriptors);
}

/* Its manifest says how the layers came: compressed ones keep their digests. */
static int read_manifest(const struct tool *t, const struct image *image, struct commit_base *b,
                         struct err **reterr)
{
        AUTO(manifest_release) struct manifest m = {0};
        AUTO_FREE char *text = NULL;
        size_t n = 0;
        int r = store_blob_read(t->dirs, image->manifest_digest, &text, &n, reterr);

        if (r >= 0)
                r = manifest_parse(text, n, "manifest", &m, reterr);
        if (r < 0 || m.layers.n != b->diff_ids.n)
                return r;
        b->descriptors = m.layers;
        m.layers = (struct descriptor_list){0};
        return 0;
}

static int read_image(const struct tool *t, const char *id, struct commit_base *b,
                      struct err **reterr)
{
        AUTO(image_freep) struct image *image = NULL;
        struct json_at root;
        int r = store_resolve(t->dirs, id, &image, reterr);

        if (r >= 0)
                r = store_config(t->dirs, image, &b->config, reterr);
        if (r < 0)
                return r;
        root = json_root(b->config, "config");
        r = image_config_diff_ids(&root, &b->diff_ids, reterr);
        return r < 0 ? r : read_manifest(t, image, b, reterr);
}

/* What the layers themselves say: their archives, uncompressed. */
static int read_layers(const struct tool *t, const struct container_source *s,
                       struct commit_base *b, bool diff_ids, struct err **reterr)
{
        struct descriptor_list *l = &b->descriptors;

        l->v = xcalloc(b->diff_ids.n + s->layers.n + 1, sizeof(*l->v));
        for (size_t i = 0; i < (diff_ids ? s->layers.n : b->diff_ids.n); i++) {
                AUTO(layer_info_release) struct layer_info info = {0};
                const char *name = diff_ids ? s->layers.v[i] : NULL;
                int r;

                /* A layer may be there several times; it has the name that begins with its diff-id. */
                for (size_t k = 0; !name && k < s->layers.n; k++)
                        if (strncmp(s->layers.v[k], b->diff_ids.v[i] + strlen("sha256:"),
                                    LAYER_HEX_LEN) == 0)
                                name = s->layers.v[k];
                r = name ? store_layer_info(t->dirs, name, &info, reterr) : 0;
                if (r < 0)
                        return r;
                if (r == 0)
                        return err_new(reterr, ERR_NOT_FOUND,
                                       "a layer of the container is missing");
                if (diff_ids)
                        strv_add(&b->diff_ids, info.diff_id);
                l->v[l->n++] = (struct descriptor){.media_type = xstrdup(MEDIA_OCI_LAYER),
                                                   .digest = xstrdup(info.diff_id),
                                                   .size = info.tar_size};
        }
        return 0;
}

int commit_base_read(const struct tool *t, const struct commit_request *q,
                     const struct container_source *s, struct commit_base *ret, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int r = 0;

        if (q->image && *q->image && store_has_image(t->dirs, q->image))
                r = read_image(t, q->image, ret, &e);
        /* Removed by force, or between the two looks: the layers stay as long as the container. */
        if (r < 0 && err_kind(e) != ERR_NOT_FOUND)
                return err_move(reterr, r, &e);
        if (r < 0)
                commit_base_release(ret);
        if (ret->descriptors.n != ret->diff_ids.n || ret->diff_ids.n == 0)
                return read_layers(t, s, ret, ret->diff_ids.n == 0, reterr);
        return 0;
}

/* ---- the config ---- */

static struct json_object *get(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static bool is_empty(struct json_object *v)
{
        switch (json_object_get_type(v)) {
        case json_type_null:
                return true;
        case json_type_string:
                return json_object_get_string_len(v) == 0;
        case json_type_array:
                return json_object_array_length(v) == 0;
        case json_type_object:
                return json_object_object_length(v) == 0;
        case json_type_boolean:
        case json_type_double:
        case json_type_int:
        default:
                return false;
        }
}

static void copy_keys(struct json_object *to, struct json_object *from, const char *const *keys)
{
        for (; *keys; keys++) {
                struct json_object *v = get(from, *keys), *copy = NULL;

                /* A copy: an instruction may change it, and the original is the base's. */
                if (v && !is_empty(v) && json_object_deep_copy(v, &copy, NULL) == 0)
                        json_object_object_add(to, *keys, copy);
        }
}

static struct json_object *make_history(const struct commit_request *q,
                                        const struct commit_base *base, const char *now)
{
        struct json_object *list = json_object_new_array(), *entry = json_object_new_object();
        struct json_object *old = q->squash ? NULL : get(base->config, "history");

        if (old && json_object_is_type(old, json_type_array))
                for (size_t i = 0; i < json_object_array_length(old); i++)
                        json_object_array_add(list,
                                              json_object_get(json_object_array_get_idx(old, i)));
        json_add_string(entry, "created", now);
        json_add_string(entry, "created_by", q->created_by);
        if (q->author && *q->author)
                json_add_string(entry, "author", q->author);
        if (q->message && *q->message)
                json_add_string(entry, "comment", q->message);
        json_object_array_add(list, entry);
        return list;
}

static void add_platform(struct json_object *config, const struct commit_base *base)
{
        static const char *const keys[] = {"architecture", "variant",     "os",
                                           "os.version",   "os.features", NULL};
        struct platform p;

        if (base->config) {
                copy_keys(config, base->config, keys);
                return;
        }
        platform_host(&p);
        json_add_string(config, "architecture", p.arch);
        json_add_string(config, "os", p.os);
}

int commit_config_make(const struct tool *t, const struct commit_request *q,
                       const struct commit_base *base, struct json_object **ret,
                       struct err **reterr)
{
        static const char *const of_container[] = {
            "User",   "ExposedPorts", "Env",        "Entrypoint",  "Cmd",         "Volumes",
            "Labels", "WorkingDir",   "StopSignal", "Healthcheck", "ArgsEscaped", NULL};
        static const char *const of_image[] = {"Shell", NULL};
        AUTO_JSON *config = json_object_new_object();
        struct json_object *settings;
        char now[CLOCK_RFC3339_MAX];

        clock_format(clock_now_ns(), now);
        json_add_string(config, "created", now);
        if (q->author && *q->author)
                json_add_string(config, "author", q->author);
        add_platform(config, base);
        settings = json_object(config, "config");
        copy_keys(settings, get(t->request, "config"), of_container);
        copy_keys(settings, get(base->config, "config"), of_image);
        for (size_t i = 0; i < q->changes.n; i++) {
                int r = change_apply(settings, q->changes.v[i], reterr);

                if (r < 0)
                        return r;
        }
        json_object_object_add(config, "history", make_history(q, base, now));
        *ret = TAKE_PTR(config);
        return 0;
}
