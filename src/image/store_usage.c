/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   An image takes up its layers and its blobs: configuration, manifest, and those that the manifest names (layers as they came, compressed). Any
 *   of them may belong to several images. So each is an item with its size, and the images are gone through twice: first every item learns how many
 *   have it, then each image's items are added up.
 *
 *   A layer's files never change, and their blocks were counted when they were written (info.json). A variant with other owners is a copy of
 *   them, and notes what it did not copy. Only what lies beside them is asked of the file system: two files of a layer, however large it is.
 */
#include "image/store_usage.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NOT_THERE SIZE_MAX

struct item {
        uint64_t bytes;
        size_t images; /* that have it */
        bool used;
};
struct items {
        struct strv names; /* sorted */
        struct item *v;
};
struct sums {
        struct items layers, blobs;
        struct strv *image_blobs; /* of each image */
        size_t n_images;
        uint64_t total;
};

static void sums_release(struct sums *s)
{
        for (size_t i = 0; i < s->n_images; i++)
                strv_release(&s->image_blobs[i]);
        free(s->image_blobs);
        strv_release(&s->layers.names);
        strv_release(&s->blobs.names);
        free(s->layers.v);
        free(s->blobs.v);
}

static size_t items_find(const struct items *items, const char *name)
{
        size_t low = 0, high = items->names.n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int order = strcmp(name, items->names.v[mid]);

                if (order == 0)
                        return mid;
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NOT_THERE;
}

static uint64_t blocks_at(int dirfd, const char *name)
{
        struct stat st;

        return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0
                   ? 0
                   : (uint64_t)st.st_blocks * 512;
}

/* ---- items ---- */

/* What the variants of a layer hold of their own, each as much as @files but for what it shares with the others. */
static uint64_t sum_variants(int layer_fd, uint64_t files)
{
        int fd = openat(layer_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        uint64_t sum = 0;

        if (!dir) {
                (void)fd_close(fd);
                return 0;
        }
        while ((e = readdir(dir))) {
                uint64_t shared;

                if (!str_starts(e->d_name, "fs."))
                        continue;
                shared = layer_variant_shared(fd, e->d_name);
                sum += files > shared ? files - shared : 0;
        }
        (void)closedir(dir);
        return sum;
}

/* Files with other owners; the recipe is counted in what info.json says of the files, but no part of them. */
static uint64_t variant_bytes(int layer_fd, const struct layer_info *info, nlink_t links)
{
        uint64_t recipe;

        /* "fs" is the only directory, as nearly always, where a file system counts directories in this way. */
        if (links == 3)
                return 0;
        recipe = blocks_at(layer_fd, "recipe");
        return info->disk_bytes > recipe ? sum_variants(layer_fd, info->disk_bytes - recipe) : 0;
}

int store_layer_bytes(const struct dirs *d, const char *name, uint64_t *ret, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_LAYERS "/%s", name);
        AUTO_CLOSE int fd = openat(d->root_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        AUTO(layer_info_release) struct layer_info info = {0};
        AUTO_ERR struct err *e = NULL;
        struct stat st;
        int r;

        *ret = 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "open layer %.12s", name);
        r = layer_info_read(fd, &info, &e);
        if (r == -ENOENT)
                return 0;
        if (r < 0) {
                (void)err_move(reterr, r, &e);
                return err_wrap(reterr, r, "layer %.12s", name);
        }
        *ret = (uint64_t)st.st_blocks * 512 + blocks_at(fd, "info.json") + info.disk_bytes +
               variant_bytes(fd, &info, st.st_nlink);
        return 0;
}

static int read_blobs(const struct dirs *d, struct sums *s, struct err **reterr)
{
        AUTO_CLOSE int fd =
            openat(d->root_fd, STORE_BLOBS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = store_names(d, STORE_BLOBS, &s->blobs.names, reterr);

        if (r < 0)
                return r;
        s->blobs.v = xcalloc(s->blobs.names.n + 1, sizeof(struct item));
        for (size_t i = 0; i < s->blobs.names.n; i++) {
                s->blobs.v[i].bytes = blocks_at(fd, s->blobs.names.v[i]);
                s->total += s->blobs.v[i].bytes;
        }
        return 0;
}

static int read_layers(const struct dirs *d, struct sums *s, struct err **reterr)
{
        int r = store_names(d, STORE_LAYERS, &s->layers.names, reterr);

        if (r < 0)
                return r;
        s->layers.v = xcalloc(s->layers.names.n + 1, sizeof(struct item));
        for (size_t i = 0; i < s->layers.names.n; i++) {
                r = store_layer_bytes(d, s->layers.names.v[i], &s->layers.v[i].bytes, reterr);
                if (r < 0)
                        return r;
                s->total += s->layers.v[i].bytes;
        }
        return 0;
}

/* Directories, references and run descriptions: of no image alone, and there is little of it. */
static int read_rest(const struct dirs *d, struct sums *s, struct err **reterr)
{
        static const char *const dirs[] = {"images", STORE_REFS, STORE_RUN, STORE_PENDING};

        s->total += blocks_at(d->root_fd, STORE_LAYERS) + blocks_at(d->root_fd, STORE_BLOBS) +
                    blocks_at(d->root_fd, "images/blobs");
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                AUTO_CLOSE int fd =
                    openat(d->root_fd, dirs[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                AUTO_STRV names = {0};
                int r = store_names(d, dirs[i], &names, reterr);
                struct stat st;

                if (r < 0)
                        return r;
                s->total += blocks_at(d->root_fd, dirs[i]);
                for (size_t k = 0; k < names.n; k++) {
                        if (fstatat(fd, names.v[k], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                            S_ISREG(st.st_mode))
                                s->total += (uint64_t)st.st_blocks * 512;
                }
        }
        return 0;
}

/* ---- images ---- */

typedef void (*item_fn)(struct item *item, void *arg);

static void each_of(struct items *items, const struct strv *names, item_fn fn, void *arg)
{
        for (size_t i = 0; i < names->n; i++) {
                size_t at = items_find(items, names->v[i]);

                if (at != NOT_THERE)
                        fn(&items->v[at], arg);
        }
}

/* Sorted; each once, though a manifest may name a layer twice. */
static int blobs_of(const struct dirs *d, const struct image *i, struct strv *ret,
                    struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int r;

        strv_add(ret, digest_hex(i->id));
        if (digest_is_valid(i->manifest_digest)) {
                strv_add(ret, digest_hex(i->manifest_digest));
                r = store_manifest_layers(d, i->manifest_digest, ret, &e);
                if (r < 0 && r != -ENOENT)
                        return err_move(reterr, r, &e);
        }
        strv_sort(ret);
        strv_unique(ret);
        return 0;
}

static void mark_item(struct item *item, void *arg)
{
        const size_t *users = arg;

        item->images++;
        item->used |= *users > 0;
}

static void add_item(struct item *item, void *arg)
{
        struct store_image_usage *u = arg;

        u->size += item->bytes;
        u->shared += item->images > 1 ? item->bytes : 0;
}

static uint64_t unused_bytes(const struct items *items)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < items->names.n; i++)
                bytes += items->v[i].used ? 0 : items->v[i].bytes;
        return bytes;
}

/* The blobs of every image, read once for both passes. */
static int read_images(const struct dirs *d, struct sums *s, struct image *const *images, size_t n,
                       struct err **reterr)
{
        s->image_blobs = xcalloc(n + 1, sizeof(*s->image_blobs));
        s->n_images = n;
        for (size_t i = 0; i < n; i++) {
                int r = blobs_of(d, images[i], &s->image_blobs[i], reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void each_item(struct sums *s, struct image *const *images, size_t i, item_fn fn, void *arg)
{
        each_of(&s->layers, &images[i]->layers, fn, arg);
        each_of(&s->blobs, &s->image_blobs[i], fn, arg);
}

int store_usage(const struct dirs *d, const struct store_users *of,
                struct store_image_usage *ret_images, struct store_usage *ret, struct err **reterr)
{
        AUTO(sums_release) struct sums s = {0};
        int r;

        if ((r = read_blobs(d, &s, reterr)) < 0 || (r = read_layers(d, &s, reterr)) < 0 ||
            (r = read_rest(d, &s, reterr)) < 0 ||
            (r = read_images(d, &s, of->images, of->n, reterr)) < 0)
                return r;
        for (size_t i = 0; i < of->n; i++) {
                size_t users = of->users[i];

                each_item(&s, of->images, i, mark_item, &users);
        }
        for (size_t i = 0; i < of->layers->n; i++) {
                size_t at = items_find(&s.layers, of->layers->v[i]);

                if (at != NOT_THERE)
                        s.layers.v[at].used = true;
        }
        for (size_t i = 0; i < of->n; i++) {
                ret_images[i] = (struct store_image_usage){0};
                each_item(&s, of->images, i, add_item, &ret_images[i]);
        }
        ret->total = s.total;
        ret->reclaimable = unused_bytes(&s.layers) + unused_bytes(&s.blobs);
        return 0;
}
