/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * A path that a container or an archive can choose is handed to the kernel whole, with RESOLVE_IN_ROOT: absolute links,
 * ".." and races with somebody who moves directories are then the kernel's business. Nothing here looks at such a path
 * first and opens it afterwards. path_mkdir_in_root_raw() walks prefixes of the path, but each prefix is again resolved
 * by the kernel from the root, and a directory is made in the descriptor that the resolution returned.
 *
 * The *_raw functions run in the child between clone and exec as well: no allocation, no words, only raw system calls.
 */
#include "base/path.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat2 answers EAGAIN when a rename anywhere raced with a "..": a busy system may do that a few times in a row. */
#define PATH_MAX_TRIES 128
/* As many links as the kernel itself follows (MAXSYMLINKS). */
#define PATH_MAX_LINKS 40

int path_open_in_root_raw(int rootfd, const char *path, int flags, mode_t mode)
{
        bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
        int fd;

        for (int i = 0; i < PATH_MAX_TRIES; i++) {
                fd =
                    sys_openat2(rootfd, path, (uint64_t)(unsigned)flags, creates ? mode & 07777 : 0,
                                RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
                if (fd != -EAGAIN)
                        return fd;
        }
        return fd;
}

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err **reterr)
{
        int fd = path_open_in_root_raw(rootfd, path, flags, mode);

        if (fd < 0)
                return err_sys(reterr, -fd, "open '%s' inside the root", path);
        return fd;
}

/* ---- mkdir -p inside a root; raw system calls only ---- */

/* Puts a and b together with a slash. -ENAMETOOLONG when they do not fit. The three buffers do not overlap. */
static int path_concat(char buf[PATH_MAX], const char *a, size_t a_len, const char *b)
{
        size_t b_len = strlen(b);

        if (a_len + 1 + b_len >= PATH_MAX)
                return -ENAMETOOLONG;
        memcpy(buf, a, a_len);
        buf[a_len] = '/';
        memcpy(buf + a_len + 1, b, b_len + 1);
        return 0;
}

/*
 * The last component of path[0..end) exists in @parent but leads nowhere: a dangling link. What it points to has to be
 * made, as images with /var/run → /run and no /run expect. Rewrites @path to <target>/<rest>.
 */
static int path_substitute_link(int parent, char path[PATH_MAX], size_t start, size_t end)
{
        char target[PATH_MAX], name[NAME_MAX + 1], whole[PATH_MAX];
        ssize_t n;
        int r;

        if (end - start > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(name, path + start, end - start);
        name[end - start] = '\0';
        n = syscall(SYS_readlinkat, parent, name, target, sizeof(target) - 1);
        if (n < 0)
                return errno == EINVAL ? -ENOTDIR : -errno;
        target[n] = '\0';
        r = path_concat(whole, target, (size_t)n, path + end);
        if (r < 0)
                return r;
        if (target[0] == '/') {
                memcpy(path, whole, strlen(whole) + 1);
                return 0;
        }
        memcpy(target, path, start);
        return path_concat(path, target, start, whole);
}

/*
 * One pass from the root. 0 with *ret_fd when the whole path is there; 1 when a dangling link was put into @path and the
 * walk must begin again; else -errno.
 */
static int path_mkdir_walk(int rootfd, char path[PATH_MAX], mode_t mode, int *ret_fd)
{
        int parent = -EBADF, r = 0;
        size_t start = 0, end;

        parent = path_open_in_root_raw(rootfd, "/", O_PATH | O_DIRECTORY, 0);
        if (parent < 0)
                return parent;
        for (;; start = end) {
                char saved;
                int fd;

                while (path[start] == '/')
                        start++;
                if (path[start] == '\0')
                        break;
                for (end = start; path[end] != '\0' && path[end] != '/'; end++)
                        ;
                saved = path[end];
                path[end] = '\0';
                fd = path_open_in_root_raw(rootfd, path, O_PATH | O_DIRECTORY, 0);
                if (fd == -ENOENT) {
                        r = (int)syscall(SYS_mkdirat, parent, path + start, mode);
                        r = r < 0 ? -errno : 0;
                        if (r == 0 || r == -EEXIST)
                                fd = path_open_in_root_raw(rootfd, path, O_PATH | O_DIRECTORY, 0);
                        else
                                fd = r;
                }
                path[end] = saved;
                if (fd == -ENOENT && r == -EEXIST) {
                        r = path_substitute_link(parent, path, start, end);
                        (void)sys_close(parent);
                        return r < 0 ? r : 1;
                }
                (void)sys_close(parent);
                if (fd < 0)
                        return fd;
                parent = fd;
        }
        *ret_fd = parent;
        return 0;
}

int path_mkdir_in_root_raw(int rootfd, const char *path, mode_t mode)
{
        char buf[PATH_MAX];
        size_t len = strlen(path);
        int fd = -EBADF, r;

        if (len >= sizeof(buf))
                return -ENAMETOOLONG;
        memcpy(buf, path, len + 1);
        for (int i = 0; i < PATH_MAX_LINKS; i++) {
                r = path_mkdir_walk(rootfd, buf, mode, &fd);
                if (r <= 0)
                        return r < 0 ? r : fd;
        }
        return -ELOOP;
}

/* ---- lexical ---- */

/* Takes the last component off; whether there was one that ".." may take. */
static bool path_pop(struct strbuf *b, bool absolute)
{
        size_t base = absolute ? 1 : 0, at = b->len;

        while (at > base && b->data[at - 1] != '/')
                at--;
        if (b->len == base || strcmp(b->data + at, "..") == 0)
                return false;
        b->len = at > base ? at - 1 : at;
        b->data[b->len] = '\0';
        return true;
}

char *path_clean(const char *path)
{
        bool absolute = path[0] == '/';
        AUTO_STRBUF b = {0};

        strbuf_add(&b, absolute ? "/" : "");
        while (*path) {
                size_t n = strcspn(path, "/");
                bool dot = n == 1 && path[0] == '.';
                bool dotdot = n == 2 && path[0] == '.' && path[1] == '.';

                if (n > 0 && !dot && !(dotdot && (path_pop(&b, absolute) || absolute))) {
                        if (b.len > (absolute ? 1U : 0U))
                                strbuf_add(&b, "/");
                        strbuf_add_len(&b, path, n);
                }
                path += n;
                path += strspn(path, "/");
        }
        if (b.len == 0)
                strbuf_add(&b, ".");
        return strbuf_take(&b);
}

char *path_join(const char *a, const char *b)
{
        size_t n = strlen(a);

        if (b[0] == '/' || n == 0)
                return xstrdup(b);
        while (n > 0 && a[n - 1] == '/')
                n--;
        return xasprintf("%.*s/%s", (int)n, a, b);
}

char *path_make_absolute(const char *path, struct err **reterr)
{
        AUTO_FREE char *cwd = NULL, *joined = NULL;

        if (path[0] == '/')
                return path_clean(path);
        cwd = getcwd(NULL, 0);
        if (!cwd) {
                (void)err_sys(reterr, errno, "find the current directory");
                return NULL;
        }
        joined = path_join(cwd, path);
        return path_clean(joined);
}

const char *path_last(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

bool path_is_clean_name(const char *name)
{
        return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
               strcmp(name, "..") != 0;
}

/* ---- our own directories ---- */

static int path_mkdir_all(int dirfd, const char *path, mode_t mode)
{
        AUTO_FREE char *copy = xstrdup(path);

        for (char *p = copy + strspn(copy, "/"); *p;) {
                char saved;

                p += strcspn(p, "/");
                saved = *p;
                *p = '\0';
                if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
                        return -errno;
                *p = saved;
                p += strspn(p, "/");
        }
        return 0;
}

int path_mkdir_open(int dirfd, const char *path, mode_t mode, struct err **reterr)
{
        int fd, r;

        /* Nearly always it is there already: one system call then. */
        fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
                return fd;
        if (errno != ENOENT)
                return err_sys(reterr, errno, "open directory '%s'", path);
        r = path_mkdir_all(dirfd, path, mode);
        if (r < 0)
                return err_sys(reterr, -r, "make directory '%s'", path);
        fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_sys(reterr, errno, "open directory '%s'", path);
        return fd;
}
