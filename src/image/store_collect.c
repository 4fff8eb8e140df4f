/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection of what nothing refers to.
 *
 * A layer is kept by an image's run description, by a container's config.json (also in a container that is still being made
 * in tmp/), or by a claim of a live transaction. A blob is kept by a reference or run description (config and manifest), by a manifest
 * that is kept (its layers), or by a claim. Everything else goes, under the store's lock, by one rename each; the slow deletion
 * happens after the lock is released.
 *
 * A file that cannot be read keeps everything: losing space for a while is better than losing a layer that is in use.
 */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTAINER_CONFIG_MAX JSON_OWN_MAX

void collected_release(struct collected *c)
{
        (void)fd_close(c->trash.fd);
        (void)fd_close(c->trash.lock_fd);
        strv_release(&c->layers);
        *c = (struct collected){.trash = TMP_DIR_NONE};
}

static int read_container(const struct dirs *d, const char *path, struct json_object **ret,
                          struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int r = json_read_file(d->root_fd, path, CONTAINER_CONFIG_MAX, ret, &e);

        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r < 0) {
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return r;
        }
        return 1;
}

/* @dir is "containers", or "tmp" for those that are being made. */
static int container_layers_in(const struct dirs *d, const char *dir, struct strv *ret,
                               struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = store_names(d, dir, &names, reterr);

        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                AUTO_FREE char *path = xasprintf("%s/%s/config.json", dir, names.v[i]);
                AUTO_JSON *doc = NULL;
                struct json_at root;

                r = read_container(d, path, &doc, reterr);
                if (r <= 0)
                        continue;
                root = json_root(doc, path);
                r = json_opt_strv(&root, "Layers", ret, reterr);
                if (r >= 0) /* of images that are mounted */
                        r = json_opt_strv(&root, "MountedLayers", ret, reterr);
        }
        return r < 0 ? r : 0;
}

int store_container_layers(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        int r = container_layers_in(d, "containers", ret, reterr);

        return r < 0 ? r : container_layers_in(d, "tmp", ret, reterr);
}

int store_image_user(const struct dirs *d, const char *image_id, char ret_id[65], bool *ret_running,
                     struct err **reterr)
{
        AUTO_STRV names = {0};
        int found = 0, r;

        r = store_names(d, "containers", &names, reterr);
        if (r < 0)
                return r;
        *ret_running = false;
        for (size_t i = 0; i < names.n && !*ret_running; i++) {
                AUTO_FREE char *path = xasprintf("containers/%s/config.json", names.v[i]);
                AUTO_FREE char *lock = xasprintf("containers/%s/lock", names.v[i]);
                const char *image = NULL;
                AUTO_JSON *doc = NULL;
                struct json_at root;

                r = read_container(d, path, &doc, reterr);
                if (r < 0)
                        return r;
                root = json_root(doc, path);
                if (r == 0 || json_opt_string(&root, "Image", &image, NULL) < 0 || !image ||
                    strcmp(image, image_id) != 0)
                        continue;
                found = 1;
                *ret_running = lock_is_held(d->root_fd, lock);
                snprintf(ret_id, 65, "%s", names.v[i]);
        }
        return found;
}

static int add_claims(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = store_names(d, "tmp", &names, reterr);

        for (size_t i = 0; r >= 0 && i < names.n; i++) {
                AUTO_FREE char *lock = xasprintf("tmp/%s/lock", names.v[i]);
                AUTO_FREE char *claims = xasprintf("tmp/%s/claims", names.v[i]);

                if (lock_is_held(d->root_fd, lock))
                        r = store_names(d, claims, ret, reterr);
        }
        return r < 0 ? r : 0;
}

static int live_layers(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        AUTO_STRV ids = {0};
        int r = run_description_ids(d, &ids, reterr);

        for (size_t i = 0; r >= 0 && i < ids.n; i++) {
                AUTO(image_freep) struct image *img = NULL;

                r = run_description_read(d, ids.v[i], &img, reterr);
                for (size_t k = 0; r > 0 && k < img->layers.n; k++)
                        strv_add(ret, img->layers.v[k]);
        }
        return r < 0 ? r : 0;
}

int store_manifest_layers(const struct dirs *d, const char *manifest, struct strv *ret,
                          struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_BLOBS "/%s", digest_hex(manifest));
        AUTO_JSON *doc = NULL;
        struct json_at root, layers;
        size_t n = 0;
        int r;

        r = json_read_file(d->root_fd, path, STORE_BLOB_JSON_MAX, &doc, reterr);
        if (r < 0)
                return r;
        root = json_root(doc, path);
        layers = json_key(&root, "layers");
        if (!layers.obj)
                return 0;
        r = json_want_array(&layers, STORE_MAX_LAYERS, &n, reterr);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&layers, i);
                const char *digest = NULL;

                r = json_get_string(&at, "digest", &digest, reterr);
                if (r >= 0 && digest_is_valid(digest))
                        strv_add(ret, digest_hex(digest));
        }
        return r < 0 ? r : 0;
}

static int live_blobs(const struct dirs *d, struct strv *ret, struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list refs = {0};
        AUTO_STRV ids = {0}, manifests = {0};
        int r;

        if ((r = run_description_ids(d, &ids, reterr)) < 0 || (r = refs_list(d, &refs, reterr)) < 0)
                return r;
        for (size_t i = 0; i < refs.n; i++)
                strv_add(&manifests, refs.v[i].manifest);
        for (size_t i = 0; i < ids.n; i++) {
                AUTO(image_freep) struct image *img = NULL;

                r = run_description_read(d, ids.v[i], &img, reterr);
                if (r < 0)
                        return r;
                strv_add(ret, ids.v[i]);
                if (r > 0)
                        strv_add(&manifests, img->manifest_digest);
        }
        strv_sort(&manifests);
        strv_unique(&manifests);
        for (size_t i = 0; i < manifests.n; i++) {
                strv_add(ret, digest_hex(manifests.v[i]));
                r = store_manifest_layers(d, manifests.v[i], ret, reterr);
                /* A manifest that is not there keeps nothing. */
                if (r < 0 && r != -ENOENT)
                        return r;
                if (r == -ENOENT && reterr)
                        *reterr = err_free(*reterr);
        }
        return 0;
}

static int trash_one(const struct dirs *d, const char *dir, const char *name, struct collected *c,
                     struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
        int r;

        if (c->trash.lock_fd < 0) {
                r = tmp_dir_create(d, &c->trash, reterr);
                if (r < 0)
                        return r;
        }
        FAULT_POINT("collect");
        if (renameat(d->root_fd, path, c->trash.fd, name) < 0 && errno != ENOENT)
                return err_sys(reterr, errno, "remove %s", path);
        log_debug("collected %s", path);
        return 0;
}

static int collect_layers(const struct dirs *d, const struct strv *names, const struct strv *live,
                          struct collected *c, struct err **reterr)
{
        for (size_t i = 0; i < names->n; i++) {
                uint64_t bytes = 0;
                int r;

                if (strv_has_sorted(live, names->v[i]))
                        continue;
                (void)store_layer_bytes(d, names->v[i], &bytes, NULL); /* a damaged one goes too */
                c->bytes += bytes;
                r = trash_one(d, STORE_LAYERS, names->v[i], c, reterr);
                if (r < 0)
                        return r;
                strv_add(&c->layers, names->v[i]);
        }
        return 0;
}

static int collect_blobs(const struct dirs *d, const struct strv *names, const struct strv *live,
                         struct collected *c, struct err **reterr)
{
        for (size_t i = 0; i < names->n; i++) {
                AUTO_FREE char *path = xasprintf(STORE_BLOBS "/%s", names->v[i]);
                struct stat st;
                int r;

                if (strv_has_sorted(live, names->v[i]))
                        continue;
                if (fstatat(d->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        c->bytes += (uint64_t)st.st_blocks * 512;
                r = trash_one(d, STORE_BLOBS, names->v[i], c, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool any_missing(const struct strv *names, const struct strv *live)
{
        for (size_t i = 0; i < names->n; i++)
                if (!strv_has_sorted(live, names->v[i]))
                        return true;
        return false;
}

/* What is kept without looking at containers; *ret_candidates when that leaves something over. */
static int survey(const struct dirs *d, struct strv *layers, struct strv *blobs,
                  bool *ret_candidates, struct err **reterr)
{
        AUTO_STRV have_layers = {0}, have_blobs = {0}, claims = {0};
        int r;

        if ((r = store_names(d, STORE_LAYERS, &have_layers, reterr)) < 0 ||
            (r = store_names(d, STORE_BLOBS, &have_blobs, reterr)) < 0 ||
            (r = add_claims(d, &claims, reterr)) < 0 || (r = live_layers(d, layers, reterr)) < 0)
                return r;
        if (have_blobs.n > 0 && (r = live_blobs(d, blobs, reterr)) < 0)
                return r;
        for (size_t i = 0; i < claims.n; i++) {
                strv_add(layers, claims.v[i]);
                strv_add(blobs, claims.v[i]);
        }
        strv_sort(layers);
        strv_sort(blobs);
        *ret_candidates = any_missing(&have_layers, layers) || any_missing(&have_blobs, blobs);
        return 0;
}

static const char *const written_dirs[] = {"images", STORE_REFS, STORE_RUN, STORE_BLOBS};

/* Temporary files of writers that were killed. All writers of these directories hold the lock, as we do. */
static void sweep_temporaries(const struct dirs *d)
{
        for (size_t i = 0; i < ARRAY_SIZE(written_dirs); i++) {
                AUTO_CLOSE int fd = openat(d->root_fd, written_dirs[i],
                                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                if (fd >= 0)
                        (void)atomic_file_sweep(fd, NULL);
        }
}

int store_collect(const struct dirs *d, struct collected *ret, struct err **reterr)
{
        AUTO_STRV layers = {0}, blobs = {0}, names = {0}, blob_names = {0};
        bool candidates = false;
        int r;

        sweep_temporaries(d);
        r = pending_roll_back(d, reterr);
        if (r < 0)
                return r;
        r = survey(d, &layers, &blobs, &candidates, reterr);
        if (r < 0 || !candidates)
                return r;
        if ((r = store_container_layers(d, &layers, reterr)) < 0)
                return r;
        strv_sort(&layers);
        if ((r = store_names(d, STORE_LAYERS, &names, reterr)) < 0 ||
            (r = store_names(d, STORE_BLOBS, &blob_names, reterr)) < 0 ||
            (r = collect_layers(d, &names, &layers, ret, reterr)) < 0)
                return r;
        return collect_blobs(d, &blob_names, &blobs, ret, reterr);
}

static bool has_leftovers(const struct dirs *d)
{
        AUTO_STRV pending = {0};

        if (store_names(d, STORE_PENDING, &pending, NULL) >= 0 && pending.n > 0)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(written_dirs); i++) {
                int fd = openat(d->root_fd, written_dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                DIR *stream = fd < 0 ? NULL : fdopendir(fd);
                struct dirent *e;
                bool found = false;

                if (!stream) {
                        (void)fd_close(fd);
                        continue;
                }
                while (!found && (e = readdir(stream)))
                        found = str_starts(e->d_name, ".tmp-");
                closedir(stream);
                if (found)
                        return true;
        }
        return false;
}

/* 1 when something is left over that no container keeps either. */
static int beyond_containers(const struct dirs *d, struct strv *layers, const struct strv *blobs,
                             struct err **reterr)
{
        AUTO_STRV names = {0}, blob_names = {0};
        int r;

        if ((r = store_container_layers(d, layers, reterr)) < 0 ||
            (r = store_names(d, STORE_LAYERS, &names, reterr)) < 0 ||
            (r = store_names(d, STORE_BLOBS, &blob_names, reterr)) < 0)
                return r;
        strv_sort(layers);
        return any_missing(&names, layers) || any_missing(&blob_names, blobs);
}

int store_sweep(const struct dirs *d, struct err **reterr)
{
        AUTO(collected_release) struct collected c = {.trash = TMP_DIR_NONE};
        AUTO_STRV layers = {0}, blobs = {0};
        AUTO_CLOSE int lock = -EBADF;
        bool candidates = false;
        int r;

        r = tmp_dir_sweep(d, reterr);
        if (r < 0)
                return r;
        r = survey(d, &layers, &blobs, &candidates, reterr);
        if (r < 0 || (!candidates && !has_leftovers(d)))
                return r;
        /* Layers of a removed image that containers still use are candidates each time: ask the containers before the lock. */
        if (candidates && !has_leftovers(d)) {
                r = beyond_containers(d, &layers, &blobs, reterr);
                if (r <= 0)
                        return r;
        }
        lock = lock_acquire(d->root_fd, STORE_LOCK, true, reterr);
        if (lock < 0)
                return lock;
        r = store_collect(d, &c, reterr);
        lock = fd_close(lock);
        if (r >= 0)
                r = tmp_dir_remove(d, &c.trash, reterr);
        return r;
}
