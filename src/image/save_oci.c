/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI layout, and the combined one that Docker writes since version 25: the same, plus manifest.json, so that every reader of
 * Docker archives and of OCI archives finds its way.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "image/digest.h"
#include "image/reference.h"
#include "image/save.h"
#include "image/tool.h"

#include <string.h>

static char *blob_name(const char *digest)
{
        return xasprintf("blobs/sha256/%s", digest_hex(digest));
}

static int add_layers(struct tool *t, const struct save_image *m, struct save_files *ret,
                      struct err **reterr)
{
        for (size_t i = 0; i < m->layers.n; i++) {
                const char *digest = m->parsed.layers.v[i].digest,
                           *diff_id = m->summary.diff_ids.v[i];
                AUTO_FREE char *name = blob_name(digest);
                int r;

                if (save_has_blob(t, digest))
                        r = save_add_blob(t, ret, name, digest, reterr);
                else if (strcmp(digest, diff_id) == 0)
                        r = save_add_layer(t, ret, name, m->layers.v[i], reterr);
                else
                        r = err_new(reterr, ERR_INVALID,
                                    "the bytes of layer %.19s are missing in the store", digest);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* How other tools read a name that was made here: Docker has no "localhost/", it prints and takes the bare name. */
static char *public_name(const char *formatted)
{
        AUTO(reference_release) struct reference r = {0}, again = {0};
        AUTO_FREE char *familiar = NULL;

        if (reference_parse(formatted, &r, NULL) < 0)
                return xstrdup(formatted);
        familiar = reference_familiar(&r);
        return reference_parse(familiar, &again, NULL) < 0 ? xstrdup(formatted)
                                                           : reference_format(&again);
}

static void add_to_index(struct json_object *manifests, const struct save_image *m,
                         const char *name, bool docker)
{
        struct json_object *d = json_object_new_object(), *notes;
        AUTO_JSON *doc = NULL;
        const char *type = NULL;

        if (json_parse(m->manifest, m->manifest_len, "manifest", &doc, NULL) >= 0) {
                struct json_at root = json_root(doc, "manifest");

                (void)json_opt_string(&root, "mediaType", &type, NULL);
        }
        json_add_string(d, "mediaType", type ? type : MEDIA_OCI_MANIFEST);
        json_add_string(d, "digest", m->manifest_digest);
        json_add_uint(d, "size", m->manifest_len);
        if (name && docker) {
                AUTO_FREE char *full = public_name(name);
                const char *colon = strrchr(full, ':');

                notes = json_object(d, "annotations");
                json_add_string(notes, "io.containerd.image.name", full);
                json_add_string(notes, "org.opencontainers.image.ref.name",
                                colon ? colon + 1 : full);
        } else if (name) {
                notes = json_object(d, "annotations");
                json_add_string(notes, "org.opencontainers.image.ref.name", name);
        }
        json_object_array_add(manifests, d);
}

static void add_json(struct save_files *ret, const char *name, struct json_object *doc)
{
        const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE);

        save_add_text(ret, name, text, strlen(text));
}

static void add_index(const struct save_images *images, bool docker, struct save_files *ret)
{
        AUTO_JSON *index = json_object_new_object();
        struct json_object *manifests;

        json_add_int(index, "schemaVersion", 2);
        json_add_string(index, "mediaType", MEDIA_OCI_INDEX);
        manifests = json_array(index, "manifests");
        for (size_t i = 0; i < images->n; i++) {
                const struct save_image *m = &images->v[i];

                for (size_t k = 0; k < m->names.n; k++)
                        add_to_index(manifests, m, m->names.v[k], docker);
                if (m->names.n == 0)
                        add_to_index(manifests, m, NULL, docker);
        }
        add_json(ret, "index.json", index);
}

static void add_docker_manifest(const struct save_images *images, struct save_files *ret)
{
        AUTO_JSON *list = json_object_new_array();

        for (size_t i = 0; i < images->n; i++) {
                const struct save_image *m = &images->v[i];
                struct json_object *entry = json_object_new_object(), *tags, *layers;
                AUTO_FREE char *config = blob_name(m->id);

                json_add_string(entry, "Config", config);
                tags = json_array(entry, "RepoTags");
                for (size_t k = 0; k < m->names.n; k++) {
                        AUTO(reference_release) struct reference r = {0};
                        AUTO_FREE char *familiar = NULL;

                        if (reference_parse(m->names.v[k], &r, NULL) < 0)
                                continue;
                        familiar = reference_familiar(&r);
                        json_object_array_add(tags, json_object_new_string(familiar));
                }
                layers = json_array(entry, "Layers");
                for (size_t k = 0; k < m->parsed.layers.n; k++) {
                        AUTO_FREE char *name = blob_name(m->parsed.layers.v[k].digest);

                        json_object_array_add(layers, json_object_new_string(name));
                }
                json_object_array_add(list, entry);
        }
        add_json(ret, "manifest.json", list);
}

int save_oci(struct tool *t, const struct save_images *images, bool docker, struct save_files *ret,
             struct err **reterr)
{
        static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

        for (size_t i = 0; i < images->n; i++) {
                const struct save_image *m = &images->v[i];
                AUTO_FREE char *config = blob_name(m->id),
                               *manifest = blob_name(m->manifest_digest);
                int r;

                save_add_text(ret, config, m->config, m->config_len);
                save_add_text(ret, manifest, m->manifest, m->manifest_len);
                r = add_layers(t, m, ret, reterr);
                if (r < 0)
                        return r;
        }
        save_add_text(ret, "oci-layout", layout, strlen(layout));
        add_index(images, docker, ret);
        if (docker)
                add_docker_manifest(images, ret);
        return 0;
}
