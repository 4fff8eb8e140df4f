/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   The stream's thread reads, decompresses and hashes; here the tar reader hands every byte either to the recipe (through .raw) or to a
 *   file (layer_entry.c), which leaves its own mark in the recipe. So recipe + files are the archive by construction, in one
 *   pass, and memory is a few buffers whatever the archive holds: directory times go to a nameless file once they are many.
 *   Nobody else writes the new directory, so a name that was looked at stays what it is until the next entry.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "idmap/idmap.h"
#include "image/layer_internal.h"

/* ---- sets of owners ---- */

int owner_set_add(struct owner_set *s, uint32_t id)
{
        size_t low = 0, high = s->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (s->v[mid] == id)
                        return 0;
                if (s->v[mid] < id)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (s->n >= LAYER_MAX_OWNERS)
                return -E2BIG;
        if (s->n == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 16;
                s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
        }
        memmove(s->v + low + 1, s->v + low, (s->n - low) * sizeof(*s->v));
        s->v[low] = id;
        s->n++;
        return 0;
}

struct layer_owners owner_set_finish(struct owner_set *s, uint32_t (*host)(const void *, uint32_t),
                                     const void *arg)
{
        struct layer_owners o = {.v = xcalloc(s->n ? s->n : 1, sizeof(*o.v))};

        for (size_t i = 0; i < s->n; i++) {
                struct layer_owner *last = o.n ? &o.v[o.n - 1] : NULL;
                uint32_t id = s->v[i], h = host(arg, id);

                if (last && last->id + last->count == id && last->host + last->count == h)
                        last->count++;
                else
                        o.v[o.n++] = (struct layer_owner){id, h, 1};
        }
        free(s->v);
        *s = (struct owner_set){0};
        return o;
}

struct id_pair_of_maps {
        const struct id_map *inner, *outer;
};

static uint32_t host_id(const void *arg, uint32_t id)
{
        const struct id_pair_of_maps *m = arg;
        bool folded;

        return id_map_to_outside(m->outer, layer_map_id(m->inner, id, &folded));
}

/* ---- the job ---- */

static int put_raw(void *userdata, const void *data, size_t n, struct err **reterr)
{
        struct unpack *u = userdata;

        return recipe_put_raw(u->recipe, data, n, reterr);
}

static void unpack_release(struct unpack *u)
{
        (void)tar_free(u->tar);
        (void)recipe_writer_free(u->recipe);
        (void)fd_close(u->parent_fd);
        (void)fd_close(u->kept_fd);
        (void)fd_close(u->times_fd);
        (void)fd_close(u->fs_fd);
        (void)fd_close(u->layer_fd);
        layer_info_release(&u->info);
        free(u->uids.v);
        free(u->gids.v);
        free(u->times);
}

static struct unpack *unpack_free(struct unpack *u)
{
        if (u) {
                unpack_release(u);
                free(u);
        }
        return NULL;
}
DEFINE_CLEANUP(struct unpack *, unpack_free);

static int make_dirs(struct unpack *u, int dir_fd, const char *name, struct err **reterr)
{
        if (mkdirat(dir_fd, name, 0755) < 0)
                return err_sys(reterr, errno, "%s: make a layer directory", stream_what(u->s));
        u->layer_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (u->layer_fd < 0 || mkdirat(u->layer_fd, LAYER_FS_DIR, 0755) < 0)
                return err_sys(reterr, errno, "%s: make a layer directory", stream_what(u->s));
        u->fs_fd =
            openat(u->layer_fd, LAYER_FS_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (u->fs_fd < 0)
                return err_sys(reterr, errno, "%s: open the layer directory", stream_what(u->s));
        u->info.inodes = 1;
        return 0;
}

/* The root belongs to the container's root, as long as no entry says otherwise. */
static int start_root(struct unpack *u, struct err **reterr)
{
        struct unpack_place p = {.dirfd = u->layer_fd,
                                 .name = LAYER_FS_DIR,
                                 .fd = -EBADF,
                                 .type = S_IFDIR,
                                 .existing = true};
        struct unpack_attr a = {.mode = LAYER_IMPLIED_MODE, .mtime_ns = UTIME_OMIT};
        int r;

        memcpy(u->name, "/", 2);
        r = unpack_set_attr(u, &p, &a, reterr);
        return r < 0 ? r : unpack_record(u, "", &a, reterr);
}

static int all_entries(struct unpack *u, struct err **reterr)
{
        const struct tar_entry *e;
        int r;

        while ((r = tar_next(u->tar, &e, reterr)) > 0) {
                r = unpack_entry(u, e, reterr);
                if (r < 0)
                        return r;
                u->info.entries++;
        }
        return r;
}

static int finish(struct unpack *u, struct layer_result *ret, struct err **reterr)
{
        struct stream_sums sums;
        struct id_pair_of_maps uid = {u->o->maps.uid, u->o->maps.host_uid};
        struct id_pair_of_maps gid = {u->o->maps.gid, u->o->maps.host_gid};
        uint64_t recipe_disk = 0;
        struct stat root;
        int r = stream_finish(u->s, &sums, reterr);

        if (r == 0)
                r = unpack_write_times(u, reterr);
        if (r == 0)
                r = recipe_finish(u->recipe, &recipe_disk, reterr);
        if (r < 0)
                return r;
        memcpy(u->info.diff_id, sums.content, sizeof(u->info.diff_id));
        memcpy(u->info.blob_digest, sums.source, sizeof(u->info.blob_digest));
        (void)snprintf(u->info.format, sizeof(u->info.format), "%s",
                       stream_format_name(stream_format(u->s)));
        u->info.blob_size = sums.source_bytes;
        u->info.tar_size = sums.content_bytes;
        u->info.disk_bytes += recipe_disk;
        /* An archive need not hold its root: then no entry has counted it. */
        if (!u->has_root && fstat(u->fs_fd, &root) == 0)
                u->info.disk_bytes += (uint64_t)root.st_blocks * 512;
        u->info.skipped = u->n_devices;
        u->info.uids = owner_set_finish(&u->uids, host_id, &uid);
        u->info.gids = owner_set_finish(&u->gids, host_id, &gid);
        r = layer_info_write(u->layer_fd, &u->info, reterr);
        if (r < 0)
                return r;
        if (u->info.needs_lower)
                layer_chain_name(u->info.diff_id + 7, u->o->lower_names, u->o->n_lowers, ret->name);
        else
                memcpy(ret->name, u->info.diff_id + 7, LAYER_HEX_LEN + 1);
        ret->has_root = u->has_root;
        ret->info = u->info;
        u->info = (struct layer_info){0};
        return 0;
}

static void warnings(struct unpack *u)
{
        char text[1024];

        if (!u->o->warn)
                return;
        if (u->n_devices > 0) {
                (void)snprintf(
                    text, sizeof(text),
                    "%s: left out %u device nodes (they are kept for saving the image again)",
                    stream_what(u->s), u->n_devices);
                u->o->warn(u->o->warn_data, text);
        }
        if (u->n_xattrs_lost > 0) {
                (void)snprintf(text, sizeof(text),
                               "%s: %u extended attributes can't be set here, the first is %s",
                               stream_what(u->s), u->n_xattrs_lost, u->first_xattr_lost);
                u->o->warn(u->o->warn_data, text);
        }
}

static int run(struct unpack *u, int dir_fd, const char *name, struct layer_result *ret,
               struct err **reterr)
{
        struct tar_opts to = {.raw = put_raw, .userdata = u, .max_entries = u->o->limits.entries};
        int r = make_dirs(u, dir_fd, name, reterr);

        if (r == 0)
                r = recipe_create(u->layer_fd, &u->recipe, reterr);
        if (r == 0)
                r = start_root(u, reterr);
        if (r < 0)
                return r;
        u->tar = tar_open(u->s, &to);
        r = all_entries(u, reterr);
        if (r < 0)
                return r;
        warnings(u);
        return finish(u, ret, reterr);
}

int layer_unpack(struct stream *s, int dir_fd, const char *name, const struct layer_unpack_opts *o,
                 struct layer_result *ret, struct err **reterr)
{
        AUTO(unpack_freep) struct unpack *u = xnew(struct unpack);
        mode_t mask;
        int r;

        u->o = o;
        u->s = s;
        u->layer_fd = u->fs_fd = u->kept_fd = u->parent_fd = u->times_fd = -EBADF;
        *ret = (struct layer_result){0};
        mask = umask(0); /* modes are the archive's */
        r = run(u, dir_fd, name, ret, reterr);
        (void)umask(mask);
        return r;
}
