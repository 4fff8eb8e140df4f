/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run description of an image is everything a start needs in one file, so that `run` reads one file: made once, when the
 * image is published, from the config blob and the layers' info.json.
 *
 * "layers" holds each layer once. An image may name a layer twice (empty steps do), but overlay refuses the same directory
 * twice, and the lower of two equal layers can't be seen: whatever it holds, the upper one holds too.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "image/digest.h"
#include "image/layer_info.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct image *image_free(struct image *i)
{
        if (!i)
                return NULL;
        free(i->id);
        free(i->manifest_digest);
        free(i->os);
        free(i->architecture);
        strv_release(&i->layers);
        strv_release(&i->names);
        (void)json_unref(i->doc);
        free(i);
        return NULL;
}

/* The directory of layer @digest on top of @below: its own name, or the one that says on what it was unpacked. */
static int find_layer(const struct dirs *d, const char *digest, const struct strv *below,
                      char ret[LAYER_NAME_MAX], struct layer_info *ret_info, struct err **reterr)
{
        const char *hex = digest_hex(digest);
        int r;

        snprintf(ret, LAYER_NAME_MAX, "%s", hex);
        r = store_layer_info(d, ret, ret_info, reterr);
        if (r != 0)
                return r;
        layer_chain_name(hex, below->v, below->n, ret);
        r = store_layer_info(d, ret, ret_info, reterr);
        if (r == 0)
                return err_new(reterr, ERR_NOT_FOUND, "layer %.12s is not in the store", hex);
        return r;
}

int store_layer_info(const struct dirs *d, const char *name, struct layer_info *ret,
                     struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_LAYERS "/%s", name);
        AUTO_CLOSE int fd = openat(d->root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r;

        if (fd < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "open layer %.12s", name);
        r = layer_info_read(fd, ret, reterr);
        return r < 0 ? err_wrap(reterr, r, "layer %.12s", name) : 1;
}

int store_layer_names(const struct dirs *d, const struct strv *diff_ids, struct strv *ret,
                      struct store_layer_sum *sum, struct err **reterr)
{
        *sum = (struct store_layer_sum){0};
        for (size_t i = 0; i < diff_ids->n; i++) {
                struct layer_info info = {0};
                char name[LAYER_NAME_MAX];
                int r = find_layer(d, diff_ids->v[i], ret, name, &info, reterr);

                if (r < 0)
                        return r;
                if (!strv_contains(ret, name)) {
                        sum->bytes += info.bytes;
                        sum->setuid = sum->setuid || info.setuid;
                }
                layer_info_release(&info);
                strv_add(ret, name);
        }
        return 0;
}

static int add_layers(const struct dirs *d, const struct json_at *config, struct json_object *out,
                      struct err **reterr)
{
        AUTO_STRV diff_ids = {0}, names = {0};
        struct json_object *layers = json_array(out, "layers");
        struct store_layer_sum sum;
        int r;

        r = image_config_diff_ids(config, &diff_ids, reterr);
        if (r < 0)
                return r;
        r = store_layer_names(d, &diff_ids, &names, &sum, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                bool again = false;

                for (size_t k = i + 1; k < names.n && !again; k++)
                        again = strcmp(names.v[i], names.v[k]) == 0;
                if (!again)
                        json_object_array_add(layers, json_object_new_string(names.v[i]));
        }
        json_add_uint(out, "size", sum.bytes);
        json_add_bool(out, "setuid", sum.setuid);
        return 0;
}

int image_config_diff_ids(const struct json_at *config, struct strv *ret, struct err **reterr)
{
        struct json_at rootfs = json_key(config, "rootfs");
        struct json_at ids;
        size_t n = 0;
        int r;

        if (!rootfs.obj)
                return 0;
        r = json_want_object(&rootfs, reterr);
        if (r < 0)
                return r;
        ids = json_key(&rootfs, "diff_ids");
        if (!ids.obj)
                return 0;
        r = json_want_array(&ids, STORE_MAX_LAYERS, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&ids, i);
                const char *digest = NULL;

                r = json_value_string(&at, &digest, reterr);
                if (r < 0)
                        return r;
                if (!digest_is_valid(digest) || !str_starts(digest, "sha256:"))
                        return json_fail(&at, reterr, "expected a sha256 digest");
                strv_add(ret, digest);
        }
        return r < 0 ? r : 0;
}

int run_description_build(const struct dirs *d, const char *id, const char *manifest,
                          struct json_object *config, struct json_object **ret, struct err **reterr)
{
        struct json_at root = json_root(config, "image config"), settings;
        static const char *const copied[] = {"os", "architecture", "variant", "created"};
        AUTO_JSON *out = json_object_new_object();
        int r;

        r = json_want_object(&root, reterr);
        if (r < 0)
                return r;
        json_add_int(out, "version", 1);
        json_add_string(out, "id", id);
        json_add_string(out, "manifest", manifest);
        for (size_t i = 0; i < ARRAY_SIZE(copied); i++) {
                const char *value = NULL;

                r = json_opt_string(&root, copied[i], &value, reterr);
                if (r < 0)
                        return r;
                if (value)
                        json_add_string(out, copied[i], value);
        }
        r = add_layers(d, &root, out, reterr);
        if (r < 0)
                return r;
        settings = json_key(&root, "config");
        if (settings.obj) {
                r = json_want_object(&settings, reterr);
                if (r < 0)
                        return r;
                json_object_object_add(out, "config", json_object_get(settings.obj));
        } else {
                (void)json_object(out, "config");
        }
        *ret = TAKE_PTR(out);
        return 0;
}

static int parse_into(struct image *i, const char *what, struct err **reterr)
{
        struct json_at root = json_root(i->doc, what);
        const char *id = NULL, *manifest = NULL, *os = NULL, *arch = NULL, *created = NULL;
        int r;

        if ((r = json_want_object(&root, reterr)) < 0 ||
            (r = json_get_string(&root, "id", &id, reterr)) < 0 ||
            (r = json_get_string(&root, "manifest", &manifest, reterr)) < 0 ||
            (r = json_opt_string(&root, "os", &os, reterr)) < 0 ||
            (r = json_opt_string(&root, "architecture", &arch, reterr)) < 0 ||
            (r = json_opt_string(&root, "created", &created, reterr)) < 0 ||
            (r = json_opt_bool(&root, "setuid", &i->setuid, reterr)) < 0 ||
            (r = json_opt_u64(&root, "size", &i->size, reterr)) < 0 ||
            (r = json_opt_strv(&root, "layers", &i->layers, reterr)) < 0)
                return r;
        if (!digest_is_valid(id) || !digest_is_valid(manifest))
                return json_fail(&root, reterr, "id and manifest must be digests");
        for (size_t k = 0; k < i->layers.n; k++)
                if (!layer_name_is_valid(i->layers.v[k]))
                        return json_fail(&root, reterr, "a layer is named '%s'", i->layers.v[k]);
        i->id = xstrdup(id);
        i->manifest_digest = xstrdup(manifest);
        i->os = xstrdup(os ? os : "linux");
        i->architecture = xstrdup(arch ? arch : "");
        if (created && clock_parse(created, &i->created_ns) < 0)
                i->created_ns = 0;
        return 0;
}

int run_description_parse_take(struct json_object *doc, const char *what, struct image **ret,
                               struct err **reterr)
{
        AUTO(image_freep) struct image *i = xnew(struct image);
        int r;

        i->doc = doc;
        r = parse_into(i, what, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

int run_description_read(const struct dirs *d, const char *hex, struct image **ret,
                         struct err **reterr)
{
        char path[sizeof(STORE_RUN) + 64 + sizeof("/.json")];
        struct json_object *doc = NULL;
        AUTO_ERR struct err *e = NULL;
        int r;

        snprintf(path, sizeof(path), STORE_RUN "/%s.json", hex);
        r = json_read_file(d->root_fd, path, STORE_JSON_MAX, &doc, &e);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                r = err_move(reterr, r, &e);
                return err_wrap(reterr, r, "image %.12s", hex);
        }
        r = run_description_parse_take(doc, path, ret, reterr);
        return r < 0 ? r : 1;
}

int run_description_ids(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = store_names(d, STORE_RUN, &names, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < names.n; i++) {
                if (!str_ends(names.v[i], ".json"))
                        continue;
                names.v[i][strlen(names.v[i]) - strlen(".json")] = '\0';
                if (str_is_hex(names.v[i], 64))
                        strv_add(ret, names.v[i]);
        }
        return 0;
}
