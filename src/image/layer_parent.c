/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation: where an entry goes.
 *   An entry is applied as if to the merged tree of this layer and those below, though only this layer is written. Most
 *   parents are real directories here: one openat2() without symbolic links finds them. Otherwise walk() goes component by component: what
 *   this layer has wins; what it lacks is looked up below, topmost first, as overlay would (a whiteout, an opaque directory or
 *   anything that is no directory hides what is under it). A directory found below is made here with the same attributes; a link, here or
 *   below, is followed inside the root. So "lib/x" lands in "usr/lib" where a lower layer says lib → usr/lib.
 *   Nothing of a layer is ever reached by a path with links in it: links are read and resolved here, never by the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "image/layer_internal.h"
#include "image/whiteout.h"

#define BENEATH   (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define MAX_LINKS 40
#define MAX_DEPTH 1000 /* components of a name, "." and ".." included; nothing real comes near */

/* ---- names ---- */

static int bad_name(struct unpack *u, const char *raw, const char *why, struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "%s: '%.200s': %s", stream_what(u->s), raw, why);
}

static void pop(char *path)
{
        char *slash = strrchr(path, '/');

        if (slash)
                *slash = '\0';
        else
                path[0] = '\0';
}

/* path/name in place; false when it gets too long. */
static bool push(char path[PATH_MAX], const char *name, size_t len)
{
        size_t n = strlen(path);

        if (n + 1 + len + 1 > PATH_MAX)
                return false;
        if (n > 0)
                path[n++] = '/';
        memcpy(path + n, name, len);
        path[n + len] = '\0';
        return true;
}

int unpack_clean_name(struct unpack *u, const char *raw, char ret[PATH_MAX], struct err **reterr)
{
        unsigned depth = 0;

        ret[0] = '\0';
        for (const char *p = raw; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 2 && memcmp(p, "..", 2) == 0) {
                        if (!ret[0])
                                return bad_name(u, raw, "leads out of the layer", reterr);
                        pop(ret);
                } else if (len > NAME_MAX) {
                        return bad_name(u, raw, "a component is longer than 255 bytes", reterr);
                } else if (len > 0 && !(len == 1 && *p == '.') && !push(ret, p, len)) {
                        return bad_name(u, raw, "too long", reterr);
                } else if (++depth > MAX_DEPTH) {
                        return bad_name(u, raw, "nested too deeply", reterr);
                }
                p += len;
                p += *p == '/';
        }
        return 0;
}

/* ---- the layers below ---- */

enum found { FOUND, ABSENT, HIDDEN };

/* Does a directory on the way to @path, here, hide what layers below have there? From the root down, descriptor by descriptor. */
static bool hides(int root, const char *path)
{
        AUTO_CLOSE int fd = sys_openat2(root, ".", O_RDONLY | O_DIRECTORY, 0, BENEATH);
        char name[NAME_MAX + 1];

        while (fd >= 0) {
                size_t len = strcspn(path, "/");
                int next;

                if (whiteout_is_opaque(fd))
                        return true;
                if (!path[len]) /* the last component hides nothing of itself */
                        return false;
                memcpy(name, path, len);
                name[len] = '\0';
                next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0 && errno == ENOENT)
                        return false;
                (void)fd_close(fd);
                fd = next;
                path += len + 1;
        }
        return true; /* something on the way is no directory */
}

static enum found look_in(int root, const char *path, int *ret_fd, struct stat *ret_st)
{
        AUTO_CLOSE int fd = sys_openat2(root, path, O_PATH | O_NOFOLLOW, 0, BENEATH);

        if (fd < 0 || fstat(fd, ret_st) < 0)
                return hides(root, path) ? HIDDEN : ABSENT;
        if (whiteout_is(ret_st))
                return HIDDEN;
        *ret_fd = TAKE_FD(fd);
        return FOUND;
}

/* O_PATH descriptor of what the lower layers have at @path, which has no links on the way; -ENOENT. */
static int find_lower(struct unpack *u, const char *path, struct stat *ret_st)
{
        u->info.needs_lower =
            true; /* on another base the answer may differ, even when it is "nothing" */
        if (u->o->n_lowers == 0 || hides(u->fs_fd, path))
                return -ENOENT;
        for (size_t i = u->o->n_lowers; i-- > 0;) {
                int fd = -EBADF;

                switch (look_in(u->o->lower_fds[i], path, &fd, ret_st)) {
                case FOUND:
                        return fd;
                case HIDDEN:
                        return -ENOENT;
                case ABSENT:
                default:
                        break;
                }
        }
        return -ENOENT;
}

/* ---- walking ---- */

struct walk {
        struct unpack *u;
        bool create;
        char path[PATH_MAX]; /* resolved so far */
        int fd;              /* of it in this layer, O_PATH; -EBADF: only below */
        bool
            new_here; /* it was made just now and nothing is below: then nothing is below its children */
        char rest[PATH_MAX]; /* components to come */
        unsigned links;
};

static int walk_fail(struct walk *w, int errnum, struct err **reterr)
{
        return unpack_fail(w->u, errnum, "directory", reterr);
}

/* By path: after a step that was not down. */
static int walk_open(struct walk *w, struct err **reterr)
{
        w->new_here = false;
        (void)fd_close(w->fd);
        w->fd =
            sys_openat2(w->u->fs_fd, w->path[0] ? w->path : ".", O_PATH | O_DIRECTORY, 0, BENEATH);
        if (w->fd < 0 && (w->create || w->fd != -ENOENT))
                return walk_fail(w, -w->fd, reterr);
        return 0;
}

/* Down to a directory that is there. One step, so that a path of 2000 components is not resolved 2000 times. */
static int walk_down(struct walk *w, const char *name, struct err **reterr)
{
        int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return walk_fail(w, errno, reterr);
        (void)fd_close(w->fd);
        w->fd = fd;
        return push(w->path, name, strlen(name)) ? 0 : walk_fail(w, ENAMETOOLONG, reterr);
}

/* Puts a link's target in front of the rest. */
static int walk_link(struct walk *w, int dirfd, const char *name, struct err **reterr)
{
        char target[PATH_MAX], joined[PATH_MAX];
        ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
        int len;

        if (n < 0)
                return walk_fail(w, errno, reterr);
        target[n] = '\0';
        if (++w->links > MAX_LINKS)
                return walk_fail(w, ELOOP, reterr);
        len = snprintf(joined, sizeof(joined), "%s/%s", target, w->rest);
        if (len < 0 || (size_t)len >= sizeof(joined))
                return walk_fail(w, ENAMETOOLONG, reterr);
        memcpy(w->rest, joined, (size_t)len + 1);
        if (target[0] != '/')
                return 0;
        w->path[0] = '\0';
        return walk_open(w, reterr);
}

/* Makes w->path/@name in this layer: like @lower, or as nobody described it. */
static int walk_mkdir(struct walk *w, const char *name, const struct stat *lower, int lower_fd,
                      struct err **reterr)
{
        struct unpack *u = w->u;
        struct unpack_place p = {
            .dirfd = w->fd, .name = name, .fd = -EBADF, .type = S_IFDIR, .existing = true};
        struct unpack_attr a = {.mode = LAYER_IMPLIED_MODE, .mtime_ns = UTIME_OMIT};
        int r;

        if (lower)
                a = unpack_attr_of_lower(u, lower);
        if (mkdirat(w->fd, name, 0700) < 0)
                return walk_fail(w, errno, reterr);
        u->info.inodes++;
        r = unpack_set_attr(u, &p, &a, reterr);
        if (r == 0)
                r = walk_down(w, name, reterr);
        if (r == 0)
                r = unpack_record(u, w->path, &a, reterr);
        if (r == 0)
                r = unpack_later_times(u, w->path, &a, reterr);
        w->new_here = !lower;
        if (r == 0 && lower_fd >= 0) {
                r = unpack_copy_xattrs(u, lower_fd, w->fd);
                if (r < 0 && r != -ENOTSUP && r != -EPERM)
                        return walk_fail(w, -r, reterr);
                r = 0;
        }
        return r;
}

/* This layer deleted the name, and now has something below it: a directory of its own. */
static int walk_replace_whiteout(struct walk *w, const char *name, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        int r;

        if (unlinkat(w->fd, name, 0) < 0)
                return walk_fail(w, errno, reterr);
        r = walk_mkdir(w, name, NULL, -EBADF, reterr);
        if (r < 0)
                return r;
        fd = sys_openat2(w->u->fs_fd, w->path, O_RDONLY | O_DIRECTORY, 0, BENEATH);
        r = fd < 0 ? fd : whiteout_set_opaque(fd);
        return r < 0 ? unpack_fail(w->u, -r, "mark as opaque", reterr) : 0;
}

static int walk_lower(struct walk *w, const char *name, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        char path[PATH_MAX];
        struct stat st;

        memcpy(path, w->path, sizeof(path));
        if (!push(path, name, strlen(name)))
                return walk_fail(w, ENAMETOOLONG, reterr);
        fd = w->new_here ? -ENOENT : find_lower(w->u, path, &st);
        if (fd >= 0 && S_ISLNK(st.st_mode))
                return walk_link(w, fd, "", reterr);
        if (fd >= 0 && !S_ISDIR(st.st_mode))
                return walk_fail(w, ENOTDIR, reterr);
        if (w->create)
                return walk_mkdir(w, name, fd >= 0 ? &st : NULL, fd, reterr);
        if (fd < 0)
                return -ENOENT;
        memcpy(w->path, path, sizeof(path));
        w->fd = fd_close(w->fd);
        return 0;
}

static int walk_component(struct walk *w, const char *name, struct err **reterr)
{
        struct stat st;

        if (strcmp(name, "..") == 0) { /* of a link's target; above the root is the root */
                pop(w->path);
                return walk_open(w, reterr);
        }
        if (w->fd < 0 || fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (w->fd >= 0 && errno != ENOENT)
                        return walk_fail(w, errno, reterr);
                return walk_lower(w, name, reterr);
        }
        if (S_ISLNK(st.st_mode))
                return walk_link(w, w->fd, name, reterr);
        if (whiteout_is(&st))
                return w->create ? walk_replace_whiteout(w, name, reterr) : -ENOENT;
        if (!S_ISDIR(st.st_mode))
                return walk_fail(w, ENOTDIR, reterr);
        return walk_down(w, name, reterr);
}

/* Resolves @dir; w->path and w->fd hold the result. -ENOENT has no words when nothing is to be created. */
static int walk(struct walk *w, const char *dir, struct err **reterr)
{
        char name[NAME_MAX + 1];
        int r;

        memcpy(w->rest, dir, strlen(dir) + 1);
        w->path[0] = '\0';
        r = walk_open(w, reterr);
        while (r == 0) {
                size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

                if (len == 0)
                        break;
                if (len > NAME_MAX)
                        return walk_fail(w, ENAMETOOLONG, reterr);
                memcpy(name, w->rest + skip, len);
                name[len] = '\0';
                memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
                if (strcmp(name, ".") != 0)
                        r = walk_component(w, name, reterr);
        }
        return r;
}

/* ---- for entries ---- */

void unpack_forget_parent(struct unpack *u)
{
        u->have_parent = false;
        u->parent_fd = fd_close(u->parent_fd);
}

int unpack_open_parent(struct unpack *u, const char *dir, struct err **reterr)
{
        struct walk w = {.u = u, .create = true, .fd = -EBADF};
        struct stat st;
        int r;

        if (u->have_parent && strcmp(u->parent_name, dir) == 0)
                return 0;
        unpack_forget_parent(u);
        u->parent_setgid = false;
        u->parent_fd = sys_openat2(u->fs_fd, dir[0] ? dir : ".", O_PATH | O_DIRECTORY, 0, BENEATH);
        if (u->parent_fd >= 0) {
                memcpy(u->parent_path, dir, strlen(dir) + 1);
        } else {
                r = walk(&w, dir, reterr);
                if (r < 0) {
                        (void)fd_close(w.fd);
                        return r;
                }
                u->parent_fd = w.fd;
                memcpy(u->parent_path, w.path, sizeof(w.path));
        }
        if (fstat(u->parent_fd, &st) < 0)
                return unpack_fail(u, errno, "directory", reterr);
        u->parent_setgid = st.st_mode & S_ISGID;
        memcpy(u->parent_name, dir, strlen(dir) + 1);
        u->have_parent = true;
        return 0;
}

static int find_slowly(struct unpack *u, const char *name, char ret_path[PATH_MAX], bool *ret_lower,
                       struct err **reterr)
{
        struct walk w = {.u = u, .fd = -EBADF};
        char dir[PATH_MAX];
        struct stat st;
        int fd = -ENOENT, r;

        memcpy(dir, name, strlen(name) + 1);
        pop(dir);
        r = walk(&w, dir, reterr);
        if (r == 0 && !push(w.path, path_last(name), strlen(path_last(name))))
                r = walk_fail(&w, ENAMETOOLONG, reterr);
        if (r < 0) {
                (void)fd_close(w.fd);
                return r;
        }
        if (w.fd >= 0) {
                fd = openat(w.fd, path_last(name), O_PATH | O_NOFOLLOW | O_CLOEXEC);
                fd = fd < 0 ? -errno : fd;
                (void)fd_close(w.fd);
        }
        memcpy(ret_path, w.path, sizeof(w.path));
        *ret_lower = fd < 0;
        return fd < 0 ? find_lower(u, ret_path, &st) : fd;
}

int unpack_find(struct unpack *u, const char *name, char ret_path[PATH_MAX], bool *ret_lower,
                struct err **reterr)
{
        AUTO_CLOSE int fd = sys_openat2(u->fs_fd, name, O_PATH | O_NOFOLLOW, 0, BENEATH);
        struct stat st;

        *ret_lower = false;
        if (fd >= 0)
                memcpy(ret_path, name, strlen(name) + 1);
        else
                fd = find_slowly(u, name, ret_path, ret_lower, reterr);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0 || whiteout_is(&st))
                return -ENOENT;
        return TAKE_FD(fd);
}

/* The content that the recipe refers to must outlive its place: duplicates of a name are legal. The recipe's note also tells that the
 * owner recorded for the path is not that of the newcomer. */
static int keep(struct unpack *u, struct err **reterr)
{
        char name[24];

        if (u->n_kept >= RECIPE_MAX_KEPT)
                return bad_name(u, u->name, "too many entries replace earlier ones", reterr);
        if (u->kept_fd < 0) {
                u->kept_fd = path_mkdir_open(u->layer_fd, RECIPE_KEPT_DIR, 0755, reterr);
                if (u->kept_fd < 0)
                        return u->kept_fd;
        }
        (void)snprintf(name, sizeof(name), "%llu", (unsigned long long)u->n_kept);
        if (renameat(u->parent_fd, u->base, u->kept_fd, name) < 0)
                return unpack_fail(u, errno, "move aside", reterr);
        return recipe_put_kept(u->recipe, u->path, u->n_kept++, reterr);
}

int unpack_clear_place(struct unpack *u, bool dir, bool *ret_whiteout, struct err **reterr)
{
        struct stat st;

        *ret_whiteout = false;
        if (fstatat(u->parent_fd, u->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : unpack_fail(u, errno, "replace", reterr);
        if (S_ISDIR(st.st_mode) && dir)
                return 1;
        *ret_whiteout = whiteout_is(&st);
        if (!*ret_whiteout)
                return keep(u, reterr);
        if (unlinkat(u->parent_fd, u->base, 0) < 0)
                return unpack_fail(u, errno, "replace", reterr);
        return 0;
}
