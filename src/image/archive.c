/* SPDX-License-Identifier: Apache-2.0 */
#include "image/archive.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "image/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 8

char *archive_clean_name(const char *name)
{
        AUTO_FREE char *absolute = xasprintf("/%s", name);
        AUTO_FREE char *clean = path_clean(absolute);

        return xstrdup(clean[0] == '/' ? clean + 1 : clean);
}

static bool is_tar_header(const unsigned char *p, size_t n)
{
        unsigned sum = 0, said = 0;
        size_t i = 148;

        if (n < 512)
                return false;
        if (memcmp(p + 257, "ustar", 5) == 0)
                return true;
        /* Before ustar there was no magic, but a checksum. */
        for (size_t k = 0; k < 512; k++)
                sum += k >= 148 && k < 156 ? ' ' : p[k];
        while (i < 156 && p[i] == ' ')
                i++;
        for (; i < 156 && p[i] >= '0' && p[i] <= '7'; i++)
                said = said * 8 + (p[i] - (unsigned)'0');
        return said != 0 && said == sum;
}

enum archive_sniff archive_sniff(const void *data, size_t n)
{
        static const struct {
                const char *magic;
                size_t n;
        } compressed[] = {{"\x1f\x8b", 2},
                          {"\x28\xb5\x2f\xfd", 4},
                          {"\xfd"
                           "7zXZ\0",
                           6},
                          {"BZh", 3}};
        const unsigned char *p = data;
        size_t i = 0;

        for (size_t k = 0; k < ARRAY_SIZE(compressed); k++)
                if (n >= compressed[k].n && memcmp(p, compressed[k].magic, compressed[k].n) == 0)
                        return SNIFF_COMPRESSED;
        /* zstd's skippable frames: 0x184D2A50 to 0x184D2A5F, little-endian */
        if (n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18)
                return SNIFF_COMPRESSED;
        if (is_tar_header(p, n))
                return SNIFF_TAR;
        while (i < n && p[i] == 0)
                i++;
        /* An empty archive is nothing but zeros; a layer may even have no bytes at all. */
        if (i == n && (n == 0 || n == 512))
                return n ? SNIFF_TAR : SNIFF_OTHER;
        for (i = 0; i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'); i++)
                ;
        return i < n && (p[i] == '{' || p[i] == '[') ? SNIFF_JSON : SNIFF_OTHER;
}

/* Plain tars in regular files can be read at any place. */
static int choose_mode(struct archive *a, struct err **reterr)
{
        unsigned char head[ARCHIVE_SNIFF];
        struct stat st;
        ssize_t n;

        if (fstat(a->fd, &st) < 0)
                return err_sys(reterr, errno, "%s", a->what);
        a->mode = ARCHIVE_STREAM;
        if (S_ISDIR(st.st_mode)) {
                a->mode = ARCHIVE_DIR;
                return 0;
        }
        if (!S_ISREG(st.st_mode) || lseek(a->fd, 0, SEEK_CUR) != 0)
                return 0;
        n = pread(a->fd, head, sizeof(head), 0);
        if (n < 0)
                return err_sys(reterr, errno, "read %s", a->what);
        if (n == 0)
                return err_new(reterr, ERR_INVALID, "%s: the file is empty", a->what);
        if (archive_sniff(head, (size_t)n) != SNIFF_COMPRESSED)
                a->mode = ARCHIVE_FILE;
        return 0;
}

int archive_open(const struct archive_opts *o, struct archive **ret, struct err **reterr)
{
        AUTO(archive_freep) struct archive *a = xnew(struct archive);
        int r;

        a->tool = o->tool;
        a->txn = o->txn;
        a->fd = o->fd;
        a->spool_fd = -EBADF;
        a->what = xstrdup(o->what);
        r = choose_mode(a, reterr);
        if (r < 0)
                return r;
        if (a->mode != ARCHIVE_DIR) {
                r = archive_scan(a, reterr);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(a);
        return 0;
}

struct archive *archive_free(struct archive *a)
{
        if (!a)
                return NULL;
        for (size_t i = 0; i < a->n; i++) {
                free(a->v[i].name);
                free(a->v[i].link);
                free(a->v[i].layer.failure);
        }
        free(a->v);
        (void)fd_close(a->spool_fd);
        free(a->what);
        free(a);
        return NULL;
}

const char *archive_what(const struct archive *a)
{
        return a->what;
}

bool archive_is_directory(const struct archive *a)
{
        return a->mode == ARCHIVE_DIR;
}

bool archive_is_stream(const struct archive *a)
{
        return a->mode == ARCHIVE_STREAM;
}

static int compare_name(const void *key, const void *element)
{
        return strcmp(key, ((const struct entry *)element)->name);
}

/* Follows links, also through their directories: "<id>/layer.tar" may be "../<id>/layer.tar". */
static struct entry *find(const struct archive *a, const char *name)
{
        AUTO_FREE char *at = archive_clean_name(name);

        for (int i = 0; i < MAX_LINKS && a->n > 0; i++) {
                struct entry *e = bsearch(at, a->v, a->n, sizeof(*a->v), compare_name);

                if (!e || e->kind != ENTRY_LINK)
                        return e;
                free(at);
                at = xstrdup(e->link);
        }
        return NULL;
}

static int open_in_dir(const struct archive *a, const char *name, struct err **reterr)
{
        AUTO_CLOSE int fd = path_open_in_root(a->fd, name, O_RDONLY | O_NONBLOCK, 0, reterr);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return err_sys(reterr, errno, "%s: %s", a->what, name);
        if (!S_ISREG(st.st_mode))
                return err_new(reterr, ERR_INVALID, "%s: '%s' is no file", a->what, name);
        return TAKE_FD(fd);
}

bool archive_has(const struct archive *a, const char *name)
{
        AUTO_CLOSE int fd = -EBADF;

        if (a->mode != ARCHIVE_DIR)
                return find(a, name) != NULL;
        fd = open_in_dir(a, name, NULL);
        return fd >= 0;
}

static int not_there(const struct archive *a, const char *name, struct err **reterr)
{
        return err_new(reterr, ERR_NOT_FOUND, "%s: '%s' is missing in it", a->what, name);
}

static int read_dir(struct archive *a, const char *name, char **ret, size_t *ret_len,
                    struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        AUTO_CLOSE int fd = open_in_dir(a, name, &e);

        if (fd == -ENOENT)
                return not_there(a, name, reterr);
        if (fd < 0) {
                if (reterr)
                        *reterr = TAKE_PTR(e);
                return fd;
        }
        return io_read_fd(fd, name, ARCHIVE_MAX_DOCUMENT, ret, ret_len, reterr);
}

int archive_read(struct archive *a, const char *name, char **ret, size_t *ret_len,
                 struct err **reterr)
{
        AUTO_FREE char *buf = NULL;
        struct tool_source s = {.signal_fd = a->tool->signal_fd, .seekable = true};
        struct entry *e;
        size_t got = 0;

        if (a->mode == ARCHIVE_DIR)
                return read_dir(a, name, ret, ret_len, reterr);
        e = find(a, name);
        if (!e)
                return not_there(a, name, reterr);
        if (e->kind != ENTRY_DATA || e->size > ARCHIVE_MAX_DOCUMENT)
                return err_new(reterr, ERR_INVALID,
                               "%s: '%s' is no document, or larger than %u MiB", a->what, name,
                               ARCHIVE_MAX_DOCUMENT >> 20);
        if (e->offset < 0)
                return err_new(reterr, ERR_INVALID, "%s: '%s' is no document", a->what, name);
        buf = xmalloc((size_t)e->size + 1);
        s.fd = a->mode == ARCHIVE_FILE ? a->fd : a->spool_fd;
        s.pos = e->offset;
        s.left = e->size;
        while (got < e->size) {
                ssize_t n = tool_source_read(&s, buf + got, (size_t)e->size - got);

                if (n == -ECANCELED)
                        return tool_interrupted_error(reterr);
                if (n < 0)
                        return err_sys(reterr, (int)-n, "read '%s' of %s", name, a->what);
                if (n == 0)
                        return err_new(reterr, ERR_INVALID, "%s: ends within '%s'", a->what, name);
                got += (size_t)n;
        }
        buf[got] = '\0';
        *ret = TAKE_PTR(buf);
        *ret_len = got;
        return 0;
}

struct archive_layer *archive_layer(struct archive *a, const char *name)
{
        struct entry *e = find(a, name);

        return e && e->kind == ENTRY_LAYER ? &e->layer : NULL;
}

/* ---- layers of directories and files ---- */

struct archive_source {
        struct tool *tool;
        struct tool_source source;
        int own_fd;
        struct stream *stream;
};

static void source_progress(void *data, uint64_t done)
{
        tool_progress(data, done);
}

struct stream *archive_source_stream(struct archive_source *s)
{
        return s->stream;
}

struct archive_source *archive_source_free(struct archive_source *s)
{
        if (!s)
                return NULL;
        (void)stream_free(s->stream);
        (void)fd_close(s->own_fd);
        free(s);
        return NULL;
}

static int locate(struct archive *a, const char *name, struct archive_source *s,
                  struct err **reterr)
{
        struct entry *e;
        struct stat st;

        s->source.seekable = true;
        if (a->mode == ARCHIVE_DIR) {
                AUTO_ERR struct err *open_err = NULL;

                s->own_fd = open_in_dir(a, name, &open_err);
                if (s->own_fd == -ENOENT)
                        return not_there(a, name, reterr);
                if (s->own_fd < 0) {
                        if (reterr)
                                *reterr = TAKE_PTR(open_err);
                        return s->own_fd;
                }
                if (fstat(s->own_fd, &st) < 0)
                        return err_sys(reterr, errno, "%s: %s", a->what, name);
                s->source.fd = s->own_fd;
                s->source.left = (uint64_t)st.st_size;
                return 0;
        }
        e = find(a, name);
        if (!e)
                return not_there(a, name, reterr);
        s->source.fd = a->fd;
        s->source.pos = e->offset;
        s->source.left = e->size;
        return 0;
}

int archive_open_layer(struct archive *a, const char *name, const struct archive_stream_opts *o,
                       struct archive_source **ret, struct err **reterr)
{
        AUTO(archive_source_freep) struct archive_source *s = xnew(struct archive_source);
        struct stream_opts opts = STREAM_OPTS_INIT;
        AUTO_FREE char *what = NULL;
        int r;

        s->tool = a->tool;
        s->own_fd = -EBADF;
        s->source.signal_fd = a->tool->signal_fd;
        r = locate(a, name, s, reterr);
        if (r < 0)
                return r;
        if (o->size && s->source.left != o->size)
                return err_new(reterr, ERR_INVALID,
                               "%s: '%s' has %llu bytes, its descriptor says %llu", a->what, name,
                               (unsigned long long)s->source.left, (unsigned long long)o->size);
        what = xasprintf("layer '%s'", name);
        opts.what = what;
        opts.read = tool_source_read;
        opts.userdata = &s->source;
        opts.tee_fd = o->tee_fd;
        opts.size = s->source.left;
        opts.plain = o->plain;
        opts.max_ratio = STREAM_RATIO_MAX;
        opts.threaded = s->source.left > (1U << 20);
        opts.progress = source_progress;
        opts.progress_data = a->tool;
        tool_begin(a->tool, o->item, s->source.left);
        r = stream_open(&opts, &s->stream, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
