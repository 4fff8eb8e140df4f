/* SPDX-License-Identifier: Apache-2.0 */
#include "image/container_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "image/image_protocol.h"
#include "image/store_internal.h"
#include "image/tool.h"

#define MAX_MOUNTS 65536

void container_source_release(struct container_source *s)
{
        for (size_t i = 0; i < s->n; i++)
                (void)fd_close(s->fds[i]);
        free(s->fds);
        id_map_release(&s->uid);
        id_map_release(&s->gid);
        strv_release(&s->mounts);
        strv_release(&s->layers);
        *s = (struct container_source){0};
}

int container_source_map(const struct json_at *root, const char *key, struct id_map *ret,
                         struct err **reterr)
{
        struct json_at list = json_key(root, key);
        size_t n = 0;
        int r = list.obj ? json_want_array(&list, ID_MAP_MAX_EXTENTS, &n, reterr) : 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at at = json_elem(&list, i);
                struct id_extent e = {0};

                if ((r = json_opt_u32(&at, "containerID", &e.inside, reterr)) >= 0 &&
                    (r = json_opt_u32(&at, "hostID", &e.outside, reterr)) >= 0 &&
                    (r = json_opt_u32(&at, "size", &e.count, reterr)) >= 0)
                        id_map_add(ret, e.inside, e.outside, e.count);
        }
        return r < 0 ? r : 0;
}

static int add_dir(struct tool *t, struct container_source *s, const char *path,
                   struct err **reterr)
{
        int fd;

        /* A container of a directory that the caller has given: he has opened it himself. */
        if (!path)
                fd = openat(IMAGE_FD_INPUT, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        else
                fd =
                    openat(t->dirs->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "open '%s'", path ? path : "the root file system");
        s->fds[s->n++] = fd;
        return 0;
}

int container_source_open(struct tool *t, struct container_source *ret, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        const char *now = NULL, *driver = "";
        AUTO_STRV dirs = {0};
        struct container_source s = {.id = ""};
        int r;

        if ((r = json_opt_string(&root, "container", &s.id, reterr)) < 0 ||
            (r = json_opt_string(&root, "now", &now, reterr)) < 0 ||
            (r = json_opt_string(&root, "driver", &driver, reterr)) < 0 ||
            (r = json_opt_strv(&root, "dirs", &dirs, reterr)) < 0)
                return r;
        s.fuse = strcmp(driver, "fuse-overlayfs") == 0;
        s.whole = strcmp(driver, "copy") == 0 || !now;
        s.fds = xcalloc(dirs.n + 1, sizeof(int));
        r = add_dir(t, &s, now, reterr);
        for (size_t i = dirs.n; r >= 0 && i > 0; i--)
                r = add_dir(t, &s, dirs.v[i - 1], reterr);
        if (r >= 0)
                r = container_source_map(&root, "uid", &s.uid, reterr);
        if (r >= 0)
                r = container_source_map(&root, "gid", &s.gid, reterr);
        if (r >= 0)
                r = json_opt_strv(&root, "mounts", &s.mounts, reterr);
        if (r >= 0)
                r = json_opt_strv(&root, "layers", &s.layers, reterr);
        if (r < 0) {
                container_source_release(&s);
                return r;
        }
        *ret = s;
        return 0;
}

static uint32_t root_of(const struct id_map *map)
{
        uint32_t id = map->n > 0 ? id_map_to_outside(map, 0) : 0;

        return id != ID_NONE ? id : map->v[0].outside;
}

void container_source_walk(const struct container_source *s, struct walk_opts *o)
{
        static char *const none[] = {NULL};

        o->now = (struct view){.fds = s->fds, .n = 1, .fuse = s->fuse, .plain = s->whole};
        o->old = (struct view){.fds = s->fds + 1, .n = s->n - 1};
        o->whole = s->whole;
        o->mount_points = s->mounts.n > 0 ? s->mounts.v : none;
        o->root_uid = root_of(&s->uid);
        o->root_gid = root_of(&s->gid);
}

void container_source_walk_all(const struct container_source *s, struct walk_opts *o)
{
        container_source_walk(s, o);
        o->old = (struct view){0};
        if (!s->whole)
                o->now.n = s->n;
        o->whole = false;
        o->root = true;
        o->mount_points = NULL;
}

int container_source_check(struct tool *t, const struct container_source *s, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("containers/%s/config.json", s->id);

        if (!*s->id || faccessat(t->dirs->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        return err_new(reterr, ERR_NOT_FOUND, "the container was removed meanwhile");
}
