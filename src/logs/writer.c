/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer — theory of operation
 *
 * Bytes of a stream gather in `line` until their newline, or until LOG_PIECE_MAX of them are there. Whole lines of the format are
 * collected in `out` and written with one write(2) per call, so that a chatty container costs one system call per pipe read. A file
 * only ever contains whole lines: where the disk fills up in the middle of one, the torn end is cut off again. What could not
 * be written is dropped and counted (the container must not stop for its log), and said in a line of its own as soon as there is room.
 *
 * The file is opened with the first line: most short containers print nothing, and starting one should not pay for it.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "logs/logs_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_line {
        char *
            data; /* LOG_PIECE_MAX bytes, allocated when a line is not complete at the end of a write */
        size_t len;
};

struct log_writer {
        int dirfd, fd;
        enum log_driver driver;
        uint64_t max_size, size;
        uint32_t max_file;
        char *tag;
        struct log_line line[LOG_STDERR + 1];
        struct strbuf out;
        uint64_t dropped; /* lines */
        /* Of what is being written: lines that were read at once came at one time. Formatting it costs more than the line. */
        char time[CLOCK_RFC3339_MAX];
};

int log_writer_new(int dirfd, enum log_driver d, const struct log_options *o,
                   struct log_writer **ret, struct err **reterr)
{
        AUTO(log_writer_freep) struct log_writer *w = xnew(struct log_writer);

        w->dirfd = w->fd = -EBADF;
        w->driver = d;
        w->max_size = o->max_size;
        w->max_file = MAX(o->max_file, 1U);
        w->tag = xstrdup(o->tag);
        if (d == LOG_JSON_FILE || d == LOG_K8S_FILE) {
                w->dirfd = fd_dup(dirfd, reterr);
                if (w->dirfd < 0)
                        return err_wrap(reterr, w->dirfd, "log");
        }
        *ret = TAKE_PTR(w);
        return 0;
}

/* A line that a power cut or a kill left without its end must not swallow the next one. */
static void finish_torn_line(struct log_writer *w)
{
        char last;

        if (w->size > 0 && pread(w->fd, &last, 1, (off_t)w->size - 1) == 1 && last != '\n' &&
            write(w->fd, "\n", 1) == 1)
                w->size++;
}

static bool file_open(struct log_writer *w)
{
        struct stat st;

        if (w->fd >= 0)
                return true;
        w->fd = openat(w->dirfd, LOG_FILE_NAME,
                       O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (w->fd < 0)
                return false;
        if (fstat(w->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                w->fd = fd_close(w->fd);
                return false;
        }
        w->size = (uint64_t)st.st_size;
        finish_torn_line(w);
        return true;
}

static void file_rotate(struct log_writer *w)
{
        char from[LINE_FILE_NAME_MAX], to[LINE_FILE_NAME_MAX];

        w->fd = fd_close(w->fd);
        w->size = 0;
        if (w->max_file == 1) {
                /* Not truncated: who is reading the old file may finish it. */
                (void)unlinkat(w->dirfd, LOG_FILE_NAME, 0);
                return;
        }
        /* Unlinked, not replaced: ext4 writes a file out that replaces another (auto_da_alloc), and we would wait for the disk. */
        (void)unlinkat(w->dirfd, line_file_name(LOG_FILE_NAME, w->max_file - 1, to), 0);
        /* From the oldest to the newest: a reader that walks the other way sees a file twice, but never misses one. */
        for (unsigned i = w->max_file - 1; i > 0; i--)
                (void)renameat(w->dirfd, line_file_name(LOG_FILE_NAME, i - 1, from), w->dirfd,
                               line_file_name(LOG_FILE_NAME, i, to));
}

static size_t count_lines(const char *data, size_t n)
{
        size_t lines = 0;

        for (const char *p = data; (p = memchr(p, '\n', n - (size_t)(p - data))) != NULL; p++)
                lines++;
        return lines;
}

/* Writes whole lines; returns how many bytes of them are on disk. */
static size_t write_whole_lines(struct log_writer *w, const char *data, size_t n)
{
        size_t done = 0, whole;
        const char *end;

        while (done < n) {
                ssize_t k = write(w->fd, data + done, n - done);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        break;
                done += (size_t)k;
        }
        if (done == n) {
                w->size += n;
                return n;
        }
        end = memrchr(data, '\n', done);
        whole = end ? (size_t)(end - data) + 1 : 0;
        if (ftruncate(w->fd, (off_t)(w->size + whole)) < 0)
                w->fd = fd_close(
                    w->fd); /* opened again with the next line, which repairs the torn end */
        w->size += whole;
        return whole;
}

static void encode(struct log_writer *w, struct strbuf *out, enum log_stream s, const char *data,
                   size_t n, bool partial)
{
        if (w->driver == LOG_JSON_FILE)
                log_json_encode(out, s, data, n, partial, w->time, w->tag);
        else
                log_k8s_encode(out, s, data, n, partial, w->time);
}

/* Room for the line that says how many are missing comes before the lines themselves. */
static bool say_dropped(struct log_writer *w)
{
        AUTO_STRBUF notice = {0};
        char text[80];
        int n;

        if (w->dropped == 0)
                return true;
        n = snprintf(text, sizeof(text),
                     "[kelp: %llu lines of this log were lost: no room to write]",
                     (unsigned long long)w->dropped);
        encode(w, &notice, LOG_STDERR, text, (size_t)n, false);
        if (write_whole_lines(w, notice.data, notice.len) < notice.len)
                return false;
        w->dropped = 0;
        return true;
}

static void out_flush(struct log_writer *w)
{
        size_t done = 0;

        if (w->out.len == 0)
                return;
        if (file_open(w) && say_dropped(w))
                done = write_whole_lines(w, w->out.data, w->out.len);
        if (done < w->out.len)
                w->dropped += count_lines(w->out.data + done, w->out.len - done);
        w->out.len = 0;
        /* An idle monitor should be small: large buffers are not kept. */
        if (w->out.cap > 4096)
                strbuf_release(&w->out);
}

static void line_out(struct log_writer *w, enum log_stream s, const char *data, size_t n,
                     bool partial)
{
        size_t before = w->out.len;

        if (!file_open(w)) {
                w->dropped++;
                return;
        }
        encode(w, &w->out, s, data, n, partial);
        if (w->max_size > 0 && w->size + w->out.len > w->max_size && w->size + before > 0) {
                size_t len = w->out.len - before;
                AUTO_FREE char *last = xmalloc(len);

                memcpy(last, w->out.data + before, len);
                w->out.len = before;
                out_flush(w);
                if (w->fd >= 0)
                        file_rotate(w);
                strbuf_add_len(&w->out, last, len);
        }
        if (w->out.len >= (size_t)LOG_PIECE_MAX * 8)
                out_flush(w);
}

/* Adds to the incomplete line; writes pieces as they fill up. */
static void line_gather(struct log_writer *w, enum log_stream s, const char *data, size_t n)
{
        struct log_line *l = &w->line[s];

        while (n > 0) {
                size_t take = MIN(n, (size_t)LOG_PIECE_MAX - l->len);

                if (!l->data)
                        l->data = xmalloc(LOG_PIECE_MAX);
                memcpy(l->data + l->len, data, take);
                l->len += take;
                data += take;
                n -= take;
                if (l->len == LOG_PIECE_MAX) {
                        /* A character is not torn apart: each piece must be valid by itself. */
                        size_t whole = str_utf8_whole(l->data, l->len);

                        line_out(w, s, l->data, whole, true);
                        memmove(l->data, l->data + whole, l->len - whole);
                        l->len -= whole;
                }
        }
}

static void line_end(struct log_writer *w, enum log_stream s, bool partial)
{
        struct log_line *l = &w->line[s];

        line_out(w, s, l->data ? l->data : "", l->len, partial);
        l->len = 0;
        free(l->data);
        l->data = NULL;
}

void log_writer_write(struct log_writer *w, enum log_stream s, const void *data, size_t n)
{
        const char *p = data, *end = p + n;

        if (w->driver != LOG_JSON_FILE && w->driver != LOG_K8S_FILE)
                return;
        (void)clock_format(clock_now_ns(), w->time);
        while (p < end) {
                const char *nl = memchr(p, '\n', (size_t)(end - p));
                size_t len = (size_t)((nl ? nl : end) - p);

                if (nl && w->line[s].len == 0 && len < LOG_PIECE_MAX) {
                        line_out(w, s, p, len, false);
                } else {
                        line_gather(w, s, p, len);
                        if (nl)
                                line_end(w, s, false);
                }
                p += len + (nl ? 1 : 0);
        }
        out_flush(w);
}

void log_writer_flush(struct log_writer *w)
{
        (void)clock_format(clock_now_ns(), w->time);
        for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++) {
                if (w->line[s].len > 0)
                        line_end(w, s, true);
        }
        out_flush(w);
}

struct log_writer *log_writer_free(struct log_writer *w)
{
        if (!w)
                return NULL;
        (void)fd_close(w->dirfd);
        (void)fd_close(w->fd);
        for (enum log_stream s = LOG_STDOUT; s <= LOG_STDERR; s++)
                free(w->line[s].data);
        strbuf_release(&w->out);
        free(w->tag);
        free(w);
        return NULL;
}
