/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line_files — the files of one log as a sequence.
 *
 * A writer renames N → N+1 from the oldest to the newest, then makes a new current file. Whoever opens them from the newest to the
 * oldest meanwhile may meet a file twice (dropped: same inode) and for a moment a hole of one number (looked over), but misses none. When the
 * newest is not where it was any more, more than that may have happened, even their order be wrong: the walk begins again.
 */
#include "base/line_files.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK (64 * 1024)
#define WALKS_MAX  100

char *line_file_name(const char *base, unsigned n, char buf[LINE_FILE_NAME_MAX])
{
        if (n == 0)
                (void)snprintf(buf, LINE_FILE_NAME_MAX, "%s", base);
        else
                (void)snprintf(buf, LINE_FILE_NAME_MAX, "%s.%u", base, n);
        return buf;
}

struct line_file *line_file_new_take(int fd)
{
        struct line_file *f;
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)fd_close(fd);
                return NULL;
        }
        f = xnew(struct line_file);
        f->fd = fd;
        f->dev = st.st_dev;
        f->ino = st.st_ino;
        return f;
}

struct line_file *line_file_free(struct line_file *f)
{
        if (!f)
                return NULL;
        (void)fd_close(f->fd);
        free(f->buf);
        free(f);
        return NULL;
}

static struct line_file *file_at(int dirfd, const char *base, unsigned n)
{
        char name[LINE_FILE_NAME_MAX];
        int fd = openat(dirfd, line_file_name(base, n, name),
                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        return fd < 0 ? NULL : line_file_new_take(fd);
}

static bool is_at(int dirfd, const char *base, unsigned n, const struct line_file *f)
{
        char name[LINE_FILE_NAME_MAX];
        struct stat st;

        return fstatat(dirfd, line_file_name(base, n, name), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_dev == f->dev && st.st_ino == f->ino;
}

/* Makes room behind what is unread, and reads. 0 at the end of the file. */
static ssize_t file_fill(struct line_file *f)
{
        ssize_t n;

        if (f->pos > 0) {
                memmove(f->buf, f->buf + f->pos, f->len - f->pos);
                f->len -= f->pos;
                f->pos = 0;
        }
        if (f->len >= LINE_FILE_LINE_MAX) {
                f->skipping = true;
                f->len = 0;
        }
        if (f->cap - f->len < READ_CHUNK) {
                f->cap = f->len + READ_CHUNK;
                f->buf = xrealloc(f->buf, f->cap, 1);
        }
        do
                n = read(f->fd, f->buf + f->len, f->cap - f->len);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        f->len += (size_t)n;
        return n;
}

int line_file_next(struct line_file *f, const char **ret, size_t *ret_n)
{
        size_t searched = 0;

        for (;;) {
                const char *start = f->buf + f->pos;
                size_t have = f->len - f->pos;
                const char *nl =
                    have > searched ? memchr(start + searched, '\n', have - searched) : NULL;
                ssize_t n;

                if (nl) {
                        f->pos += (size_t)(nl - start) + 1;
                        searched = 0;
                        if (f->skipping) {
                                f->skipping = false;
                                continue;
                        }
                        *ret = start;
                        *ret_n = (size_t)(nl - start);
                        return 1;
                }
                searched = have;
                n = file_fill(f);
                if (n <= 0)
                        return (int)n;
                if (f->len - (size_t)n == 0)
                        searched = 0;
        }
}

static bool chain_has(const struct line_files *c, const struct line_file *f)
{
        for (size_t i = 0; i < c->n; i++) {
                if (c->v[i]->ino == f->ino && c->v[i]->dev == f->dev)
                        return true;
        }
        return false;
}

/* From the newest to the oldest. False: files were renamed meanwhile. */
static bool walk(int dirfd, const char *base, struct line_files *ret)
{
        unsigned missing = 0, newest = 0;

        ret->n = 0;
        for (unsigned i = 0; i <= LINE_FILES_HIGHEST && missing < 3; i++) {
                AUTO(line_file_freep) struct line_file *f = file_at(dirfd, base, i);

                if (!f) {
                        missing++;
                } else if (!chain_has(ret, f)) {
                        missing = 0;
                        newest = ret->n == 0 ? i : newest;
                        ret->v[ret->n++] = TAKE_PTR(f);
                }
        }
        return ret->n == 0 || is_at(dirfd, base, newest, ret->v[0]);
}

void line_files_open(int dirfd, const char *base, struct line_files *ret)
{
        /* Bounded: a writer that rotates faster than this loop is losing lines anyway. */
        for (unsigned tries = 1; !walk(dirfd, base, ret) && tries < WALKS_MAX; tries++)
                line_files_release(ret);
        for (size_t i = 0; i < ret->n / 2; i++) {
                struct line_file *swap = ret->v[i];

                ret->v[i] = ret->v[ret->n - 1 - i];
                ret->v[ret->n - 1 - i] = swap;
        }
}

void line_files_release(struct line_files *c)
{
        for (size_t i = 0; i < c->n; i++)
                c->v[i] = line_file_free(c->v[i]);
        c->n = 0;
}

int line_files_more(int dirfd, const char *base, struct line_files *c)
{
        struct line_files now;
        size_t first = 0;
        int r;

        if (c->n > 0 && is_at(dirfd, base, 0, c->v[c->n - 1]))
                return 0;
        line_files_open(dirfd, base, &now);
        for (size_t i = 0; i < now.n && c->n > 0 && first == 0; i++) {
                if (now.v[i]->ino == c->v[c->n - 1]->ino && now.v[i]->dev == c->v[c->n - 1]->dev)
                        first = i + 1;
        }
        r = c->n > 0 && first == 0 && now.n > 0 ? 1 : 0;
        for (size_t i = first; i < now.n && c->n < ARRAY_SIZE(c->v); i++)
                c->v[c->n++] = TAKE_PTR(now.v[i]);
        line_files_release(&now);
        return r;
}

void line_files_shift(struct line_files *c)
{
        c->v[0] = line_file_free(c->v[0]);
        c->n--;
        memmove(c->v, c->v + 1, c->n * sizeof(c->v[0]));
}

int line_files_next(int dirfd, const char *base, const struct line_file *f, struct line_file **ret)
{
        /* Bounded: a writer that rotates faster than this loop is losing lines anyway. */
        for (unsigned tries = 0; tries < 100; tries++) {
                unsigned at = 0;
                AUTO(line_file_freep) struct line_file *next = NULL;

                if (is_at(dirfd, base, 0, f))
                        return 0;
                for (at = 1; at <= LINE_FILES_HIGHEST && !is_at(dirfd, base, at, f); at++)
                        ;
                if (at > LINE_FILES_HIGHEST) {
                        /* Removed before it was finished: go on with the oldest that is left. */
                        struct line_files c;

                        line_files_open(dirfd, base, &c);
                        if (c.n == 0)
                                return 0;
                        *ret = TAKE_PTR(c.v[0]);
                        c.v[0] = c.v[c.n - 1];
                        c.n--;
                        line_files_release(&c);
                        return 1;
                }
                next = file_at(dirfd, base, at - 1);
                /* Still its neighbour? Otherwise files moved between the two looks. */
                if (next && next->ino != f->ino && is_at(dirfd, base, at, f)) {
                        *ret = TAKE_PTR(next);
                        return 1;
                }
                if (!next && at == 1 && is_at(dirfd, base, 1, f))
                        return 0; /* renamed, and the new file comes with its first line */
        }
        return 0;
}

/* ---- waiting ---- */

int line_files_watch(int dirfd)
{
        AUTO_CLOSE int in = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        char path[FD_PATH_MAX];

        if (in < 0 ||
            inotify_add_watch(in, fd_path(dirfd, path), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
                return -errno;
        return TAKE_FD(in);
}

void line_files_wait(const int *watches, size_t n, int64_t until_ns, int64_t at_most_ns)
{
        AUTO_FREE struct pollfd *p = xcalloc(MAX(n, (size_t)1), sizeof(*p));
        char events[4096];
        int64_t ms = at_most_ns / 1000000;

        for (size_t i = 0; i < n; i++)
                p[i] = (struct pollfd){.fd = watches[i], .events = POLLIN};
        if (until_ns > 0)
                ms = MIN(ms, (until_ns - clock_now_ns()) / 1000000 + 1);
        if (poll(p, n, ms < 0 ? 0 : (int)MIN(ms, (int64_t)INT32_MAX)) <= 0)
                return;
        for (size_t i = 0; i < n; i++) {
                while (p[i].revents && read(watches[i], events, sizeof(events)) > 0)
                        ; /* what happened does not matter, only that something did */
        }
}
