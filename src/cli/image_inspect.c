/* SPDX-License-Identifier: Apache-2.0 */
/* image_inspect — see image_inspect.h. */
#include "cli/image_inspect.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "image/reference.h"
#include "image/store.h"

/* Names with a tag, and names with a digest: "debian:12", "debian@sha256:…". */
static void add_names(struct json_object *o, const struct image *i)
{
        struct json_object *tags = json_array(o, "RepoTags");
        struct json_object *digests = json_array(o, "RepoDigests");

        for (size_t n = 0; n < i->names.n; n++) {
                struct reference ref = {0};
                AUTO_FREE char *familiar = NULL;

                if (reference_parse(i->names.v[n], &ref, NULL) < 0)
                        continue;
                familiar = reference_familiar(&ref);
                json_object_array_add(ref.digest ? digests : tags,
                                      json_object_new_string(familiar));
                reference_release(&ref);
        }
}

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

static void add_root_fs(struct json_object *o, struct json_object *config)
{
        struct json_object *root = json_object(o, "RootFS");
        struct json_object *rootfs = NULL;

        json_add_string(root, "Type", "layers");
        json_array(root, "Layers");
        if (json_object_object_get_ex(config, "rootfs", &rootfs))
                copy(root, "Layers", rootfs, "diff_ids");
}

static void add_last_tag(struct json_object *o)
{
        json_add_string(json_object(o, "Metadata"), "LastTagTime", CLOCK_ZERO);
}

static void build(struct json_object *o, const struct image *i, struct json_object *config)
{
        struct json_object *graph;
        char created[CLOCK_RFC3339_MAX];

        json_add_string(o, "Id", i->id);
        add_names(o, i);
        json_add_string(o, "Parent", "");
        copy_string(o, "Comment", config, "comment");
        json_add_string(o, "Created",
                        i->created_ns ? clock_format(i->created_ns, created) : CLOCK_ZERO);
        json_add_string(o, "DockerVersion", "");
        copy_string(o, "Author", config, "author");
        json_object_object_add(o, "Config", json_object_new_object());
        copy(o, "Config", config, "config");
        json_add_string(o, "Architecture", i->architecture);
        copy(o, "Variant", config, "variant");
        json_add_string(o, "Os", i->os);
        json_add_uint(o, "Size", i->size);
        json_add_uint(o, "VirtualSize", i->size);
        graph = json_object(o, "GraphDriver");
        json_object_object_add(graph, "Data", NULL);
        json_add_string(graph, "Name", "kelp");
        add_root_fs(o, config);
        add_last_tag(o);
        if (i->manifest_digest)
                json_add_string(json_object(o, "Descriptor"), "digest", i->manifest_digest);
}

int image_inspect(const struct dirs *d, const char *name, struct json_object **ret,
                  struct err **reterr)
{
        AUTO(image_freep) struct image *i = NULL;
        AUTO_JSON *config = NULL;
        int r = store_find(d, name, &i, reterr);

        if (r >= 0)
                r = store_config(d, i, &config, reterr);
        if (r < 0)
                return r;
        *ret = json_object_new_object();
        build(*ret, i, config);
        return 0;
}
