/* SPDX-License-Identifier: Apache-2.0 */
/* tail — where the last lines of a log begin, found from its end. */
#include "base/err.h"
#include "base/fd.h"
#include "logs/logs_internal.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_CHUNK (64 * 1024)

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
static int tail_in_file(struct line_file *f, struct tail_scan *t)
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
                if (len > LINE_FILE_LINE_MAX)
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

int log_tail(struct line_files *c, enum log_driver d, int64_t lines)
{
        struct tail_scan t = {.driver = d, .wanted = lines};
        int r = 0;

        if (lines == 0) { /* only what comes from now on */
                for (; c->n > 1; c->n--) {
                        c->v[0] = line_file_free(c->v[0]);
                        memmove(c->v, c->v + 1, (c->n - 1) * sizeof(c->v[0]));
                }
                return c->n == 1 && lseek(c->v[0]->fd, 0, SEEK_END) < 0 ? -errno : 0;
        }
        for (size_t i = c->n; i > 0 && r == 0; i--) {
                r = tail_in_file(c->v[i - 1], &t);
                if (r == 1) {
                        size_t drop = i - 1;

                        for (size_t k = 0; k < drop; k++)
                                c->v[k] = line_file_free(c->v[k]);
                        memmove(c->v, c->v + drop, (c->n - drop) * sizeof(c->v[0]));
                        c->n -= drop;
                }
        }
        log_entry_release(&t.entry);
        return r < 0 ? r : 0;
}
