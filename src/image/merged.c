/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   The place where the walk stands is a stack of levels, the root at the bottom; a level holds one descriptor per layer (-EBADF: this layer has no
 *   part in it). A name is looked for from the topmost layer down: the first that has it decides what it is, and a directory goes on
 *   with those below until something hides them. Links put their text in front of what is left of the path.
 */
#include "image/merged.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS  40
#define MAX_LEVELS 256

struct level {
        int *fds; /* lowest first */
};
struct walk {
        size_t n; /* layers */
        struct level *levels;
        size_t depth;
        struct strv todo; /* components, the next one last */
        int links;
};

static void level_release(struct walk *w, struct level *l)
{
        for (size_t i = 0; l->fds && i < w->n; i++)
                (void)fd_close(l->fds[i]);
        free(l->fds);
        l->fds = NULL;
}

static void pop_to(struct walk *w, size_t depth)
{
        while (w->depth > depth)
                level_release(w, &w->levels[--w->depth]);
}

static void push(struct walk *w, struct level l)
{
        w->levels = xrealloc(w->levels, w->depth + 1, sizeof(*w->levels));
        w->levels[w->depth++] = l;
}

/* The last component ends up first: it is taken from the end. */
static void add_path(struct walk *w, const char *path)
{
        AUTO_STRV parts = {0};

        strv_split(&parts, path, '/');
        while (parts.n > 0) {
                AUTO_FREE char *part = parts.v[--parts.n];

                parts.v[parts.n] = NULL;
                if (*part && strcmp(part, ".") != 0)
                        strv_add(&w->todo, part);
        }
}

static int follow(struct walk *w, int dir, const char *name)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

        if (n < 0)
                return -errno;
        if (++w->links > MAX_LINKS)
                return -ELOOP;
        target[n] = '\0';
        if (target[0] == '/')
                pop_to(w, 1);
        add_path(w, target);
        return 0;
}

/* What layer @fd has at @name. 1: a directory, in *ret; 0: nothing; 2: something that hides what is below, with its mode in *ret_mode. */
static int look(int fd, const char *name, int *ret, mode_t *ret_mode)
{
        struct stat st;

        if (fd < 0)
                return 0;
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        *ret_mode = st.st_mode;
        if (!S_ISDIR(st.st_mode))
                return 2;
        *ret = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return *ret < 0 ? -errno : 1;
}

static int enter(struct walk *w, const char *name)
{
        const struct level *at = &w->levels[w->depth - 1];
        struct level l = {.fds = xcalloc(w->n + 1, sizeof(int))};
        bool found = false, hidden = false;
        int r = 0;

        for (size_t i = 0; i < w->n; i++)
                l.fds[i] = -EBADF;
        for (size_t i = w->n; i > 0 && r >= 0 && !hidden; i--) {
                mode_t mode = 0;

                r = look(at->fds[i - 1], name, &l.fds[i - 1], &mode);
                if (r == 1)
                        hidden = whiteout_is_opaque(l.fds[i - 1]);
                else if (r == 2 && !found && S_ISLNK(mode))
                        r = follow(w, at->fds[i - 1], name), found = hidden = true,
                        r = r < 0 ? r : 3;
                else if (r == 2)
                        hidden = true, r = found ? 0 : S_ISCHR(mode) ? -ENOENT : -ENOTDIR;
                found = found || r == 1;
                if (r == 3)
                        break;
        }
        if (r >= 0 && r != 3 && !found)
                r = -ENOENT;
        if (r < 0 || r == 3) {
                level_release(w, &l);
                return r < 0 ? r : 0;
        }
        push(w, l);
        return 0;
}

static int start(struct walk *w, const int *layers)
{
        struct level l = {.fds = xcalloc(w->n + 1, sizeof(int))};
        int r = 0;

        for (size_t i = 0; i < w->n; i++) {
                l.fds[i] = fcntl(layers[i], F_DUPFD_CLOEXEC, 3);
                if (l.fds[i] < 0) {
                        r = -errno;
                        l.fds[i] = -EBADF;
                }
        }
        push(w, l);
        return r;
}

int merged_lookup(const int *layers, size_t n, const char *path, int *ret_fds, size_t *ret_n)
{
        struct walk w = {.n = n};
        int r = start(&w, layers);

        *ret_n = 0;
        add_path(&w, path);
        while (r >= 0 && w.todo.n > 0) {
                AUTO_FREE char *name = w.todo.v[--w.todo.n];

                w.todo.v[w.todo.n] = NULL;
                if (strcmp(name, "..") == 0)
                        pop_to(&w, w.depth > 1 ? w.depth - 1 : 1);
                else if (w.depth >= MAX_LEVELS)
                        r = -ENAMETOOLONG;
                else
                        r = enter(&w, name);
        }
        for (size_t i = 0; r >= 0 && i < n; i++) {
                int *fd = &w.levels[w.depth - 1].fds[i];

                if (*fd >= 0) {
                        ret_fds[(*ret_n)++] = *fd;
                        *fd = -EBADF;
                }
        }
        pop_to(&w, 0);
        free(w.levels);
        strv_release(&w.todo);
        return r < 0 ? r : 0;
}
