/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   Directories wait on a stack as paths, so depth costs no descriptors. A directory's subdirectories are made while it is read, thus its
 *   times can be set as soon as it was read: nothing changes it later. Files with several names are remembered by inode.
 */
#include "image/layer_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "image/layer_internal.h"
#include "image/whiteout.h"

#define BENEATH (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

struct link {
        ino_t inode;
        char *path;
};
struct copy {
        int from_root, to_root;
        bool merge;
        const struct layer_reuse *reuse; /* NULL: none */
        bool no_clones;                  /* the file system was asked, and cannot */
        struct strv todo;
        struct link *links; /* open addressing; cap is a power of two */
        size_t n_links, cap_links;

        const char *dir; /* being read */
        int from, to;
        const char *name; /* of the entry */
};

static int copy_fail(struct copy *c, int errnum, const char *doing, struct err **reterr)
{
        return err_sys(reterr, errnum, "copy the layer's '%s%s%s': %s", c->dir,
                       c->dir[0] ? "/" : "", c->name, doing);
}

/* ---- hard links ---- */

static struct link *link_slot(struct link *v, size_t cap, ino_t inode)
{
        size_t i = (size_t)(inode * 0x9e3779b97f4a7c15ull >> 20) & (cap - 1);

        while (v[i].path && v[i].inode != inode)
                i = (i + 1) & (cap - 1);
        return &v[i];
}

static void links_grow(struct copy *c)
{
        size_t cap = c->cap_links ? c->cap_links * 2 : 64;
        struct link *v = xcalloc(cap, sizeof(*v));

        for (size_t i = 0; i < c->cap_links; i++)
                if (c->links[i].path)
                        *link_slot(v, cap, c->links[i].inode) = c->links[i];
        free(c->links);
        c->links = v;
        c->cap_links = cap;
}

static void links_release(struct copy *c)
{
        for (size_t i = 0; i < c->cap_links; i++)
                free(c->links[i].path);
        free(c->links);
}

/* 1: linked to an earlier name; 0: this is the first name. */
static int link_earlier(struct copy *c, const struct stat *st, struct err **reterr)
{
        AUTO_FREE char *dir = NULL;
        AUTO_CLOSE int fd = -EBADF;
        struct link *l;
        const char *base;

        if (2 * c->n_links >= c->cap_links)
                links_grow(c);
        l = link_slot(c->links, c->cap_links, st->st_ino);
        if (!l->path) {
                *l = (struct link){st->st_ino,
                                   c->dir[0] ? path_join(c->dir, c->name) : xstrdup(c->name)};
                c->n_links++;
                return 0;
        }
        base = path_last(l->path);
        dir = xstrndup(l->path, (size_t)(base - l->path));
        fd = sys_openat2(c->to_root, dir[0] ? dir : ".", O_PATH | O_DIRECTORY, 0, BENEATH);
        if (fd < 0 || linkat(fd, base, c->to, c->name, 0) < 0)
                return copy_fail(c, fd < 0 ? -fd : errno, "hard link", reterr);
        return 1;
}

/* ---- entries ---- */

static int set_attr(struct copy *c, int from, int to, const struct stat *st, struct err **reterr)
{
        struct timespec ts[2] = {st->st_mtim, st->st_mtim};
        int r;

        if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
                return copy_fail(c, errno, "owner and mode", reterr);
        r = layer_copy_xattrs(from, to, !c->merge);
        if (r < 0)
                return copy_fail(c, -r, "extended attributes", reterr);
        return futimens(to, ts) < 0 ? copy_fail(c, errno, "times", reterr) : 0;
}

static int make_file(struct copy *c, struct err **reterr)
{
        int to = openat(c->to, c->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        return to < 0 ? copy_fail(c, errno, "make a file", reterr) : to;
}

/* 1: *to shares the content of @from. The first refusal holds for all. */
static int clone_file(struct copy *c, int from, int to)
{
        if (!c->no_clones && ioctl(to, FICLONE, from) == 0)
                return 1;
        c->no_clones = true;
        return 0;
}

/* Nothing new is made when an inode that is there already can have the name. */
static int reuse_file(struct copy *c, const struct stat *st)
{
        return c->reuse && c->no_clones ? c->reuse->link(c->reuse->arg, c->dir, c->name, st, c->to)
                                        : 0;
}

static int copy_content(struct copy *c, int from, int to, const struct stat *st,
                        struct err **reterr)
{
        int r = io_copy(from, to, (uint64_t)st->st_size, reterr);

        if (r < 0)
                return err_wrap(reterr, r, "copy the layer's '%s'", c->name);
        if (ftruncate(to, st->st_size) < 0) /* a hole at the end */
                return copy_fail(c, errno, "set the size", reterr);
        return 0;
}

static int copy_file(struct copy *c, const struct stat *st, struct err **reterr)
{
        AUTO_CLOSE int from = -EBADF, to = -EBADF;
        int r = st->st_nlink > 1 ? link_earlier(c, st, reterr) : 0;

        if (r == 0)
                r = reuse_file(c, st);
        if (r != 0)
                return r < 0 ? r : 0;
        from = openat(c->from, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (from < 0)
                return copy_fail(c, errno, "open", reterr);
        to = make_file(c, reterr);
        if (to >= 0 && st->st_size > 0 && !clone_file(c, from, to)) {
                /* It may be known only now that nothing can be cloned. */
                if (c->reuse && unlinkat(c->to, c->name, 0) == 0) {
                        if (reuse_file(c, st) > 0)
                                return 0;
                        (void)fd_close(to);
                        to = make_file(c, reterr);
                }
                r = to < 0 ? to : copy_content(c, from, to, st, reterr);
        }
        return to < 0 ? to : r < 0 ? r : set_attr(c, from, to, st, reterr);
}

static int copy_special(struct copy *c, const struct stat *st, struct err **reterr)
{
        struct timespec ts[2] = {st->st_mtim, st->st_mtim};
        char target[PATH_MAX];

        if (S_ISLNK(st->st_mode)) {
                ssize_t n = readlinkat(c->from, c->name, target, sizeof(target) - 1);

                if (n < 0)
                        return copy_fail(c, errno, "read the link", reterr);
                target[n] = '\0';
                if (symlinkat(target, c->to, c->name) < 0)
                        return copy_fail(c, errno, "make a symbolic link", reterr);
        } else if (mkfifoat(c->to, c->name, st->st_mode & 0777) < 0) {
                return copy_fail(c, errno, "make a fifo", reterr);
        }
        if (fchownat(c->to, c->name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            (!S_ISLNK(st->st_mode) && fchmodat(c->to, c->name, st->st_mode & 07777, 0) < 0) ||
            utimensat(c->to, c->name, ts, AT_SYMLINK_NOFOLLOW) < 0)
                return copy_fail(c, errno, "owner and times", reterr);
        return 0;
}

/* What the lower layers left at the name goes, unless both are directories and the upper one is not opaque. */
static int make_room(struct copy *c, const struct stat *st, struct err **reterr)
{
        struct stat there;

        if (!c->merge || fstatat(c->to, c->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (S_ISDIR(st->st_mode) && S_ISDIR(there.st_mode)) {
                AUTO_CLOSE int fd =
                    openat(c->from, c->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                if (fd < 0)
                        return copy_fail(c, errno, "open", reterr);
                if (!whiteout_is_opaque(fd))
                        return 0;
        }
        return path_remove_tree(c->to, c->name, reterr);
}

static int copy_dir(struct copy *c, struct err **reterr)
{
        if (mkdirat(c->to, c->name, 0700) < 0 && (errno != EEXIST || !c->merge))
                return copy_fail(c, errno, "make a directory", reterr);
        if (c->dir[0])
                strv_addf(&c->todo, "%s/%s", c->dir, c->name);
        else
                strv_add(&c->todo, c->name);
        return 0;
}

static int copy_entry(struct copy *c, struct err **reterr)
{
        struct stat st;
        int r;

        if (fstatat(c->from, c->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return copy_fail(c, errno, "look at it", reterr);
        r = make_room(c, &st, reterr);
        if (r < 0)
                return r;
        if (whiteout_is(&st)) {
                r = c->merge ? 0 : whiteout_make(c->to, c->name);
                return r < 0 ? copy_fail(c, -r, "make a whiteout", reterr) : 0;
        }
        if (S_ISDIR(st.st_mode))
                return copy_dir(c, reterr);
        if (S_ISREG(st.st_mode))
                return copy_file(c, &st, reterr);
        if (S_ISLNK(st.st_mode) || S_ISFIFO(st.st_mode))
                return copy_special(c, &st, reterr);
        return 0; /* layers hold nothing else */
}

static DIR *closedir_and_null(DIR *d)
{
        if (d)
                (void)closedir(d);
        return NULL;
}
DEFINE_CLEANUP(DIR *, closedir_and_null);

static int copy_entries(struct copy *c, struct err **reterr)
{
        AUTO(closedir_and_nullp) DIR *d = NULL;
        int fd = openat(c->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                int r = copy_fail(c, errno, "read the directory", reterr);

                (void)fd_close(fd);
                return r;
        }
        for (;;) {
                struct dirent *e;
                int r;

                errno = 0;
                c->name = "";
                e = readdir(d);
                if (!e)
                        return errno ? copy_fail(c, errno, "read the directory", reterr) : 0;
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                c->name = e->d_name;
                r = copy_entry(c, reterr);
                if (r < 0)
                        return r;
        }
}

static int copy_one_dir(struct copy *c, const char *dir, struct err **reterr)
{
        AUTO_CLOSE int from = -EBADF, to = -EBADF;
        struct stat st;
        int r;

        c->dir = dir;
        c->name = "";
        from = sys_openat2(c->from_root, dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY, 0, BENEATH);
        to = sys_openat2(c->to_root, dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY, 0, BENEATH);
        if (from < 0 || to < 0)
                return copy_fail(c, from < 0 ? -from : -to, "open", reterr);
        if (fstat(from, &st) < 0)
                return copy_fail(c, errno, "look at it", reterr);
        c->from = from;
        c->to = to;
        r = copy_entries(c, reterr);
        return r < 0 ? r : set_attr(c, from, to, &st, reterr);
}

static int copy_tree(struct copy *c, struct err **reterr)
{
        mode_t mask = umask(0);
        int r = 0;

        strv_add(&c->todo, "");
        while (r == 0 && c->todo.n > 0) {
                AUTO_FREE char *dir = c->todo.v[--c->todo.n];

                c->todo.v[c->todo.n] = NULL;
                r = copy_one_dir(c, dir, reterr);
        }
        (void)umask(mask);
        links_release(c);
        strv_release(&c->todo);
        return r;
}

int layer_copy_tree(int from_fd, int to_fd, bool merge, struct err **reterr)
{
        struct copy c = {.from_root = from_fd, .to_root = to_fd, .merge = merge};

        return copy_tree(&c, reterr);
}

int layer_copy_reusing(int from_fd, int to_fd, const struct layer_reuse *reuse, struct err **reterr)
{
        struct copy c = {.from_root = from_fd, .to_root = to_fd, .reuse = reuse};

        return copy_tree(&c, reterr);
}

int layer_copy_stack(const int *fs_fds, size_t n, int target_fd, struct err **reterr)
{
        for (size_t i = 0; i < n; i++) {
                int r = layer_copy_tree(fs_fds[i], target_fd, true, reterr);

                if (r < 0)
                        return r;
        }
        return 0;
}
