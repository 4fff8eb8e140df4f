/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/json.h"
#include "image/digest.h"
#include "image/store_internal.h"

#include <stdlib.h>
#include <string.h>

void descriptor_release(struct descriptor *d)
{
        free(d->media_type);
        free(d->digest);
        free(d->ref_name);
        free(d->image_name);
        *d = (struct descriptor){0};
}

void descriptor_list_release(struct descriptor_list *l)
{
        for (size_t i = 0; i < l->n; i++)
                descriptor_release(&l->v[i]);
        free(l->v);
        *l = (struct descriptor_list){0};
}

enum descriptor_kind descriptor_kind(const struct descriptor *d)
{
        static const struct {
                const char *type;
                enum descriptor_kind kind;
        } types[] = {
            {MEDIA_OCI_MANIFEST, DESCRIPTOR_MANIFEST},
            {"application/vnd.docker.distribution.manifest.v2+json", DESCRIPTOR_MANIFEST},
            {MEDIA_OCI_INDEX, DESCRIPTOR_INDEX},
            {"application/vnd.docker.distribution.manifest.list.v2+json", DESCRIPTOR_INDEX},
        };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (strcmp(d->media_type, types[i].type) == 0)
                        return types[i].kind;
        return DESCRIPTOR_OTHER;
}

static int parse_platform(const struct json_at *at, struct descriptor *ret, struct err **reterr)
{
        const char *os = NULL, *arch = NULL, *variant = NULL;
        int r;

        if (!at->obj)
                return 0;
        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_string(at, "os", &os, reterr)) < 0 ||
            (r = json_opt_string(at, "architecture", &arch, reterr)) < 0 ||
            (r = json_opt_string(at, "variant", &variant, reterr)) < 0)
                return r;
        ret->has_platform = true;
        platform_set(&ret->platform, os, arch, variant);
        if (strcmp(ret->platform.os, "unknown") == 0)
                ret->attestation = true;
        return 0;
}

static int parse_annotations(const struct json_at *at, struct descriptor *ret, struct err **reterr)
{
        const char *ref = NULL, *name = NULL, *type = NULL;
        int r;

        if (!at->obj)
                return 0;
        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_string(at, "org.opencontainers.image.ref.name", &ref, reterr)) < 0 ||
            (r = json_opt_string(at, "io.containerd.image.name", &name, reterr)) < 0 ||
            (r = json_opt_string(at, "vnd.docker.reference.type", &type, reterr)) < 0)
                return r;
        ret->ref_name = xstrdup(ref);
        ret->image_name = xstrdup(name);
        if (type)
                ret->attestation = true;
        return 0;
}

static int descriptor_parse(const struct json_at *at, struct descriptor *ret, struct err **reterr)
{
        AUTO(descriptor_release) struct descriptor d = {0};
        struct json_at platform, annotations, urls;
        const char *type = NULL, *digest = NULL;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_opt_string(at, "mediaType", &type, reterr)) < 0 ||
            (r = json_get_string(at, "digest", &digest, reterr)) < 0 ||
            (r = json_get_u64(at, "size", &d.size, reterr)) < 0)
                return r;
        if (!digest_is_valid(digest))
                return json_fail(at, reterr, "bad digest '%s'", digest);
        if (!str_starts(digest, "sha256:"))
                return json_fail(at, reterr, "digest '%.16s…': only sha256 is supported", digest);
        d.media_type = xstrdup(type ? type : "");
        d.digest = xstrdup(digest);
        platform = json_key(at, "platform");
        annotations = json_key(at, "annotations");
        urls = json_key(at, "urls");
        d.foreign = urls.obj != NULL;
        if ((r = parse_platform(&platform, &d, reterr)) < 0 ||
            (r = parse_annotations(&annotations, &d, reterr)) < 0)
                return r;
        *ret = d;
        d = (struct descriptor){0};
        return 0;
}

static int parse_list(const struct json_at *at, size_t max, struct descriptor_list *ret,
                      struct err **reterr)
{
        size_t n = 0;
        int r = json_want_array(at, max, &n, reterr);

        if (r < 0)
                return r;
        ret->v = xcalloc(n + 1, sizeof(*ret->v));
        for (size_t i = 0; i < n; i++) {
                struct json_at elem = json_elem(at, i);

                r = descriptor_parse(&elem, &ret->v[i], reterr);
                if (r < 0)
                        return r;
                ret->n = i + 1;
        }
        return 0;
}

static int parse_document(const char *data, size_t n, const char *what, struct json_object **ret,
                          struct err **reterr)
{
        if (n > MANIFEST_JSON_MAX)
                return err_new(reterr, ERR_INVALID, "%s: larger than %u MiB", what,
                               MANIFEST_JSON_MAX >> 20);
        return json_parse(data, n, what, ret, reterr);
}

static int check_schema(const struct json_at *root, struct err **reterr)
{
        uint64_t version = 2;
        int r = json_want_object(root, reterr);

        if (r >= 0)
                r = json_opt_u64(root, "schemaVersion", &version, reterr);
        if (r < 0)
                return r;
        if (version != 2)
                return json_fail(root, reterr, "schemaVersion %llu is not supported",
                                 (unsigned long long)version);
        return 0;
}

int index_parse(const char *data, size_t n, const char *what, struct descriptor_list *ret,
                struct err **reterr)
{
        AUTO(descriptor_list_release) struct descriptor_list list = {0};
        AUTO_JSON *doc = NULL;
        struct json_at root, manifests;
        int r = parse_document(data, n, what, &doc, reterr);

        if (r < 0)
                return r;
        root = json_root(doc, what);
        r = check_schema(&root, reterr);
        if (r < 0)
                return r;
        manifests = json_key(&root, "manifests");
        r = parse_list(&manifests, MANIFEST_MAX_ENTRIES, &list, reterr);
        if (r < 0)
                return r;
        *ret = list;
        list = (struct descriptor_list){0};
        return 0;
}

void manifest_release(struct manifest *m)
{
        descriptor_release(&m->config);
        descriptor_list_release(&m->layers);
}

int manifest_parse(const char *data, size_t n, const char *what, struct manifest *ret,
                   struct err **reterr)
{
        AUTO(manifest_release) struct manifest m = {0};
        AUTO_JSON *doc = NULL;
        struct json_at root, config, layers;
        int r = parse_document(data, n, what, &doc, reterr);

        if (r < 0)
                return r;
        root = json_root(doc, what);
        r = check_schema(&root, reterr);
        if (r < 0)
                return r;
        config = json_key(&root, "config");
        layers = json_key(&root, "layers");
        if ((r = descriptor_parse(&config, &m.config, reterr)) < 0 ||
            (layers.obj && (r = parse_list(&layers, MANIFEST_MAX_LAYERS, &m.layers, reterr)) < 0))
                return r;
        m.artifact =
            m.config.media_type[0] && strcmp(m.config.media_type, MEDIA_OCI_CONFIG) != 0 &&
            strcmp(m.config.media_type, "application/vnd.docker.container.image.v1+json") != 0 &&
            strcmp(m.config.media_type, "application/octet-stream") != 0;
        *ret = m;
        m = (struct manifest){0};
        return 0;
}

void config_summary_release(struct config_summary *c)
{
        strv_release(&c->diff_ids);
}

int config_parse(const char *data, size_t n, const char *what, struct config_summary *ret,
                 struct err **reterr)
{
        AUTO(config_summary_release) struct config_summary c = {0};
        const char *os = NULL, *arch = NULL, *variant = NULL;
        AUTO_JSON *doc = NULL;
        struct json_at root, settings;
        int r = parse_document(data, n, what, &doc, reterr);

        if (r < 0)
                return r;
        root = json_root(doc, what);
        if ((r = json_want_object(&root, reterr)) < 0 ||
            (r = json_opt_string(&root, "os", &os, reterr)) < 0 ||
            (r = json_opt_string(&root, "architecture", &arch, reterr)) < 0 ||
            (r = json_opt_string(&root, "variant", &variant, reterr)) < 0 ||
            (r = image_config_diff_ids(&root, &c.diff_ids, reterr)) < 0)
                return r;
        settings = json_key(&root, "config");
        if (settings.obj && (r = json_want_object(&settings, reterr)) < 0)
                return r;
        platform_set(&c.platform, os, arch, variant);
        *ret = c;
        c = (struct config_summary){0};
        return 0;
}

void docker_manifest_release(struct docker_manifest *m)
{
        for (size_t i = 0; i < m->n; i++) {
                free(m->v[i].config);
                strv_release(&m->v[i].tags);
                strv_release(&m->v[i].layers);
        }
        free(m->v);
        *m = (struct docker_manifest){0};
}

static int docker_image_parse(const struct json_at *at, struct docker_image *ret,
                              struct err **reterr)
{
        const char *config = NULL;
        int r;

        if ((r = json_want_object(at, reterr)) < 0 ||
            (r = json_get_string(at, "Config", &config, reterr)) < 0 ||
            (r = json_opt_strv(at, "RepoTags", &ret->tags, reterr)) < 0 ||
            (r = json_opt_strv(at, "Layers", &ret->layers, reterr)) < 0)
                return r;
        ret->config = xstrdup(config);
        if (ret->layers.n > MANIFEST_MAX_LAYERS)
                return json_fail(at, reterr, "more than %d layers", MANIFEST_MAX_LAYERS);
        if (ret->tags.n > MANIFEST_MAX_NAMES)
                return json_fail(at, reterr, "more than %d names", MANIFEST_MAX_NAMES);
        return 0;
}

int docker_manifest_parse(const char *data, size_t n, struct docker_manifest *ret,
                          struct err **reterr)
{
        AUTO(docker_manifest_release) struct docker_manifest m = {0};
        AUTO_JSON *doc = NULL;
        struct json_at root;
        size_t count = 0;
        int r = parse_document(data, n, "manifest.json", &doc, reterr);

        if (r < 0)
                return r;
        root = json_root(doc, "manifest.json");
        r = json_want_array(&root, MANIFEST_MAX_ENTRIES, &count, reterr);
        if (r < 0)
                return r;
        m.v = xcalloc(count + 1, sizeof(*m.v));
        for (size_t i = 0; i < count; i++) {
                struct json_at at = json_elem(&root, i);

                m.n = i + 1;
                r = docker_image_parse(&at, &m.v[i], reterr);
                if (r < 0)
                        return r;
        }
        *ret = m;
        m = (struct docker_manifest){0};
        return 0;
}

static int parse_tags(const struct json_at *at, const char *name, struct strv *ret_names,
                      struct strv *ret_ids, struct err **reterr)
{
        struct json_object_iterator i, end;
        int r = json_want_object(at, reterr);

        if (r < 0)
                return r;
        i = json_object_iter_begin(at->obj);
        end = json_object_iter_end(at->obj);
        for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
                const char *tag = json_object_iter_peek_name(&i), *id = NULL;

                r = json_get_string(at, tag, &id, reterr);
                if (r < 0)
                        return r;
                if (!str_is_hex(id, 64))
                        return json_fail(at, reterr, "'%s' is no image id", id);
                if (ret_names->n >= MANIFEST_MAX_NAMES)
                        return json_fail(at, reterr, "more than %d names", MANIFEST_MAX_NAMES);
                strv_addf(ret_names, "%s:%s", name, tag);
                strv_add(ret_ids, id);
        }
        return 0;
}

int repositories_parse(const char *data, size_t n, struct strv *ret_names, struct strv *ret_ids,
                       struct err **reterr)
{
        struct json_object_iterator i, end;
        AUTO_JSON *doc = NULL;
        struct json_at root;
        int r = parse_document(data, n, "repositories", &doc, reterr);

        if (r < 0)
                return r;
        root = json_root(doc, "repositories");
        r = json_want_object(&root, reterr);
        if (r < 0)
                return r;
        i = json_object_iter_begin(doc);
        end = json_object_iter_end(doc);
        for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
                const char *name = json_object_iter_peek_name(&i);
                struct json_at at = json_key(&root, name);

                r = parse_tags(&at, name, ret_names, ret_ids, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct json_object *build_descriptor(const char *type, const char *digest, uint64_t size)
{
        struct json_object *d = json_object_new_object();

        json_add_string(d, "mediaType", type);
        json_add_string(d, "digest", digest);
        json_add_uint(d, "size", size);
        return d;
}

static char *build(const char *manifest_type, const char *config_type, const char *config_digest,
                   uint64_t config_size, const struct manifest_layer *layers, size_t n)
{
        AUTO_JSON *doc = json_object_new_object();
        struct json_object *array;

        json_add_int(doc, "schemaVersion", 2);
        json_add_string(doc, "mediaType", manifest_type);
        json_object_object_add(doc, "config",
                               build_descriptor(config_type, config_digest, config_size));
        array = json_array(doc, "layers");
        for (size_t i = 0; i < n; i++)
                json_object_array_add(array, build_descriptor(layers[i].media_type,
                                                              layers[i].digest, layers[i].size));
        return xstrdup(json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE));
}

char *manifest_build(const char *config_digest, uint64_t config_size,
                     const struct manifest_layer *layers, size_t n)
{
        return build(MEDIA_OCI_MANIFEST, MEDIA_OCI_CONFIG, config_digest, config_size, layers, n);
}

char *manifest_build_docker(const char *config_digest, uint64_t config_size,
                            const struct manifest_layer *layers, size_t n)
{
        return build(MEDIA_DOCKER_MANIFEST, MEDIA_DOCKER_CONFIG, config_digest, config_size, layers,
                     n);
}

const char *manifest_layer_type(const char *media_type, bool docker)
{
        if (str_ends(media_type, "gzip"))
                return docker ? MEDIA_DOCKER_LAYER ".gzip" : MEDIA_OCI_LAYER "+gzip";
        if (str_ends(media_type, "zstd"))
                return docker ? MEDIA_DOCKER_LAYER ".zstd" : MEDIA_OCI_LAYER "+zstd";
        return docker ? MEDIA_DOCKER_LAYER : MEDIA_OCI_LAYER;
}
