/* SPDX-License-Identifier: Apache-2.0 */
/* `reown`, `flatten` and `remove-trees`: what has to happen to files of other ids, inside U, for those who stay outside. */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/str.h"
#include "image/layer.h"
#include "image/store.h"
#include "image/store_internal.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PAUSE_NS 20000000

/* A container's map, given as container → caller's namespace, and the same as container → U. */
struct wanted_map {
        struct id_map host, in_u;
};

static void wanted_map_release(struct wanted_map *m)
{
        id_map_release(&m->host);
        id_map_release(&m->in_u);
}

/* Every piece of a line that lies in one extent of U. */
static void add_in_u(struct wanted_map *m, const struct id_extent *line, const struct id_map *u)
{
        for (size_t i = 0; i < u->n; i++) {
                const struct id_extent *e = &u->v[i];
                uint64_t from = MAX((uint64_t)line->outside, (uint64_t)e->outside);
                uint64_t to =
                    MIN((uint64_t)line->outside + line->count, (uint64_t)e->outside + e->count);

                if (from < to)
                        id_map_add(&m->in_u, line->inside + (uint32_t)(from - line->outside),
                                   e->inside + (uint32_t)(from - e->outside),
                                   (uint32_t)(to - from));
        }
}

static int read_map(const struct json_at *root, const char *key, const struct id_map *u,
                    struct wanted_map *ret, struct err **reterr)
{
        struct json_at list = json_key(root, key);
        size_t n = 0;
        int r = json_want_array(&list, ID_MAP_MAX_EXTENTS, &n, reterr);

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&list, i);
                struct id_extent e = {0};

                if ((r = json_opt_u32(&at, "containerID", &e.inside, reterr)) < 0 ||
                    (r = json_opt_u32(&at, "hostID", &e.outside, reterr)) < 0 ||
                    (r = json_opt_u32(&at, "size", &e.count, reterr)) < 0)
                        break;
                id_map_add(&ret->host, e.inside, e.outside, e.count);
                add_in_u(ret, &e, u);
        }
        return r < 0 ? r : 0;
}

int tool_open_layer(const struct tool *t, const char *name, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_LAYERS "/%s", name);
        int fd;

        if (!layer_name_is_valid(name))
                return err_new(reterr, ERR_INVALID, "'%s' is no layer", name);
        fd = openat(t->dirs->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? err_sys(reterr, errno, "open layer %.12s", name) : fd;
}

struct owners {
        struct wanted_map uid, gid;
        struct strv layers;
        struct store_txn *txn;
};

static void owners_release(struct owners *o)
{
        wanted_map_release(&o->uid);
        wanted_map_release(&o->gid);
        strv_release(&o->layers);
        (void)store_txn_end(o->txn);
}

static int read_owners(struct tool *t, struct owners *o, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        int r;

        if ((r = read_map(&root, "uid", &t->userns->uid, &o->uid, reterr)) < 0 ||
            (r = read_map(&root, "gid", &t->userns->gid, &o->gid, reterr)) < 0 ||
            (r = json_opt_strv(&root, "layers", &o->layers, reterr)) < 0)
                return r;
        return store_txn_begin(t->dirs, &o->txn, reterr);
}

/* Whoever comes while a layer is being copied waits for it, instead of copying it as well; the lock goes with its holder, however that ends. */
static int lock_layer(const struct tool *t, int layer_fd, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

        for (;;) {
                int fd = lock_try(layer_fd, ".", true, reterr);

                if (fd != -EWOULDBLOCK)
                        return fd;
                if (tool_interrupted(t))
                        return tool_interrupted_error(reterr);
                /* lint-allow: nanosleep: its holder tells nobody when the layer is done, and an interrupted wait must notice */
                (void)nanosleep(&pause, NULL);
        }
}

static int reown(struct tool *t, const struct owners *o, int layer_fd, const char *name,
                 char ret[LAYER_DIR_MAX], struct err **reterr)
{
        struct layer_maps maps = {
            .uid = &o->uid.in_u,
            .gid = &o->gid.in_u,
            .host_uid = &t->userns->uid,
            .host_gid = &t->userns->gid,
        };
        AUTO_CLOSE int lock = -EBADF;
        int r = store_txn_claim_layer(o->txn, name, reterr);

        if (r >= 0)
                r = lock = lock_layer(t, layer_fd, reterr);
        if (r >= 0)
                r = layer_reown(layer_fd, store_txn_dir(o->txn), &maps, ret, reterr);
        return r < 0 ? err_wrap(reterr, r, "layer %.12s", name) : 0;
}

int tool_reown(struct tool *t, struct err **reterr)
{
        AUTO(owners_release) struct owners o = {0};
        int r = read_owners(t, &o, reterr);

        for (size_t i = 0; r >= 0 && i < o.layers.n; i++) {
                AUTO_CLOSE int fd = tool_open_layer(t, o.layers.v[i], reterr);
                char dir[LAYER_DIR_MAX];

                if (tool_interrupted(t) && fd >= 0)
                        return tool_interrupted_error(reterr);
                r = fd < 0 ? fd : reown(t, &o, fd, o.layers.v[i], dir, reterr);
        }
        return r < 0 ? r : 0;
}

/* The target is ours to fill: below the data root, reached without links. */
static int open_target(const struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        const char *target = NULL;
        int r = json_get_string(&root, "target", &target, reterr);

        if (r < 0)
                return r;
        return path_open_in_root(t->dirs->root_fd, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                 reterr);
}

int tool_flatten(struct tool *t, struct err **reterr)
{
        AUTO(owners_release) struct owners o = {0};
        AUTO_CLOSE int target = -EBADF;
        AUTO_FREE int *fds = NULL;
        size_t n = 0;
        int r;

        r = read_owners(t, &o, reterr);
        if (r < 0)
                return r;
        r = target = open_target(t, reterr);
        fds = xcalloc(o.layers.n + 1, sizeof(int));
        for (size_t i = 0; r >= 0 && i < o.layers.n; i++) {
                AUTO_CLOSE int fd = tool_open_layer(t, o.layers.v[i], reterr);
                char dir[LAYER_DIR_MAX];

                r = fd < 0 ? fd : reown(t, &o, fd, o.layers.v[i], dir, reterr);
                if (r < 0)
                        break;
                fds[n] = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fds[n] < 0)
                        r = err_sys(reterr, errno, "open layer %.12s", o.layers.v[i]);
                else
                        n++;
        }
        if (r >= 0)
                r = layer_copy_stack(fds, n, target, reterr);
        for (size_t i = 0; i < n; i++)
                (void)fd_close(fds[i]);
        return r < 0 ? r : 0;
}

int tool_remove_trees(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        AUTO_CLOSE int tmp = -EBADF;
        AUTO_STRV names = {0};
        int r = json_opt_strv(&root, "names", &names, reterr);

        if (r < 0)
                return r;
        tmp = dirs_sub(t->dirs, "tmp", reterr);
        if (tmp < 0)
                return tmp;
        for (size_t i = 0; i < names.n; i++) {
                if (!path_is_clean_name(names.v[i]))
                        return err_new(reterr, ERR_USAGE, "'%s' is no name in tmp/", names.v[i]);
                r = path_remove_tree(tmp, names.v[i], reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}
