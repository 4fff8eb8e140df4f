/* SPDX-License-Identifier: Apache-2.0 */
#include "image/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "image/whiteout.h"

#define BENEATH      (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define MAX_LINKS    40
#define NAMES_BUFFER ((size_t)32 * 1024)
#define WHITEOUT     ".wh."

/* ---- the forms of hiding ---- */

/* Linux 6.7 reads a whiteout from an attribute of an empty file as well, and fuse-overlayfs may write one. */
static bool has_whiteout_xattr(int dirfd, const char *name)
{
        static const char *const names[] = {"user.overlay.whiteout", "user.fuseoverlayfs.whiteout"};
        AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(names); i++)
                if (fgetxattr(fd, names[i], NULL, 0) >= 0)
                        return true;
        return false;
}

bool view_is_whiteout(struct view_dir *dir, size_t i, const char *name, const struct stat *st)
{
        if (dir->view->plain && dir->layer[i] == 0)
                return false;
        if (whiteout_is(st))
                return true;
        return S_ISREG(st->st_mode) && st->st_size == 0 &&
               has_whiteout_xattr(view_dir_fd(dir, i), name);
}

static bool is_opaque(const struct view_dir *dir, size_t i, int fd)
{
        const struct view *v = dir->view;
        bool top = dir->layer[i] == 0;
        char c = 0;

        if (v->plain && top)
                return false;
        if (whiteout_is_opaque(fd))
                return true;
        return v->fuse && top &&
               ((fgetxattr(fd, "user.fuseoverlayfs.opaque", &c, 1) == 1 && c == 'y') ||
                faccessat(fd, WHITEOUT ".wh..opq", F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

bool view_hides_by_name(struct view_dir *dir, size_t i, const char *name)
{
        char hidden[NAME_MAX + sizeof(WHITEOUT)];
        int fd;

        if (!dir->view->fuse || dir->layer[i] != 0 || strlen(name) + 4 > NAME_MAX)
                return false;
        (void)snprintf(hidden, sizeof(hidden), WHITEOUT "%s", name);
        fd = view_dir_fd(dir, i);
        return fd >= 0 && faccessat(fd, hidden, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- directories ---- */

static struct view_dir *dir_new(const struct view *v, const char *path, size_t cap)
{
        struct view_dir *dir = xnew(struct view_dir);

        dir->view = v;
        dir->path = xstrdup(path);
        dir->layer = xcalloc(cap ? cap : 1, sizeof(*dir->layer));
        dir->fds = xcalloc(cap ? cap : 1, sizeof(*dir->fds));
        return dir;
}

struct view_dir *view_dir_free(struct view_dir *dir)
{
        if (!dir)
                return NULL;
        view_dir_rest(dir);
        free(dir->path);
        free(dir->layer);
        free(dir->fds);
        free(dir);
        return NULL;
}

void view_dir_rest(struct view_dir *dir)
{
        for (size_t i = 0; i < dir->n; i++)
                dir->fds[i] = fd_close(dir->fds[i]);
}

static uint64_t beneath(const struct view *v)
{
        return v->mounts ? BENEATH : BENEATH | RESOLVE_NO_XDEV;
}

int view_dir_fd(struct view_dir *dir, size_t i)
{
        if (dir->fds[i] < 0)
                dir->fds[i] =
                    sys_openat2(dir->view->fds[dir->layer[i]], dir->path[0] ? dir->path : ".",
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, beneath(dir->view));
        return dir->fds[i];
}

static void add_place(struct view_dir *dir, uint32_t layer, int fd_take)
{
        dir->layer[dir->n] = layer;
        dir->fds[dir->n++] = fd_take;
}

struct view_dir *view_root(const struct view *v)
{
        struct view_dir *dir = dir_new(v, "", v->n);

        for (size_t i = 0; i < v->n; i++)
                add_place(dir, (uint32_t)i, -EBADF);
        return dir;
}

struct view_dir *view_enter(struct view_dir *dir, const char *name, const char *path)
{
        AUTO(view_dir_freep) struct view_dir *child = dir_new(dir->view, path, dir->n);

        for (size_t i = 0; i < dir->n; i++) {
                int at = view_dir_fd(dir, i);
                AUTO_CLOSE int fd = -EBADF;
                bool opaque;

                if (at < 0)
                        continue;
                fd = sys_openat2(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
                                 beneath(dir->view));
                /* A file, a link or a whiteout ends what is merged. */
                if (fd == -ENOTDIR || fd == -ELOOP || (fd < 0 && view_hides_by_name(dir, i, name)))
                        break;
                if (fd < 0)
                        continue;
                opaque = is_opaque(dir, i, fd);
                if (child->n == 0)
                        child->opaque = opaque;
                add_place(child, dir->layer[i], TAKE_FD(fd));
                if (opaque)
                        break;
        }
        return child->n > 0 ? TAKE_PTR(child) : NULL;
}

int view_lookup(struct view_dir *dir, const char *name, struct stat *ret_st, uint32_t *ret_layer)
{
        for (size_t i = 0; i < dir->n; i++) {
                int fd = view_dir_fd(dir, i);

                if (fd < 0)
                        continue;
                if (fstatat(fd, name, ret_st, AT_SYMLINK_NOFOLLOW) == 0) {
                        if (ret_layer)
                                *ret_layer = dir->layer[i];
                        return !view_is_whiteout(dir, i, name, ret_st);
                }
                if (view_hides_by_name(dir, i, name))
                        return 0;
        }
        return 0;
}

/* ---- resolving ---- */

/* The link's text in front of what is left to be resolved. */
static char *follow(struct view_dir *dir, const char *name, uint32_t layer, const char *rest)
{
        char target[PATH_MAX];

        for (size_t i = 0; i < dir->n; i++) {
                int fd = dir->layer[i] == layer ? view_dir_fd(dir, i) : -EBADF;
                ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target) - 1);

                if (n <= 0)
                        continue;
                target[n] = '\0';
                return xasprintf("%s/%s", target, rest);
        }
        return NULL;
}

struct resolving {
        struct strv parts; /* of what is resolved */
        struct view_dir *
            *dirs; /* of each, and of the root in front; NULL from the first that is missing */
        size_t n_dirs;
};

static void go_up(struct resolving *r, size_t to)
{
        while (r->parts.n > to) {
                free(r->parts.v[--r->parts.n]);
                r->parts.v[r->parts.n] = NULL;
                (void)view_dir_free(r->dirs[--r->n_dirs]);
        }
}

static char *joined(const struct resolving *r)
{
        AUTO_STRBUF b = {0};

        for (size_t i = 0; i < r->parts.n; i++)
                strbuf_addf(&b, "%s%s", i ? "/" : "", r->parts.v[i]);
        return strbuf_take(&b);
}

static void go_down(struct resolving *r, const char *name)
{
        struct view_dir *at = r->dirs[r->n_dirs - 1];
        AUTO_FREE char *path = NULL;

        strv_add(&r->parts, name);
        path = joined(r);
        r->dirs = xrealloc(r->dirs, r->n_dirs + 1, sizeof(struct view_dir *));
        r->dirs[r->n_dirs++] = at ? view_enter(at, name, path) : NULL;
}

char *view_resolve(const struct view *v, const char *path)
{
        struct resolving r = {.dirs = xcalloc(1, sizeof(struct view_dir *)), .n_dirs = 1};
        AUTO_FREE char *left = xstrdup(path);
        char *ret = NULL, *p = left;
        int links = 0;

        r.dirs[0] = view_root(v);
        while (links < MAX_LINKS && strlen(left) < 2 * PATH_MAX) {
                char name[NAME_MAX + 1];
                struct stat st;
                uint32_t layer;
                size_t n;

                p += strspn(p, "/");
                n = strcspn(p, "/");
                if (n == 0 || n > NAME_MAX) {
                        ret = n == 0 ? joined(&r) : NULL;
                        break;
                }
                memcpy(name, p, n);
                name[n] = '\0';
                p += n;
                if (strcmp(name, ".") == 0)
                        continue;
                if (strcmp(name, "..") == 0) {
                        go_up(&r, r.parts.n ? r.parts.n - 1 : 0);
                        continue;
                }
                if (r.dirs[r.n_dirs - 1] &&
                    view_lookup(r.dirs[r.n_dirs - 1], name, &st, &layer) > 0 &&
                    S_ISLNK(st.st_mode)) {
                        char *next = follow(r.dirs[r.n_dirs - 1], name, layer, p);

                        if (!next)
                                break;
                        links++;
                        free(left);
                        left = p = next;
                        if (*next == '/')
                                go_up(&r, 0);
                        continue;
                }
                go_down(&r, name);
        }
        go_up(&r, 0);
        (void)view_dir_free(r.dirs[0]);
        free(r.dirs);
        strv_release(&r.parts);
        return ret;
}

/* ---- names ---- */

static void names_push(struct view_names *names, const char *name, uint32_t order)
{
        size_t n = strlen(name) + 1;

        if (names->len + n > names->cap) {
                names->cap = MAX(names->cap * 2, (size_t)4096);
                names->arena = xrealloc(names->arena, names->cap, 1);
        }
        if (names->n == names->cap_v) {
                names->cap_v = MAX(names->cap_v * 2, (size_t)64);
                names->v = xrealloc(names->v, names->cap_v, sizeof(*names->v));
        }
        memcpy(names->arena + names->len, name, n);
        names->v[names->n++] = (struct view_name){(uint32_t)names->len, order};
        names->len += n;
}

int view_names_add(struct view_names *names, int fd, uint32_t order)
{
        AUTO_FREE char *buf = xmalloc(NAMES_BUFFER);

        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        for (;;) {
                long n = syscall(SYS_getdents64, fd, buf, NAMES_BUFFER);

                if (n < 0 && errno == ENOENT)
                        return 0; /* it was removed since it was opened */
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                for (long at = 0; at < n;) {
                        const struct dirent64 *d = (const struct dirent64 *)(buf + at);

                        at += d->d_reclen;
                        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
                                continue;
                        if (names->len > UINT32_MAX - 2 * NAME_MAX)
                                return -EOVERFLOW;
                        names_push(names, d->d_name, order);
                }
        }
}

static int by_name_and_order(const void *a, const void *b, void *arena)
{
        const struct view_name *x = a, *y = b;
        int c = strcmp((char *)arena + x->at, (char *)arena + y->at);

        return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

void view_names_sort(struct view_names *names)
{
        size_t kept = 0;

        if (names->n == 0)
                return;
        qsort_r(names->v, names->n, sizeof(*names->v), by_name_and_order, names->arena);
        for (size_t i = 1; i < names->n; i++) {
                if (strcmp(names->arena + names->v[i].at, names->arena + names->v[kept].at) != 0)
                        names->v[++kept] = names->v[i];
        }
        names->n = kept + 1;
}

void view_names_release(struct view_names *names)
{
        free(names->arena);
        free(names->v);
        *names = (struct view_names){0};
}
