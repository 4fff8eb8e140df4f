/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dirs.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* The specification: a relative path in an XDG variable is to be ignored. */
static const char *dirs_env(const char *name)
{
        const char *value = getenv(name);

        return value && value[0] == '/' ? value : NULL;
}

/* $XDG_x/kelp, or $HOME/<fallback>/kelp; NULL when neither is set. */
static char *dirs_xdg(const char *variable, const char *fallback)
{
        const char *xdg = dirs_env(variable), *home = dirs_env("HOME");

        if (xdg)
                return xasprintf("%s/kelp", xdg);
        return home ? xasprintf("%s/%s/kelp", home, fallback) : NULL;
}

static int dirs_find_root(const char *option, char **ret, struct err **reterr)
{
        const char *env = getenv("KELP_ROOT");

        if (option || !str_empty(env)) {
                if (option && !*option)
                        return err_new(reterr, ERR_USAGE, "--root: empty path");
                *ret = path_make_absolute(option ? option : env, reterr);
                return *ret ? 0 : -ENOENT;
        }
        *ret = dirs_xdg("XDG_DATA_HOME", ".local/share");
        if (!*ret)
                return err_hint(reterr,
                                err_new(reterr, ERR_UNSUPPORTED,
                                        "no place for images and containers: HOME is not set"),
                                "set HOME, XDG_DATA_HOME or KELP_ROOT, or use --root");
        return 0;
}

/* Ours alone? Somebody else's directory could show us somebody else's sockets, or take ours away. */
static int dirs_open_private(const char *path)
{
        AUTO_CLOSE int fd = -EBADF;
        struct stat st;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid() || (st.st_mode & 022))
                return -EPERM;
        return TAKE_FD(fd);
}

/* Made in /tmp, where others may be first: then it is an error, never a place that we use. */
static int dirs_runtime_fallback(char **ret, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf("/tmp/kelp-%u", (unsigned)geteuid());
        struct stat st;
        int fd;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return err_sys(reterr, errno, "make directory '%s'", path);
        fd = dirs_open_private(path);
        if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 077)) {
                (void)fd_close(fd);
                return err_hint(reterr,
                                err_new(reterr, ERR_DENIED,
                                        "'%s' is not a private directory of this user", path),
                                "set XDG_RUNTIME_DIR to a directory that belongs to you alone");
        }
        *ret = TAKE_PTR(path);
        return fd;
}

/* The directory that holds the runtime directories of all our roots. Returns its descriptor. */
static int dirs_runtime_base(char **ret, struct err **reterr)
{
        const char *xdg = dirs_env("XDG_RUNTIME_DIR");
        AUTO_CLOSE int fd = -EBADF;
        int r;

        fd = xdg ? dirs_open_private(xdg) : -ENOENT;
        if (fd < 0)
                return dirs_runtime_fallback(ret, reterr);
        r = path_mkdir_open(fd, "kelp", 0700, reterr);
        if (r >= 0)
                *ret = path_join(xdg, "kelp");
        return r;
}

/* 16 digits of FNV-1a: keeps roots apart, and socket paths below their limit of 108 bytes. */
static void dirs_hash(const char *s, char ret[17])
{
        static const char hex[] = "0123456789abcdef";
        uint64_t h = 0xcbf29ce484222325ULL;

        for (; *s; s++)
                h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
        for (int i = 0; i < 16; i++, h <<= 4)
                ret[i] = hex[h >> 60];
        ret[16] = '\0';
}

/* One per root, by the root's true path: two spellings of it, through a link say, must meet in one place. */
static int dirs_open_runtime(struct dirs *d, struct err **reterr)
{
        AUTO_CLOSE int base_fd = -EBADF;
        AUTO_FREE char *base = NULL;
        char link[FD_PATH_MAX], path[PATH_MAX], hash[17];
        ssize_t n;

        n = readlink(fd_path(d->root_fd, link), path, sizeof(path) - 1);
        if (n < 0)
                return err_sys(reterr, errno, "find the true path of '%s'", d->root);
        path[n] = '\0';
        dirs_hash(path, hash);
        base_fd = dirs_runtime_base(&base, reterr);
        if (base_fd < 0)
                return base_fd;
        d->runtime_fd = path_mkdir_open(base_fd, hash, 0700, reterr);
        if (d->runtime_fd < 0)
                return d->runtime_fd;
        d->runtime = path_join(base, hash);
        return 0;
}

int dirs_open(const char *root_option, struct dirs **ret, struct err **reterr)
{
        AUTO(dirs_freep) struct dirs *d = xnew(struct dirs);
        int r;

        d->root_fd = d->runtime_fd = -EBADF;
        r = dirs_find_root(root_option, &d->root, reterr);
        if (r < 0)
                return r;
        d->root_fd = path_mkdir_open(AT_FDCWD, d->root, 0700, reterr);
        if (d->root_fd == -EACCES || d->root_fd == -EPERM || d->root_fd == -EROFS)
                return err_hint(
                    reterr, d->root_fd,
                    "images and containers need a place of your own: is HOME right "
                    "(su and sudo may keep another's)? or set KELP_ROOT, or use --root");
        if (d->root_fd < 0)
                return d->root_fd;
        r = dirs_open_runtime(d, reterr);
        if (r < 0)
                return r;
        d->cache = dirs_xdg("XDG_CACHE_HOME", ".cache");
        if (!d->cache)
                d->cache = path_join(d->root, "cache");
        *ret = TAKE_PTR(d);
        return 0;
}

int dirs_open_existing(const char *root_option, struct dirs **ret)
{
        AUTO(dirs_freep) struct dirs *d = xnew(struct dirs);
        int r;

        d->root_fd = d->runtime_fd = -EBADF;
        r = dirs_find_root(root_option, &d->root, NULL);
        if (r < 0)
                return r;
        d->root_fd = open(d->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->root_fd < 0)
                return -errno;
        *ret = TAKE_PTR(d);
        return 0;
}

int dirs_sub(const struct dirs *d, const char *name, struct err **reterr)
{
        return path_mkdir_open(d->root_fd, name, 0700, reterr);
}

int dirs_cache_fd(const struct dirs *d, struct err **reterr)
{
        return path_mkdir_open(AT_FDCWD, d->cache, 0700, reterr);
}

struct dirs *dirs_free(struct dirs *d)
{
        if (!d)
                return NULL;
        (void)fd_close(d->root_fd);
        (void)fd_close(d->runtime_fd);
        free(d->root);
        free(d->runtime);
        free(d->cache);
        free(d);
        return NULL;
}
