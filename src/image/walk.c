/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A level for each directory on the way, with its names sorted in memory; descriptors only of the innermost. A directory of the writable layer
 * may be there just because something below it changed, or because a start made a mount point in it. So a directory that is no change by
 * itself waits: it is given out before the first thing below it that counts, and never if there is none.
 */
#include "image/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"
#include "image/kernel_fs.h"
#include "image/xattrs.h"

#define BENEATH    (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define WHITEOUT   ".wh."
#define MOUNT_MODE 0755u

/* What a start writes besides mount points (rootfs/child_mounts.c). */
static const char *const marks[] = {".dockerenv", "run/.containerenv"};

struct level {
        struct walk_entry e; /* of the directory itself; e.path is owned */
        char *path;
        struct view_dir *now, *old;
        struct view_names names;
        size_t pos;
        bool whole;   /* compare, and list what is gone */
        bool emitted; /* given out, or not to be */
};
struct walk {
        struct walk_opts o;
        struct level *levels;
        size_t depth, cap;
        size_t flush; /* levels before this are to be given out */
        bool held;    /* @child waits behind them */
        struct walk_entry child;
        char *child_path;
        struct strv mounts,
            ways; /* resolved mount points, and the directories on the way to them; sorted */
};

int walk_open(const struct walk_entry *e, int flags)
{
        return sys_openat2(e->root_fd, e->path[0] ? e->path : ".",
                           (uint64_t)(unsigned)flags | O_NOFOLLOW, 0,
                           e->mounts ? BENEATH : BENEATH | RESOLVE_NO_XDEV);
}

/* ---- mount points ---- */

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct strv *sorted, const char *s)
{
        return sorted->n > 0 && bsearch(&s, sorted->v, sorted->n, sizeof(char *), compare);
}

static void add_mount_points(struct walk *w, const struct view *merged)
{
        for (char *const *m = w->o.mount_points; m && *m; m++) {
                char *path = view_resolve(merged, *m);

                if (!path)
                        continue;
                for (size_t i = 0; path[i]; i++)
                        if (path[i] == '/')
                                strv_add_take(&w->ways, xstrndup(path, i));
                strv_add_take(&w->mounts, path);
        }
        strv_add(&w->ways, "run");
        qsort(w->ways.v, w->ways.n, sizeof(char *), compare);
        if (w->mounts.n > 0)
                qsort(w->mounts.v, w->mounts.n, sizeof(char *), compare);
}

/* Made by a start, or in the way to something that it made? */
static bool is_soft_dir(const struct walk *w, const char *path)
{
        if (!w->o.mount_points)
                return false;
        return has(&w->mounts, path) || has(&w->ways, path);
}

static bool is_soft_file(const struct walk *w, const struct walk_entry *e)
{
        if (!w->o.mount_points || e->root_fd != w->o.now.fds[0])
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
                if (strcmp(e->path, marks[i]) == 0)
                        return true;
        return !e->in_old && S_ISREG(e->st.st_mode) && e->st.st_size == 0 &&
               has(&w->mounts, e->path);
}

/* ---- comparing ---- */

static int open_old(const struct walk *w, const struct walk_entry *e)
{
        struct walk_entry old = *e;

        old.root_fd = w->o.old.fds[e->old_layer];
        return walk_open(&old, O_RDONLY | O_NONBLOCK);
}

static bool xattrs_differ(const struct walk *w, const struct walk_entry *e)
{
        AUTO_CLOSE int now = walk_open(e, O_RDONLY | O_NONBLOCK), old = open_old(w, e);
        AUTO(xattrs_release) struct xattrs a = {0}, b = {0};

        if (now < 0 || old < 0)
                return true;
        return xattrs_read(now, &a) < 0 || xattrs_read(old, &b) < 0 || !xattrs_equal(&a, &b);
}

static bool link_differs(const struct walk *w, const struct walk_entry *e)
{
        char a[PATH_MAX], b[PATH_MAX];
        ssize_t n = readlinkat(e->root_fd, e->path, a, sizeof(a));

        return n < 0 || n != readlinkat(w->o.old.fds[e->old_layer], e->path, b, sizeof(b)) ||
               memcmp(a, b, (size_t)n) != 0;
}

static bool mtime_differs(const struct walk_entry *e)
{
        return e->st.st_mtim.tv_sec != e->old.st_mtim.tv_sec ||
               e->st.st_mtim.tv_nsec != e->old.st_mtim.tv_nsec;
}

static bool differs(const struct walk *w, const struct walk_entry *e, bool with_mtime)
{
        const struct stat *a = &e->st, *b = &e->old;
        mode_t type = a->st_mode & S_IFMT;

        if (!e->in_old || a->st_mode != b->st_mode || a->st_uid != b->st_uid ||
            a->st_gid != b->st_gid || (with_mtime && mtime_differs(e)))
                return true;
        if ((type == S_IFREG && a->st_size != b->st_size) ||
            ((type == S_IFCHR || type == S_IFBLK) && a->st_rdev != b->st_rdev) ||
            (type == S_IFLNK && link_differs(w, e)))
                return true;
        return (type == S_IFREG || type == S_IFDIR) && xattrs_differ(w, e);
}

/* ---- levels ---- */

static void level_release(struct level *l)
{
        (void)view_dir_free(l->now);
        (void)view_dir_free(l->old);
        view_names_release(&l->names);
        free(l->path);
}

static int read_names(struct level *l)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < l->now->n; i++) {
                int fd = view_dir_fd(l->now, i);

                r = fd == -ENOENT ? 0 : fd < 0 ? fd : view_names_add(&l->names, fd, (uint32_t)i);
        }
        for (size_t i = 0; r == 0 && l->whole && l->old && i < l->old->n; i++) {
                int fd = view_dir_fd(l->old, i);

                r = fd < 0 ? fd : view_names_add(&l->names, fd, (uint32_t)(l->now->n + i));
        }
        view_names_sort(&l->names);
        return r;
}

static int walk_fail(const char *path, int errnum, struct err **reterr)
{
        return err_sys(reterr, errnum, "read '/%s' of the container", path);
}

/* Consumes @now, @old and @path. */
static int push_take(struct walk *w, const struct walk_entry *e, char *path, struct view_dir *now,
                     struct view_dir *old, bool whole, struct err **reterr)
{
        struct level *l;
        int r;

        if (w->depth > 0) {
                view_dir_rest(w->levels[w->depth - 1].now);
                if (w->levels[w->depth - 1].old)
                        view_dir_rest(w->levels[w->depth - 1].old);
        }
        if (w->depth == w->cap) {
                w->cap = MAX(w->cap * 2, (size_t)16);
                w->levels = xrealloc(w->levels, w->cap, sizeof(*w->levels));
        }
        l = &w->levels[w->depth++];
        *l = (struct level){.e = *e, .path = path, .now = now, .old = old, .whole = whole};
        l->e.path = path;
        r = read_names(l);
        return r < 0 ? walk_fail(path, -r, reterr) : 0;
}

/* ---- entries ---- */

static void hold(struct walk *w, const struct walk_entry *e, char *path)
{
        free(w->child_path);
        w->child_path = path;
        w->child = *e;
        w->child.path = path;
        w->held = true;
        w->flush = w->depth;
}

static void deleted(struct walk *w, struct level *l, const char *name, char *path)
{
        struct walk_entry e = {.kind = WALK_DELETED, .root_fd = -EBADF};

        if (l->old && view_lookup(l->old, name, &e.old, &e.old_layer) > 0) {
                e.in_old = true;
                hold(w, &e, path);
        } else {
                free(path);
        }
}

/* Where /proc and the like are mounted, they are left out. */
static bool is_kernels(const struct walk *w, struct level *above, struct view_dir *now)
{
        int fd = w->o.now.mounts ? view_dir_fd(now, 0) : -EBADF;

        return fd >= 0 && kernel_fs_is(fd) && !kernel_fs_is(view_dir_fd(above->now, 0));
}

static int enter_dir(struct walk *w, struct level *l, struct walk_entry *e, const char *name,
                     struct err **reterr)
{
        struct view_dir *now = view_enter(l->now, name, e->path), *old = NULL;
        bool whole = l->whole, soft = is_soft_dir(w, e->path), change, closed;
        char *path = xstrdup(e->path);

        if (!now) { /* it was there a moment ago */
                free(path);
                return 0;
        }
        if (l->old)
                old = view_enter(l->old, name, e->path);
        e->hides = now->opaque && old;
        if (now->opaque && !w->o.whole && w->o.old.n > 0) {
                whole = !w->o.hides_as_one;
                if (w->o.hides_as_one)
                        old = view_dir_free(old);
        }
        if (w->o.old.n == 0 && (!soft || now->n > 1 || now->layer[0] > 0))
                change = true; /* no start made what a layer has */
        else if (!e->in_old || !S_ISDIR(e->old.st_mode))
                change = !soft || e->in_old || (e->st.st_mode & 07777) != MOUNT_MODE ||
                         e->st.st_uid != w->o.root_uid || e->st.st_gid != w->o.root_gid;
        else
                change = e->hides || differs(w, e, !soft);
        closed = is_kernels(w, l, now);
        if (push_take(w, e, path, now, old, whole, reterr) < 0)
                return -EIO;
        if (closed)
                w->levels[w->depth - 1].pos = w->levels[w->depth - 1].names.n;
        if (change)
                w->flush = w->depth;
        return 0;
}

static char *child_path(const struct level *l, const char *name)
{
        return l->path[0] ? xasprintf("%s/%s", l->path, name) : xstrdup(name);
}

/* What the container's side has under that name: 1, 0 nothing, -1 a whiteout. */
static int look(struct level *l, const char *name, uint32_t order, struct walk_entry *e)
{
        int fd = order < l->now->n ? view_dir_fd(l->now, order) : -EBADF;

        if (fd < 0 || fstatat(fd, name, &e->st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (view_is_whiteout(l->now, order, name, &e->st))
                return -1;
        if (order > 0 && view_hides_by_name(l->now, 0, name))
                return -1;
        e->root_fd = l->now->view->fds[l->now->layer[order]];
        return 1;
}

static int step(struct walk *w, struct level *l, const struct view_name *n, struct err **reterr)
{
        const char *name = l->names.arena + n->at;
        struct walk_entry e = {.root_fd = -EBADF, .mounts = w->o.now.mounts};
        AUTO_FREE char *path = NULL;
        int found;

        if (w->o.now.fuse && n->order < l->now->n && l->now->layer[n->order] == 0 &&
            str_starts(name, WHITEOUT)) {
                if (!str_starts(name, WHITEOUT ".wh.") && name[4])
                        deleted(w, l, name + 4, child_path(l, name + 4));
                return 0;
        }
        path = child_path(l, name);
        if (strlen(path) >= PATH_MAX)
                return err_new(
                    reterr, ERR_INVALID,
                    "'/%.60s…': its name is longer than the %d bytes that a name may have", path,
                    PATH_MAX - 1);
        found = look(l, name, n->order, &e);
        if (found <= 0) {
                if (found < 0 || l->whole)
                        deleted(w, l, name, TAKE_PTR(path));
                return 0;
        }
        e.path = path;
        e.in_old = l->old && view_lookup(l->old, name, &e.old, &e.old_layer) > 0;
        e.kind = e.in_old ? WALK_CHANGED : WALK_ADDED;
        if (S_ISDIR(e.st.st_mode))
                return enter_dir(w, l, &e, name, reterr);
        if (is_soft_file(w, &e) || (w->o.whole && !differs(w, &e, true)))
                return 0;
        hold(w, &e, TAKE_PTR(path));
        return 0;
}

/* ---- for the caller ---- */

static struct view view_of_both(const struct walk_opts *o, int *fds)
{
        struct view v = o->now;

        for (size_t i = 0; i < o->now.n; i++)
                fds[i] = o->now.fds[i];
        if (o->now.n == 1 && !o->whole) {
                for (size_t i = 0; i < o->old.n; i++)
                        fds[v.n++] = o->old.fds[i];
        }
        v.fds = fds;
        return v;
}

/* Its owner is always the container's root, whatever the layers say: a start sees to that. */
static bool root_differs(struct walk *w, struct walk_entry *e)
{
        if (!e->in_old)
                return true;
        if (e->st.st_uid == w->o.root_uid && e->st.st_gid == w->o.root_gid) {
                e->old.st_uid = e->st.st_uid;
                e->old.st_gid = e->st.st_gid;
        }
        return differs(w, e, false);
}

static int start(struct walk *w, struct err **reterr)
{
        struct walk_entry e = {
            .kind = WALK_ADDED, .path = "", .mounts = w->o.now.mounts, .root_fd = w->o.now.fds[0]};
        bool change;
        int r;

        if (fstat(w->o.now.fds[0], &e.st) < 0)
                return walk_fail("", errno, reterr);
        if (w->o.old.n > 0 && fstat(w->o.old.fds[0], &e.old) == 0) {
                e.in_old = true;
                e.kind = WALK_CHANGED;
        }
        change = w->o.root && root_differs(w, &e);
        r = push_take(w, &e, xstrdup(""), view_root(&w->o.now),
                      w->o.old.n > 0 ? view_root(&w->o.old) : NULL, w->o.whole, reterr);
        if (r < 0)
                return r;
        w->levels[0].emitted = !change;
        w->flush = 1;
        return 0;
}

int walk_new(const struct walk_opts *o, struct walk **ret, struct err **reterr)
{
        AUTO(walk_freep) struct walk *w = xnew(struct walk);
        AUTO_FREE int *fds = xcalloc(o->now.n + o->old.n + 1, sizeof(int));
        struct view both;
        int r;

        w->o = *o;
        both = view_of_both(o, fds);
        add_mount_points(w, &both);
        r = start(w, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

int walk_next(struct walk *w, const struct walk_entry **ret, struct err **reterr)
{
        for (;;) {
                struct level *l;

                for (size_t i = 0; i < w->flush; i++) {
                        if (w->levels[i].emitted)
                                continue;
                        w->levels[i].emitted = true;
                        *ret = &w->levels[i].e;
                        return 1;
                }
                w->flush = 0;
                if (w->held) {
                        w->held = false;
                        *ret = &w->child;
                        return 1;
                }
                if (w->depth == 0)
                        return 0;
                l = &w->levels[w->depth - 1];
                if (l->pos == l->names.n) {
                        level_release(l);
                        w->depth--;
                        continue;
                }
                l->pos++;
                if (w->depth == 1 && w->o.only &&
                    strcmp(l->names.arena + l->names.v[l->pos - 1].at, w->o.only) != 0)
                        continue;
                if (step(w, l, &l->names.v[l->pos - 1], reterr) < 0)
                        return -EIO;
        }
}

struct walk *walk_free(struct walk *w)
{
        if (!w)
                return NULL;
        while (w->depth > 0)
                level_release(&w->levels[--w->depth]);
        free(w->levels);
        free(w->child_path);
        strv_release(&w->mounts);
        strv_release(&w->ways);
        free(w);
        return NULL;
}
