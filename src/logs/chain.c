/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain — the files of one log as a sequence.
 *
 * A writer renames N → N+1 from the oldest to the newest, then makes a new current file. Whoever opens them from the newest to the
 * oldest meanwhile may meet a file twice (dropped: same inode) and for a moment a hole of one number (looked over), but misses none.
 */
#include "base/err.h"
#include "base/fd.h"
#include "logs/logs_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK (64 * 1024)

struct log_file *log_file_new_take(int fd)
{
        struct log_file *f;
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)fd_close(fd);
                return NULL;
        }
        f = xnew(struct log_file);
        f->fd = fd;
        f->dev = st.st_dev;
        f->ino = st.st_ino;
        return f;
}

struct log_file *log_file_free(struct log_file *f)
{
        if (!f)
                return NULL;
        (void)fd_close(f->fd);
        free(f->buf);
        free(f);
        return NULL;
}

static struct log_file *file_at(int dirfd, unsigned n)
{
        char name[LOG_NAME_MAX];
        int fd =
            openat(dirfd, log_file_name(n, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        return fd < 0 ? NULL : log_file_new_take(fd);
}

static bool is_at(int dirfd, unsigned n, const struct log_file *f)
{
        char name[LOG_NAME_MAX];
        struct stat st;

        return fstatat(dirfd, log_file_name(n, name), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_dev == f->dev && st.st_ino == f->ino;
}

/* Makes room behind what is unread, and reads. 0 at the end of the file. */
static ssize_t file_fill(struct log_file *f)
{
        ssize_t n;

        if (f->pos > 0) {
                memmove(f->buf, f->buf + f->pos, f->len - f->pos);
                f->len -= f->pos;
                f->pos = 0;
        }
        if (f->len >= LOG_LINE_MAX) {
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

int log_file_line(struct log_file *f, const char **ret, size_t *ret_n)
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

static bool chain_has(const struct log_chain *c, const struct log_file *f)
{
        for (size_t i = 0; i < c->n; i++) {
                if (c->v[i]->ino == f->ino && c->v[i]->dev == f->dev)
                        return true;
        }
        return false;
}

void log_chain_open(int dirfd, struct log_chain *ret)
{
        unsigned missing = 0;

        ret->n = 0;
        for (unsigned i = 0; i <= LOG_FILE_HIGHEST && missing < 3; i++) {
                AUTO(log_file_freep) struct log_file *f = file_at(dirfd, i);

                if (!f) {
                        missing++;
                } else if (!chain_has(ret, f)) {
                        missing = 0;
                        ret->v[ret->n++] = TAKE_PTR(f);
                }
        }
        for (size_t i = 0; i < ret->n / 2; i++) {
                struct log_file *swap = ret->v[i];

                ret->v[i] = ret->v[ret->n - 1 - i];
                ret->v[ret->n - 1 - i] = swap;
        }
}

void log_chain_release(struct log_chain *c)
{
        for (size_t i = 0; i < c->n; i++)
                c->v[i] = log_file_free(c->v[i]);
        c->n = 0;
}

int log_chain_next(int dirfd, const struct log_file *f, struct log_file **ret)
{
        /* Bounded: a writer that rotates faster than this loop is losing lines anyway. */
        for (unsigned tries = 0; tries < 100; tries++) {
                unsigned at = 0;
                AUTO(log_file_freep) struct log_file *next = NULL;

                if (is_at(dirfd, 0, f))
                        return 0;
                for (at = 1; at <= LOG_FILE_HIGHEST && !is_at(dirfd, at, f); at++)
                        ;
                if (at > LOG_FILE_HIGHEST) {
                        /* Removed before it was finished: go on with the oldest that is left. */
                        struct log_chain c;

                        log_chain_open(dirfd, &c);
                        if (c.n == 0)
                                return 0;
                        *ret = TAKE_PTR(c.v[0]);
                        c.v[0] = c.v[c.n - 1];
                        c.n--;
                        log_chain_release(&c);
                        return 1;
                }
                next = file_at(dirfd, at - 1);
                /* Still its neighbour? Otherwise files moved between the two looks. */
                if (next && next->ino != f->ino && is_at(dirfd, at, f)) {
                        *ret = TAKE_PTR(next);
                        return 1;
                }
                if (!next && at == 1 && is_at(dirfd, 1, f))
                        return 0; /* renamed, and the new file comes with its first line */
        }
        return 0;
}

/* ---- tail ---- */

static bool ends_line(enum log_driver d, const char *line, size_t n, struct log_entry *e)
{
        bool ok = d == LOG_K8S_FILE ? log_k8s_decode(line, n, e) : log_json_decode(line, n, e);

        return ok && !e->partial;
}

struct tail_scan {
        enum log_driver driver;
        int64_t wanted; /* complete lines that may still be skipped backwards */
        bool any;       /* some entry was met already */
        struct log_entry entry;
};

/* Looks at one line of a file, newest first. True: the output begins behind it. */
static bool tail_reached(struct tail_scan *t, const char *line, size_t n)
{
        bool whole = ends_line(t->driver, line, n, &t->entry);

        /* An unfinished line at the very end counts as one. */
        if (whole || !t->any) {
                if (whole && t->wanted == 0)
                        return true;
                if (t->wanted > 0)
                        t->wanted--;
        }
        t->any = true;
        return false;
}

/* Scans @f backwards in blocks. 1: positioned; 0: the whole file belongs to the tail. */
static int tail_in_file(struct log_file *f, struct tail_scan *t)
{
        AUTO_FREE char *buf = NULL;
        size_t cap = 0, len = 0;
        off_t start;
        struct stat st;

        if (fstat(f->fd, &st) < 0)
                return -errno;
        start = st.st_size;
        /* buf[0, len) are the bytes of the file from @start on that have not been looked at; its end is the end of a line. */
        for (;;) {
                const char *nl;
                size_t take = MIN((size_t)start, (size_t)READ_CHUNK);
                ssize_t k;

                while (len > 0) {
                        size_t body = buf[len - 1] == '\n' ? len - 1 : len;
                        bool torn = buf[len - 1] != '\n';

                        nl = body > 0 ? memrchr(buf, '\n', body) : NULL;
                        if (!nl && start > 0)
                                break;
                        body -= nl ? (size_t)(nl + 1 - buf) : 0;
                        if (!torn && tail_reached(t, nl ? nl + 1 : buf, body)) {
                                if (lseek(f->fd, start + (off_t)len, SEEK_SET) < 0)
                                        return -errno;
                                return 1;
                        }
                        len = nl ? (size_t)(nl + 1 - buf) : 0;
                }
                if (start == 0)
                        return 0;
                if (len > LOG_LINE_MAX)
                        len = 0; /* damage: such a line is not output either */
                if (cap < len + take) {
                        cap = len + take;
                        buf = xrealloc(buf, cap, 1);
                }
                memmove(buf + take, buf, len);
                start -= (off_t)take;
                k = pread(f->fd, buf, take, start);
                if (k != (ssize_t)take)
                        return k < 0 ? -errno : -EIO;
                len += take;
        }
}

int log_chain_tail(struct log_chain *c, enum log_driver d, int64_t lines)
{
        struct tail_scan t = {.driver = d, .wanted = lines};
        int r = 0;

        if (lines == 0) { /* only what comes from now on */
                for (; c->n > 1; c->n--) {
                        c->v[0] = log_file_free(c->v[0]);
                        memmove(c->v, c->v + 1, (c->n - 1) * sizeof(c->v[0]));
                }
                return c->n == 1 && lseek(c->v[0]->fd, 0, SEEK_END) < 0 ? -errno : 0;
        }
        for (size_t i = c->n; i > 0 && r == 0; i--) {
                r = tail_in_file(c->v[i - 1], &t);
                if (r == 1) {
                        size_t drop = i - 1;

                        for (size_t k = 0; k < drop; k++)
                                c->v[k] = log_file_free(c->v[k]);
                        memmove(c->v, c->v + drop, (c->n - drop) * sizeof(c->v[0]));
                        c->n -= drop;
                }
        }
        log_entry_release(&t.entry);
        return r < 0 ? r : 0;
}
