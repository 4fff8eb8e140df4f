/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI layouts, as a directory or in an archive.
 *
 * Theory of operation. index.json lists descriptors. Those with one name, or without any but with platforms, are one image for
 * several platforms; each such group gives one image: the one that suits best. A descriptor may itself be an index, down to MAX_DEPTH.
 * Attestations, artifacts and unknown kinds are passed over, and so is what the archive does not hold, as long as something is
 * left: a layout may be sparse. Every document's digest and size is checked before it is parsed, so that an index can't
 * contain itself.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "image/archive.h"
#include "image/assemble.h"
#include "image/digest.h"
#include "image/hash.h"
#include "image/load.h"
#include "image/manifest.h"
#include "image/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 4

static char *blob_path(const char *digest)
{
        return xasprintf("blobs/sha256/%s", digest_hex(digest));
}

static int read_blob(struct loader *l, const struct descriptor *d, char **ret, size_t *ret_len,
                     struct err **reterr)
{
        AUTO_FREE char *path = blob_path(d->digest), *data = NULL;
        char digest[HASH_DIGEST_SIZE];
        size_t n = 0;
        int r = archive_read(l->archive, path, &data, &n, reterr);

        if (r < 0)
                return r;
        if (n != d->size)
                return err_new(reterr, ERR_INVALID, "'%s' has %zu bytes, its descriptor says %llu",
                               path, n, (unsigned long long)d->size);
        hash_bytes(data, n, digest);
        if (strcmp(digest, d->digest) != 0)
                return err_new(reterr, ERR_INVALID, "'%s' is damaged: its digest is %s", path,
                               digest);
        *ret = TAKE_PTR(data);
        *ret_len = n;
        return 0;
}

static bool is_there(struct loader *l, const struct descriptor *d)
{
        AUTO_FREE char *path = blob_path(d->digest);

        return archive_has(l->archive, path);
}

/* ---- one manifest ---- */

static int check_foreign(const struct manifest *m, struct loader *l, struct err **reterr)
{
        for (size_t i = 0; i < m->layers.n; i++)
                if (m->layers.v[i].foreign && !is_there(l, &m->layers.v[i])) {
                        int r = err_new(reterr, ERR_UNSUPPORTED,
                                        "layer %.19s… is not in the archive, only an address of it",
                                        m->layers.v[i].digest);

                        return err_hint(reterr, r, "save the image again with all its layers");
                }
        return 0;
}

static int publish(struct loader *l, const struct assembled *image, const struct manifest *m,
                   const struct config_summary *config, struct err **reterr)
{
        AUTO_FREE struct layer_want *wants = xcalloc(m->layers.n + 1, sizeof(*wants));
        AUTO_STRV paths = {0};
        int r;

        for (size_t i = 0; i < m->layers.n; i++)
                strv_add_take(&paths, blob_path(m->layers.v[i].digest));
        for (size_t i = 0; i < m->layers.n; i++)
                wants[i] = (struct layer_want){
                    .entry = paths.v[i],
                    .blob_digest = m->layers.v[i].digest,
                    .blob_size = m->layers.v[i].size,
                    .diff_id = config->diff_ids.v[i],
                    .keep_blob = true,
                };
        r = assembler_layers(l->assembler, wants, m->layers.n, NULL, NULL, reterr);
        if (r < 0)
                return r;
        r = assembler_publish(l->assembler, image, reterr);
        if (r >= 0)
                l->loaded++;
        return r;
}

static int load_manifest(struct loader *l, const struct descriptor *d, const struct strv *names,
                         struct err **reterr)
{
        AUTO(config_summary_release) struct config_summary config = {0};
        AUTO(manifest_release) struct manifest m = {0};
        AUTO_FREE char *manifest = NULL, *text = NULL;
        struct assembled image = {.names = names->n ? names->v : NULL};
        int r;

        if ((r = read_blob(l, d, &manifest, &image.manifest_len, reterr)) < 0 ||
            (r = manifest_parse(manifest, image.manifest_len, "image manifest", &m, reterr)) < 0)
                return r;
        if (m.artifact)
                return err_new(reterr, ERR_UNSUPPORTED,
                               "%.19s… is an artifact of type '%s', not an image", d->digest,
                               m.config.media_type);
        if ((r = read_blob(l, &m.config, &text, &image.config_len, reterr)) < 0 ||
            (r = config_parse(text, image.config_len, "image config", &config, reterr)) < 0 ||
            (r = load_check_platform(l, &config.platform, reterr)) < 0 ||
            (r = check_foreign(&m, l, reterr)) < 0)
                return r;
        if (m.layers.n != config.diff_ids.n)
                return err_new(reterr, ERR_INVALID, "the manifest has %zu layers, the config %zu",
                               m.layers.n, config.diff_ids.n);
        image.manifest = manifest;
        image.config = text;
        return publish(l, &image, &m, &config, reterr);
}

/* ---- choosing ---- */

/* Of several for one name: the descriptor that suits best, or NULL. An image without a platform suits everybody, but
 * loses against one that says that it suits. */
static const struct descriptor *choose(const struct loader *l, const struct descriptor *const *v,
                                       size_t n)
{
        const struct descriptor *best = NULL;
        int best_score = -1;

        for (size_t i = 0; i < n; i++) {
                int score = v[i]->has_platform ? platform_score(&l->platform, &v[i]->platform) : 1;

                if (v[i]->attestation || (v[i]->has_platform && score == 0) || score <= best_score)
                        continue;
                best = v[i];
                best_score = score;
        }
        return best;
}

static int nothing_suits(const struct loader *l, const struct descriptor *const *v, size_t n,
                         struct err **reterr)
{
        char wanted[3 * PLATFORM_PART], have[3 * PLATFORM_PART];
        AUTO_STRBUF list = {0};
        int r;

        platform_format(&l->platform, wanted);
        for (size_t i = 0; i < n; i++) {
                if (v[i]->attestation || !v[i]->has_platform)
                        continue;
                platform_format(&v[i]->platform, have);
                strbuf_addf(&list, "%s%s", list.len ? ", " : "", have);
        }
        r = err_new(reterr, ERR_NOT_FOUND, "no image for the platform %s in it", wanted);
        return list.len ? err_hint(reterr, r, "it has: %s; choose one with --platform", list.data)
                        : r;
}

static int load_group(struct loader *l, const struct descriptor *const *v, size_t n,
                      const struct strv *names, int depth, struct err **reterr);

static int load_index(struct loader *l, const struct descriptor *d, const struct strv *names,
                      int depth, struct err **reterr)
{
        AUTO(descriptor_list_release) struct descriptor_list list = {0};
        AUTO_FREE const struct descriptor **v = NULL;
        AUTO_FREE char *data = NULL;
        size_t len = 0;
        int r;

        if (depth >= MAX_DEPTH)
                return err_new(reterr, ERR_INVALID, "indexes are nested more than %d deep",
                               MAX_DEPTH);
        if ((r = read_blob(l, d, &data, &len, reterr)) < 0 ||
            (r = index_parse(data, len, "image index", &list, reterr)) < 0)
                return r;
        v = xcalloc(list.n + 1, sizeof(*v));
        for (size_t i = 0; i < list.n; i++)
                v[i] = &list.v[i];
        return load_group(l, v, list.n, names, depth + 1, reterr);
}

static int load_descriptor(struct loader *l, const struct descriptor *d, const struct strv *names,
                           int depth, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        enum descriptor_kind kind = descriptor_kind(d);
        size_t len = 0;
        int r;

        if (kind == DESCRIPTOR_OTHER && d->media_type[0] == '\0') {
                /* Without a media type the document says itself what it is. */
                AUTO(manifest_release) struct manifest m = {0};

                r = read_blob(l, d, &data, &len, reterr);
                if (r < 0)
                        return r;
                kind = manifest_parse(data, len, "manifest", &m, NULL) >= 0 ? DESCRIPTOR_MANIFEST
                                                                            : DESCRIPTOR_INDEX;
        }
        if (kind == DESCRIPTOR_OTHER)
                return err_new(reterr, ERR_UNSUPPORTED, "%.19s… has the unknown type '%s'",
                               d->digest, d->media_type);
        return kind == DESCRIPTOR_INDEX ? load_index(l, d, names, depth, reterr)
                                        : load_manifest(l, d, names, reterr);
}

static int load_group(struct loader *l, const struct descriptor *const *v, size_t n,
                      const struct strv *names, int depth, struct err **reterr)
{
        AUTO_FREE const struct descriptor **usable = xcalloc(n + 1, sizeof(*usable));
        const struct descriptor *chosen;
        size_t m = 0;

        for (size_t i = 0; i < n; i++)
                if (descriptor_kind(v[i]) != DESCRIPTOR_OTHER || v[i]->media_type[0] == '\0')
                        usable[m++] = v[i];
        chosen = choose(l, usable, m);
        if (!chosen)
                return nothing_suits(l, usable, m, reterr);
        return load_descriptor(l, chosen, names, depth, reterr);
}

/* ---- index.json ---- */

static void add_names(struct loader *l, const struct descriptor *d, struct strv *ret)
{
        if (d->image_name)
                load_add_name(l, d->image_name, false, ret);
        else if (d->ref_name)
                /* As podman has it, also for one that may have been meant as a tag: "latest" is localhost/latest:latest. */
                load_add_name(l, d->ref_name, true, ret);
}

static bool same_group(const struct descriptor *a, const struct descriptor *b)
{
        const char *x = a->image_name ? a->image_name : a->ref_name;
        const char *y = b->image_name ? b->image_name : b->ref_name;

        if (strcmp(a->digest, b->digest) == 0)
                return true; /* one image with several names */
        if (!a->has_platform || !b->has_platform)
                return false;
        return (!x && !y) || (x && y && strcmp(x, y) == 0);
}

/* The group of list->v[first]; members are marked in @done. */
static int load_top(struct loader *l, const struct descriptor_list *list, size_t first, bool *done,
                    struct err **reterr)
{
        AUTO_FREE const struct descriptor **v = xcalloc(list->n + 1, sizeof(*v));
        const struct descriptor *d = &list->v[first];
        AUTO_STRV names = {0};
        size_t n = 0;

        for (size_t i = first; i < list->n; i++)
                if (!done[i] && (i == first || same_group(d, &list->v[i]))) {
                        done[i] = true;
                        add_names(l, &list->v[i], &names);
                        v[n++] = &list->v[i];
                }
        if (n == 1)
                return load_descriptor(l, d, &names, 0, reterr);
        return load_group(l, v, n, &names, 0, reterr);
}

static bool is_image(const struct loader *l, const struct descriptor *d)
{
        (void)l;
        return !d->attestation &&
               (descriptor_kind(d) != DESCRIPTOR_OTHER || d->media_type[0] == '\0');
}

static int load_list(struct loader *l, const struct descriptor_list *list, struct err **reterr)
{
        AUTO_FREE bool *done = xcalloc(list->n + 1, sizeof(*done));
        AUTO_ERR struct err *passed = NULL;
        int r;

        for (size_t i = 0; i < list->n; i++) {
                AUTO_ERR struct err *e = NULL;

                if (done[i] || !is_image(l, &list->v[i]))
                        continue;
                r = load_top(l, list, i, done, &e);
                if (r >= 0)
                        continue;
                /* Artifacts beside images, and images that were left out of a sparse layout, don't spoil the rest. */
                if (list->n > 1 && (err_kind(e) == ERR_UNSUPPORTED || !is_there(l, &list->v[i]))) {
                        log_debug("%s: passed over: %s", archive_what(l->archive), err_message(e));
                        if (!passed)
                                passed = TAKE_PTR(e);
                        continue;
                }
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return r;
        }
        if (l->loaded == 0 && passed) {
                r = -(err_errno(passed) ? err_errno(passed) : EINVAL);
                if (reterr)
                        *reterr = TAKE_PTR(passed);
                return r;
        }
        return 0;
}

static int check_layout(struct loader *l, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        size_t n = 0;

        /* Its version is the only thing it says; some makers leave the file out. */
        if (!archive_has(l->archive, "oci-layout"))
                return 0;
        return archive_read(l->archive, "oci-layout", &data, &n, reterr);
}

int load_oci(struct loader *l, struct err **reterr)
{
        AUTO(descriptor_list_release) struct descriptor_list list = {0};
        AUTO_FREE char *data = NULL;
        size_t n = 0;
        int r;

        if ((r = check_layout(l, reterr)) < 0 ||
            (r = archive_read(l->archive, "index.json", &data, &n, reterr)) < 0 ||
            (r = index_parse(data, n, "index.json", &list, reterr)) < 0 ||
            (r = load_list(l, &list, reterr)) < 0)
                return err_wrap(reterr, r, "%s", archive_what(l->archive));
        return 0;
}
