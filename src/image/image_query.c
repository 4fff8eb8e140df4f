/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_query.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "image/digest.h"
#include "image/reference.h"
#include "image/store_internal.h"

#include <string.h>

static void copy(struct json_object *to, const char *key, struct json_object *from,
                 const char *from_key)
{
        struct json_object *v = NULL;

        if (json_object_object_get_ex(from, from_key, &v) && v)
                json_object_object_add(to, key, json_object_get(v));
}

static void copy_string(struct json_object *to, const char *key, struct json_object *from,
                        const char *from_key)
{
        json_add_string(to, key, "");
        copy(to, key, from, from_key);
}

/* "debian:12", and "debian@sha256:…" by which it can be named as well. */
static void add_names(struct json_object *o, const struct image *i)
{
        struct json_object *tags = json_array(o, "RepoTags"),
                           *digests = json_array(o, "RepoDigests");
        AUTO_STRV seen = {0};

        for (size_t n = 0; n < i->names.n; n++) {
                AUTO(reference_release) struct reference ref = {0};
                AUTO_FREE char *familiar = NULL, *by_digest = NULL;

                if (reference_parse(i->names.v[n], &ref, NULL) < 0)
                        continue;
                familiar = reference_familiar(&ref);
                json_object_array_add(tags, json_object_new_string(familiar));
                free(ref.tag);
                ref.tag = NULL;
                ref.digest = xstrdup(i->manifest_digest);
                by_digest = reference_familiar(&ref);
                if (!strv_contains(&seen, by_digest))
                        json_object_array_add(digests, json_object_new_string(by_digest));
                strv_add(&seen, by_digest);
        }
}

/* What Docker always shows, then what the image has. */
static void add_config(struct json_object *o, struct json_object *config)
{
        static const char *const empty[] = {"User", "WorkingDir"};
        static const char *const null[] = {"Env",     "Cmd",    "Entrypoint",
                                           "Volumes", "Labels", "OnBuild"};
        struct json_object *out = json_object(o, "Config"), *in = NULL;
        struct json_object_iterator i, end;

        for (size_t k = 0; k < ARRAY_SIZE(empty); k++)
                json_add_string(out, empty[k], "");
        for (size_t k = 0; k < ARRAY_SIZE(null); k++)
                json_object_object_add(out, null[k], NULL);
        if (!json_object_object_get_ex(config, "config", &in) ||
            !json_object_is_type(in, json_type_object))
                return;
        i = json_object_iter_begin(in);
        end = json_object_iter_end(in);
        for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i))
                copy(out, json_object_iter_peek_name(&i), in, json_object_iter_peek_name(&i));
}

static void add_root_fs(struct json_object *o, struct json_object *config)
{
        struct json_object *root = json_object(o, "RootFS"), *rootfs = NULL;

        json_add_string(root, "Type", "layers");
        (void)json_array(root, "Layers");
        if (json_object_object_get_ex(config, "rootfs", &rootfs))
                copy(root, "Layers", rootfs, "diff_ids");
}

static void add_last_tag(const struct dirs *d, struct json_object *o, const struct image *i)
{
        char text[CLOCK_RFC3339_MAX];
        int64_t last = 0;

        for (size_t k = 0; k < i->names.n; k++) {
                AUTO(ref_release) struct ref ref = {0};

                if (refs_read(d, i->names.v[k], &ref, NULL) > 0)
                        last = MAX(last, ref.tagged_ns);
        }
        json_add_string(json_object(o, "Metadata"), "LastTagTime",
                        last ? clock_format(last, text) : CLOCK_ZERO);
}

struct json_object *image_descriptor(const struct dirs *d, const struct image *i)
{
        AUTO_FREE char *data = NULL;
        AUTO_JSON *doc = NULL;
        struct json_object *out;
        const char *type = NULL;
        size_t n = 0;

        if (store_blob_read(d, i->manifest_digest, &data, &n, NULL) < 0 ||
            json_parse(data, n, "manifest", &doc, NULL) < 0)
                return NULL;
        struct json_at root = json_root(doc, "manifest");
        (void)json_opt_string(&root, "mediaType", &type, NULL);
        out = json_object_new_object();
        json_add_string(out, "mediaType",
                        type ? type : "application/vnd.oci.image.manifest.v1+json");
        json_add_string(out, "digest", i->manifest_digest);
        json_add_uint(out, "size", n);
        return out;
}

/* The topmost layer is what the image has written, those below are what it stands on. It is mounted nowhere. */
static void add_graph_driver(const struct dirs *d, struct json_object *o, const struct image *i)
{
        struct json_object *graph = json_object(o, "GraphDriver"), *data;
        AUTO_STRV paths = {0};
        size_t n = i->layers.n;

        for (size_t k = 0; k < n; k++)
                strv_addf(&paths, STORE_LAYERS "/%s/fs", i->layers.v[k]);
        data = json_object(graph, "Data");
        if (n > 0) {
                AUTO_FREE char *lower = store_lower_dirs(d, &paths, n - 1);
                AUTO_FREE char *upper = path_join(d->root, paths.v[n - 1]);

                if (n > 1)
                        json_add_string(data, "LowerDir", lower);
                json_add_string(data, "MergedDir", "");
                json_add_string(data, "UpperDir", upper);
                json_add_string(data, "WorkDir", "");
        }
        json_add_string(graph, "Name", "overlay");
}

int image_inspect(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr)
{
        AUTO(image_freep) struct image *i = NULL;
        AUTO_JSON *config = NULL;
        AUTO_JSON *o = NULL;
        struct json_object *descriptor;
        char created[CLOCK_RFC3339_MAX];
        int r;

        if ((r = store_find(d, name, &i, reterr)) < 0 ||
            (r = store_config(d, i, &config, reterr)) < 0)
                return r;
        o = json_object_new_object();
        json_add_string(o, "Id", i->id);
        add_names(o, i);
        json_add_string(o, "Parent", "");
        copy_string(o, "Comment", config, "comment");
        json_add_string(o, "Created",
                        i->created_ns ? clock_format(i->created_ns, created) : CLOCK_ZERO);
        /* Of images that a builder of the old kind has made. */
        copy(o, "Container", config, "container");
        copy(o, "ContainerConfig", config, "container_config");
        copy_string(o, "DockerVersion", config, "docker_version");
        copy_string(o, "Author", config, "author");
        add_config(o, config);
        json_add_string(o, "Architecture", i->architecture);
        copy(o, "Variant", config, "variant");
        json_add_string(o, "Os", i->os);
        copy(o, "OsVersion", config, "os.version");
        json_add_uint(o, "Size", i->size);
        json_add_uint(o, "VirtualSize", i->size);
        add_graph_driver(d, o, i);
        add_root_fs(o, config);
        add_last_tag(d, o, i);
        descriptor = image_descriptor(d, i);
        if (descriptor)
                json_object_object_add(o, "Descriptor", descriptor);
        *ret = TAKE_PTR(o);
        return 0;
}

/* ---- history ---- */

static uint64_t layer_bytes(const struct dirs *d, const struct strv *layers, size_t n)
{
        AUTO(layer_info_release) struct layer_info info = {0};

        if (n >= layers->n || store_layer_info(d, layers->v[n], &info, NULL) <= 0)
                return 0;
        return info.bytes;
}

static struct json_object *history_row(struct json_object *step)
{
        struct json_object *row = json_object_new_object(), *created = NULL;
        int64_t ns = 0;

        json_add_string(row, "Id", "<missing>");
        if (json_object_object_get_ex(step, "created", &created) &&
            json_object_is_type(created, json_type_string) &&
            clock_parse(json_object_get_string(created), &ns) < 0)
                ns = 0;
        json_add_int(row, "Created", ns / 1000000000);
        copy_string(row, "CreatedBy", step, "created_by");
        json_object_object_add(row, "Tags", NULL);
        json_add_uint(row, "Size", 0);
        copy_string(row, "Comment", step, "comment");
        return row;
}

static bool is_empty_layer(struct json_object *step)
{
        struct json_object *v = NULL;

        return json_object_object_get_ex(step, "empty_layer", &v) && json_object_get_boolean(v);
}

/* Oldest first, as the config has it; an image without a history shows its layers. */
static int history_rows(const struct dirs *d, struct json_object *config, struct json_object *rows,
                        struct err **reterr)
{
        struct json_at root = json_root(config, "image config"),
                       history = json_key(&root, "history");
        AUTO_STRV diff_ids = {0}, layers = {0};
        struct store_layer_sum sum;
        size_t n = 0, layer = 0;
        int r;

        if ((r = image_config_diff_ids(&root, &diff_ids, reterr)) < 0 ||
            (r = store_layer_names(d, &diff_ids, &layers, &sum, reterr)) < 0 ||
            (history.obj && (r = json_want_array(&history, 65536, &n, reterr)) < 0))
                return r;
        for (size_t i = 0; i < n; i++) {
                struct json_at at = json_elem(&history, i);
                struct json_object *row;

                r = json_want_object(&at, reterr);
                if (r < 0)
                        return r;
                row = history_row(at.obj);
                if (!is_empty_layer(at.obj))
                        json_add_uint(row, "Size", layer_bytes(d, &layers, layer++));
                json_object_array_add(rows, row);
        }
        for (; layer < layers.n; layer++) {
                AUTO_JSON *none = json_object_new_object();
                struct json_object *row = history_row(none);

                json_add_uint(row, "Size", layer_bytes(d, &layers, layer));
                json_object_array_add(rows, row);
        }
        return 0;
}

int image_history(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr)
{
        AUTO(image_freep) struct image *i = NULL;
        AUTO_JSON *config = NULL;
        AUTO_JSON *rows = json_object_new_array();
        AUTO_JSON *out = NULL;
        int r;

        if ((r = store_find(d, name, &i, reterr)) < 0 ||
            (r = store_config(d, i, &config, reterr)) < 0 ||
            (r = history_rows(d, config, rows, reterr)) < 0)
                return r;
        out = json_object_new_array();
        for (size_t k = json_object_array_length(rows); k-- > 0;) {
                struct json_object *row = json_object_array_get_idx(rows, k);

                if (k + 1 == json_object_array_length(rows)) {
                        struct json_object *tags = json_array(row, "Tags");

                        json_add_string(row, "Id", i->id);
                        for (size_t t = 0; t < i->names.n; t++) {
                                AUTO(reference_release) struct reference ref = {0};
                                AUTO_FREE char *familiar = NULL;

                                if (reference_parse(i->names.v[t], &ref, NULL) < 0)
                                        continue;
                                familiar = reference_familiar(&ref);
                                json_object_array_add(tags, json_object_new_string(familiar));
                        }
                }
                json_object_array_add(out, json_object_get(row));
        }
        *ret = TAKE_PTR(out);
        return 0;
}
