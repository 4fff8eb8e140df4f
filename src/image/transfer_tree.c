/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   A level for each directory on the way, with descriptors of both sides and the names that the source had when it was opened: no C stack
 *   grows with the depth, which the container chooses. A directory gets owner, mode and times when it is complete, so that a closed
 *   one can be filled.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "image/kernel_fs.h"
#include "image/tool.h"
#include "image/transfer_internal.h"
#include "image/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct level {
        int from, to;
        struct view_names names;
        size_t pos;
        bool made; /* by us: it gets the source's attributes */
        struct stat st;
        size_t path_len; /* of the directory, in the path of the walk */
};
struct walk {
        struct transfer *x;
        struct level *levels;
        size_t n, cap;
        struct strbuf path;
};

static void level_release(struct level *l)
{
        l->from = fd_close(l->from);
        l->to = fd_close(l->to);
        view_names_release(&l->names);
}

static void walk_release(struct walk *w)
{
        while (w->n > 0)
                level_release(&w->levels[--w->n]);
        free(w->levels);
        strbuf_release(&w->path);
}

static void set_path(struct walk *w, size_t len, const char *name)
{
        w->path.len = len;
        strbuf_addf(&w->path, "%s%s", len > 0 && w->path.data[len - 1] == '/' ? "" : "/", name);
}

/* Takes the descriptors. The names go last: what is made meanwhile below the directory is not copied again and again. */
static int push_take(struct walk *w, int from, int to, const struct stat *st, bool made,
                     struct err **reterr)
{
        struct level *l;
        int r;

        if (w->n == w->cap) {
                w->cap = MAX(w->cap * 2, (size_t)16);
                w->levels = xrealloc(w->levels, w->cap, sizeof(*w->levels));
        }
        l = &w->levels[w->n++];
        *l = (struct level){
            .from = from, .to = to, .made = made, .st = *st, .path_len = w->path.len};
        r = view_names_add(&l->names, from, 0);
        if (r < 0)
                return err_sys(reterr, -r, "'%s': read the directory", w->path.data);
        view_names_sort(&l->names);
        return 0;
}

/* Once it is open: is it still the one that was made, not a directory of the caller's that the container has put in its place, to be given to
 * it? Whose directory an empty one was makes no difference. */
static int check_made(const struct transfer_item *i, int fd, struct err **reterr)
{
        struct view_names names = {0};
        int r = view_names_add(&names, fd, 0);
        bool empty = names.n == 0;

        view_names_release(&names);
        if (r >= 0 && empty)
                return 0;
        return transfer_fail(i, r < 0 ? -r : ESTALE, "open the directory that was made", reterr);
}

static int make_dir(struct transfer *x, const struct transfer_item *i, bool *ret_made,
                    struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;
        int r = transfer_make_room(x, i, reterr);

        if (r < 0)
                return r;
        if (mkdirat(i->to, i->to_name, 0700) == 0)
                *ret_made = true;
        else if (errno != EEXIST)
                return transfer_fail(i, errno, "make the directory", reterr);
        fd = openat(i->to, i->to_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return transfer_fail(i, errno, "open the directory that is copied to", reterr);
        r = *ret_made ? check_made(i, fd, reterr) : 0;
        return r < 0 ? r : TAKE_FD(fd);
}

static int enter(struct walk *w, const struct transfer_item *i, struct err **reterr)
{
        AUTO_CLOSE int to = -EBADF;
        AUTO_CLOSE int from =
            openat(i->from, i->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct transfer_item now = *i;
        bool made = false;

        if (from < 0 || fstat(from, &now.st) < 0)
                return transfer_fail(i, errno, "open the directory", reterr);
        if (now.st.st_dev == w->x->into_dev && now.st.st_ino == w->x->into_ino)
                return err_new(reterr, ERR_USAGE, "'%s': a directory cannot be copied into itself",
                               i->path);
        to = make_dir(w->x, &now, &made, reterr);
        if (to < 0)
                return to;
        if (w->n > 0 && kernel_fs_is(from) && !kernel_fs_is(w->levels[w->n - 1].from)) {
                transfer_leave(w->x, TRANSFER_KERNEL, i->path);
                return made ? transfer_attributes(w->x, &now, -EBADF, to, reterr) : 0;
        }
        return push_take(w, TAKE_FD(from), TAKE_FD(to), &now.st, made, reterr);
}

static int one(struct walk *w, struct transfer_item *i, bool top, struct err **reterr)
{
        if (tool_interrupted(w->x->t))
                return tool_interrupted_error(reterr);
        if (fstatat(i->from, i->name, &i->st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT && !top) /* gone since its directory was read */
                        return 0;
                return transfer_fail(i, errno, "look at it", reterr);
        }
        if (S_ISDIR(i->st.st_mode))
                return enter(w, i, reterr);
        return transfer_item(w->x, i, reterr);
}

static int leave(struct walk *w, struct err **reterr)
{
        struct level *l = &w->levels[w->n - 1];
        struct transfer_item i = {.st = l->st};
        int r = 0;

        w->path.len = l->path_len;
        w->path.data[l->path_len] = '\0';
        i.path = w->path.data;
        if (l->made)
                r = transfer_attributes(w->x, &i, l->from, l->to, reterr);
        level_release(l);
        w->n--;
        return r;
}

static int run(struct walk *w, struct err **reterr)
{
        int r = 0;

        while (r >= 0 && w->n > 0) {
                struct level *l = &w->levels[w->n - 1];
                struct transfer_item i = {.from = l->from, .to = l->to};

                if (l->pos == l->names.n) {
                        r = leave(w, reterr);
                        continue;
                }
                i.name = i.to_name = l->names.arena + l->names.v[l->pos++].at;
                set_path(w, l->path_len, i.name);
                i.path = w->path.data;
                r = one(w, &i, false, reterr);
        }
        return r;
}

int transfer_one(struct transfer *x, int from_dir, const char *name, int to_dir,
                 const char *to_name, const char *what, struct err **reterr)
{
        AUTO(walk_release) struct walk w = {.x = x};
        struct transfer_item i = {.from = from_dir, .to = to_dir, .name = name, .to_name = to_name};
        int r;

        strbuf_add(&w.path, what);
        i.path = what;
        r = one(&w, &i, true, reterr);
        return r < 0 ? r : run(&w, reterr);
}

int transfer_contents(struct transfer *x, int from_dir, int to_dir, const char *what,
                      struct err **reterr)
{
        AUTO(walk_release) struct walk w = {.x = x};
        int from = openat(from_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int to = openat(to_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        int r;

        strbuf_add(&w.path, what);
        if (from < 0 || to < 0 || fstat(from, &st) < 0) {
                r = err_sys(reterr, errno, "'%s': open the directory", what);
                (void)fd_close(from);
                (void)fd_close(to);
                return r;
        }
        r = push_take(&w, from, to, &st, false, reterr);
        return r < 0 ? r : run(&w, reterr);
}

void transfer_warnings(const struct transfer *x)
{
        static const char *const what[TRANSFER_LEFT_COUNT] = {
            [TRANSFER_SOCKET] = "left out sockets",
            [TRANSFER_DEVICE] = "left out device nodes",
            [TRANSFER_OWNER] = "could not set the owner of files",
            [TRANSFER_KERNEL] = "left out what is in the kernel's file systems",
        };

        for (size_t i = 0; i < TRANSFER_LEFT_COUNT; i++) {
                AUTO_FREE char *text = NULL;

                if (x->left[i] == 0)
                        continue;
                text = xasprintf("%s (%llu), the first is '%s'", what[i],
                                 (unsigned long long)x->left[i], x->first[i]);
                tool_warn(x->t, text);
        }
}
