/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `copy` — kelp cp: one of the two sides is a container's tree, or both are; the host's side is a directory that kelp has opened, outside U and with
 * nothing but the caller's own rights. A container's names are resolved in its root, links too.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "idmap/idmap.h"
#include "image/container_source.h"
#include "image/copy_internal.h"
#include "image/image_protocol.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS   40
#define MAX_VOLUMES 65536

static void side_release(struct copy_side *s)
{
        id_map_release(&s->uid);
        id_map_release(&s->gid);
        (void)fd_close(s->place.dir);
        free(s->place.name);
        free(s->volumes);
}

static int read_volumes(const struct json_at *at, struct copy_side *s, struct err **reterr)
{
        struct json_at list = json_key(at, "volumes");
        size_t n = 0;
        int r = list.obj ? json_want_array(&list, MAX_VOLUMES, &n, reterr) : 0;

        s->volumes = xcalloc(n, sizeof(*s->volumes));
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct json_at one = json_elem(&list, i);

                if ((r = json_get_u64(&one, "dev", &s->volumes[i].dev, reterr)) >= 0)
                        r = json_get_u64(&one, "ino", &s->volumes[i].ino, reterr);
        }
        s->n_volumes = n;
        return r;
}

static int read_side(const struct json_at *root, const char *key, int fd, struct copy_side *s,
                     struct err **reterr)
{
        struct json_at at = json_key(root, key);
        int r;

        *s = (struct copy_side){.root = fd, .place = {.dir = -EBADF}};
        if ((r = json_want_object(&at, reterr)) < 0 ||
            (r = json_get_string(&at, "what", &s->what, reterr)) < 0 ||
            (r = json_get_string(&at, "path", &s->path, reterr)) < 0 ||
            (r = json_opt_string(&at, "name", &s->name, reterr)) < 0 ||
            (r = json_opt_bool(&at, "container", &s->container, reterr)) < 0 ||
            (r = json_opt_bool(&at, "directory", &s->directory, reterr)) < 0 ||
            (r = json_opt_bool(&at, "contents", &s->contents, reterr)) < 0 ||
            (r = json_opt_bool(&at, "follow", &s->follow, reterr)) < 0 ||
            (r = json_opt_bool(&at, "stream", &s->stream, reterr)) < 0 ||
            (r = container_source_map(&at, "uid", &s->uid, reterr)) < 0 ||
            (r = container_source_map(&at, "gid", &s->gid, reterr)) < 0 ||
            (r = read_volumes(&at, s, reterr)) < 0)
                return r;
        return 0;
}

/* ---- names ---- */

static int not_there(const struct copy_side *s, int errnum, struct err **reterr)
{
        if (errnum == ENOENT)
                return err_new(reterr, ERR_NOT_FOUND, "'%s': no such file or directory", s->what);
        return err_sys(reterr, errnum, "'%s'", s->what);
}

/* The directory of @path and its last component; "." when there is none that could be a link. */
static int open_parent(const struct copy_side *s, const char *path, struct copy_place *p,
                       struct err **reterr)
{
        const char *last = path_last(path);
        AUTO_FREE char *dir = xstrndup(path, (size_t)(last - path));
        bool itself = !path_is_clean_name(last);
        int fd;

        p->dir = fd_close(p->dir);
        free(p->name);
        p->name = xstrdup(itself ? "." : last);
        fd = path_open_in_root_raw(s->root,
                                   itself ? path
                                   : *dir ? dir
                                          : ".",
                                   O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
                return not_there(s, -fd, reterr);
        p->dir = fd;
        return 0;
}

/* @follow: a link in the last place too, whether what it names is there or not. The host's links were followed where they have to be. */
static int find(struct copy_side *s, bool follow, struct err **reterr)
{
        AUTO_FREE char *path = xstrdup(s->path);

        for (int links = 0; links < MAX_LINKS; links++) {
                char target[PATH_MAX], *next;
                const char *last = path_last(path);
                ssize_t n;
                int r = open_parent(s, path, &s->place, reterr);

                if (r < 0 || !follow || !s->container)
                        return r;
                n = readlinkat(s->place.dir, s->place.name, target, sizeof(target) - 1);
                if (n < 0)
                        return 0;
                target[n] = '\0';
                next = *target == '/' ? xstrdup(target)
                                      : xasprintf("%.*s%s", (int)(last - path), path, target);
                free(path);
                path = next;
                while (strlen(path) > 1 && path[strlen(path) - 1] == '/')
                        path[strlen(path) - 1] = '\0';
        }
        return not_there(s, ELOOP, reterr);
}

int copy_open_directory(const struct copy_side *s, const char *name, struct err **reterr)
{
        int fd = openat(s->place.dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? not_there(s, errno, reterr) : fd;
}

/* ---- rules ---- */

static void copy_release(struct copy *c)
{
        side_release(&c->from);
        side_release(&c->to);
}

static int no_directory(const struct copy_side *s, struct err **reterr)
{
        return err_new(reterr, ERR_USAGE, "'%s' is not a directory", s->what);
}

int copy_find_source(struct copy_side *s, struct stat *ret, struct err **reterr)
{
        int r = find(s, s->follow || s->directory || s->contents, reterr);

        if (r < 0)
                return r;
        if (fstatat(s->place.dir, s->place.name, ret, AT_SYMLINK_NOFOLLOW) < 0)
                return not_there(s, errno, reterr);
        if ((s->directory || s->contents) && !S_ISDIR(ret->st_mode))
                return no_directory(s, reterr);
        if (S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode) || S_ISLNK(ret->st_mode) ||
            S_ISFIFO(ret->st_mode))
                return 0;
        return err_new(reterr, ERR_UNSUPPORTED, "'%s' is a %s, which cannot be copied", s->what,
                       S_ISSOCK(ret->st_mode) ? "socket" : "device");
}

int copy_find_destination(struct copy_side *s, bool dir_comes, struct err **reterr)
{
        struct stat st;
        int r = find(s, true, reterr);

        if (r < 0)
                return r;
        if (fstatat(s->place.dir, s->place.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return not_there(s, errno, reterr);
                if (!s->directory || dir_comes)
                        return 0;
                r = err_new(reterr, ERR_NOT_FOUND, "'%s': there is no such directory", s->what);
                return err_hint(reterr, r, "make it first, or leave the slash out to name a file");
        }
        if (s->directory && !S_ISDIR(st.st_mode))
                return no_directory(s, reterr);
        return S_ISDIR(st.st_mode);
}

static void remember_target(struct transfer *x, int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return;
        x->into_dev = st.st_dev;
        x->into_ino = st.st_ino;
}

static int into_directory(struct copy *c, struct err **reterr)
{
        AUTO_CLOSE int to = copy_open_directory(&c->to, c->to.place.name, reterr), from = -EBADF;

        if (to < 0)
                return to;
        remember_target(&c->x, to);
        if (!c->from.contents && strcmp(c->from.place.name, ".") != 0)
                return transfer_one(&c->x, c->from.place.dir, c->from.place.name, to, c->from.name,
                                    c->from.what, reterr);
        from = copy_open_directory(&c->from, c->from.place.name, reterr);
        return from < 0 ? from : transfer_contents(&c->x, from, to, c->from.what, reterr);
}

static int copy_files(struct copy *c, struct err **reterr)
{
        struct stat st;
        int r = copy_find_source(&c->from, &st, reterr);

        if (r >= 0)
                r = copy_find_destination(&c->to, S_ISDIR(st.st_mode), reterr);
        if (r < 0)
                return r;
        if (r == 1)
                return into_directory(c, reterr);
        /* A new directory below the one that is copied would be found again in it. */
        if (S_ISDIR(st.st_mode))
                remember_target(&c->x, c->to.place.dir);
        return transfer_one(&c->x, c->from.place.dir, c->from.place.name, c->to.place.dir,
                            c->to.place.name, c->from.what, reterr);
}

/* ---- owners ---- */

static uint32_t root_of(const struct id_map *map)
{
        uint32_t id = map->n > 0 ? id_map_to_outside(map, 0) : 0;

        return id == ID_NONE ? map->v[0].outside : id;
}

/* Into a container: its root's. Out of it: nobody's but the caller's, as whose root we work; and no program of the container becomes one that runs
 * with his rights for whoever starts it (transfer_setid.c). */
static void set_owners(struct copy *c)
{
        struct transfer *x = &c->x;

        x->to_root = c->to.container ? c->to.root : -EBADF;
        x->volumes = c->to.volumes;
        x->n_volumes = c->to.n_volumes;
        x->own = c->to.container;
        x->uid = root_of(&c->to.uid);
        x->gid = root_of(&c->to.gid);
        if (c->from.container && c->to.container) {
                x->from_uid = c->from.uid.n > 0 ? &c->from.uid : NULL;
                x->from_gid = c->from.gid.n > 0 ? &c->from.gid : NULL;
        }
        x->to_uid = c->to.uid.n > 0 ? &c->to.uid : NULL;
        x->to_gid = c->to.gid.n > 0 ? &c->to.gid : NULL;
}

int tool_copy(struct tool *t, struct err **reterr)
{
        struct json_at root = json_root(t->request, "request");
        AUTO(copy_release)
        struct copy c = {
            .from = {.place = {.dir = -EBADF}}, .to = {.place = {.dir = -EBADF}}, .x = {.t = t}};
        int r;

        if ((r = read_side(&root, "from", IMAGE_FD_INPUT, &c.from, reterr)) < 0 ||
            (r = read_side(&root, "to", IMAGE_FD_OUTPUT, &c.to, reterr)) < 0 ||
            (r = json_opt_bool(&root, "archive", &c.x.keep, reterr)) < 0 ||
            (r = json_opt_bool(&root, "overwrite", &c.x.overwrite, reterr)) < 0)
                return r;
        set_owners(&c);
        tool_begin(t, "copy", 0);
        if (c.to.stream)
                r = copy_to_stream(&c, reterr);
        else
                r = c.from.stream ? copy_from_stream(&c, reterr) : copy_files(&c, reterr);
        if (r >= 0)
                tool_end(t, c.x.bytes);
        transfer_warnings(&c.x);
        return r;
}
