/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pass over a tar of images.
 *
 * Theory of operation. Files are told apart by their first bytes, not by their names: names differ between the formats and lie in hostile
 * archives. In a plain file the scan only notes where each entry's content is: while the tar reader "skips" the content, our source
 * hands out buffers without reading anything, so that a scan costs one read per entry. In a stream nothing can be asked
 * for again, so that documents go to a spool file of the transaction and archives are unpacked on the spot; whether an image wants
 * them is known only when its documents have come.
 */
#include "image/archive_internal.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/str.h"
#include "image/digest.h"
#include "image/layer.h"
#include "image/store.h"
#include "image/store_internal.h"
#include "image/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scan {
        struct archive *a;
        struct tool_source source;
        off_t file_size;   /* file */
        off_t skip_until;  /* file: content below this needs no reading */
        uint64_t position; /* bytes that the tar reader has taken, content included */
        struct stream *stream;
        struct tar *tar;
};

/* The source of a plain file: what is being skipped is not read; the buffer's old bytes do as well as the file's. */
static ssize_t skipping_read(void *userdata, void *buf, size_t n)
{
        struct scan *s = userdata;
        off_t left = s->skip_until - s->source.pos;

        if (left <= 0)
                return tool_source_read(&s->source, buf, n);
        if (tool_interrupted(s->a->tool))
                return -ECANCELED;
        if (n > (size_t)left)
                n = (size_t)left;
        s->source.pos += (off_t)n;
        return (ssize_t)n;
}

static int count_raw(void *userdata, const void *data, size_t n, struct err **reterr)
{
        struct scan *s = userdata;

        (void)data;
        (void)reterr;
        s->position += n;
        return 0;
}

static struct entry *add_entry(struct archive *a, const char *name)
{
        struct entry *e;

        if (a->n == a->cap) {
                a->cap = a->cap ? a->cap * 2 : 64;
                a->v = xrealloc(a->v, a->cap, sizeof(*a->v));
        }
        e = &a->v[a->n];
        *e = (struct entry){.name = archive_clean_name(name), .order = a->n, .offset = -1};
        a->n++;
        return e;
}

static void add_link(struct archive *a, const struct tar_entry *t)
{
        struct entry *e = add_entry(a, t->path);
        AUTO_FREE char *target = NULL;
        const char *slash = strrchr(e->name, '/');

        if (t->type == TAR_HARDLINK || t->link[0] == '/' || !slash)
                target = xstrdup(t->link);
        else
                target = xasprintf("%.*s/%s", (int)(slash - e->name), e->name, t->link);
        e->kind = ENTRY_LINK;
        e->link = archive_clean_name(target);
}

/* ---- streams ---- */

struct content {
        struct scan *scan;
        unsigned char head[ARCHIVE_SNIFF];
        size_t head_len, head_pos;
        int failure;
};

static ssize_t content_read(void *userdata, void *buf, size_t n)
{
        struct content *c = userdata;
        ssize_t r;

        if (c->head_pos < c->head_len) {
                n = MIN(n, c->head_len - c->head_pos);
                memcpy(buf, c->head + c->head_pos, n);
                c->head_pos += n;
                return (ssize_t)n;
        }
        /* Maybe in the stream's own thread, where words must not be made. */
        r = tar_read(c->scan->tar, buf, n, NULL);
        if (r < 0)
                c->failure = (int)r;
        return r;
}

static int read_head(struct content *c, struct err **reterr)
{
        while (c->head_len < sizeof(c->head)) {
                ssize_t n = tar_read(c->scan->tar, c->head + c->head_len,
                                     sizeof(c->head) - c->head_len, reterr);

                if (n < 0)
                        return (int)n;
                if (n == 0)
                        break;
                c->head_len += (size_t)n;
        }
        return 0;
}

/* Says what content_read() could not; no thread may use it any more. The archive is where it failed, and fails there again. */
static int content_fail(struct content *c, const char *name, struct err **reterr)
{
        char byte;
        int r = (int)tar_read(c->scan->tar, &byte, 1, reterr);

        return r < 0 ? r : err_sys(reterr, -c->failure, "read '%s' of %s", name, c->scan->a->what);
}

static int open_spool(struct archive *a, struct err **reterr)
{
        if (a->spool_fd >= 0)
                return 0;
        a->spool_fd = openat(store_txn_dir(a->txn), "spool",
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return a->spool_fd < 0 ? err_sys(reterr, errno, "make a file in tmp/ of the store") : 0;
}

/* Too much of it is not kept, and an error only when it is wanted. */
static int keep_document(struct archive *a, struct content *c, const struct tar_entry *t,
                         struct err **reterr)
{
        struct entry *e = add_entry(a, t->path);
        unsigned char buf[16384];
        int r;

        e->size = t->size;
        if (t->size > ARCHIVE_MAX_DOCUMENT || a->spooled + t->size > ARCHIVE_MAX_SPOOL)
                return 0;
        r = open_spool(a, reterr);
        if (r < 0)
                return r;
        e->offset = (off_t)a->spooled;
        for (;;) {
                ssize_t n = content_read(c, buf, sizeof(buf));

                if (n < 0)
                        return content_fail(c, e->name, reterr);
                if (n == 0)
                        return 0;
                r = io_write_full(a->spool_fd, buf, (size_t)n);
                if (r < 0)
                        return err_sys(reterr, -r, "write '%s' of %s to tmp/ of the store", e->name,
                                       a->what);
                a->spooled += (uint64_t)n;
        }
}

static void warn_layer(void *userdata, const char *text)
{
        tool_warn(userdata, text);
}

static void stream_progress(void *data, uint64_t done)
{
        tool_progress(data, done);
}

/* blobs/sha256/<hex>: the name says the digest of an uncompressed layer, which may be in the store already. */
static bool is_stored(struct archive *a, const struct entry *e)
{
        const char *hex = path_last(e->name);

        return str_starts(e->name, "blobs/sha256/") && str_is_hex(hex, 64) &&
               store_txn_claim_layer(a->txn, hex, NULL) > 0;
}

static int skip_stored(struct stream *s, struct archive_layer *l, const char *hex,
                       struct err **reterr)
{
        struct stream_sums sums;
        int r = stream_finish(s, &sums, reterr);

        if (r < 0)
                return r;
        l->stored = true;
        (void)snprintf(l->name, sizeof(l->name), "%s", hex);
        (void)snprintf(l->diff_id, sizeof(l->diff_id), "%s", sums.content);
        (void)snprintf(l->blob_digest, sizeof(l->blob_digest), "%s", sums.source);
        l->blob_size = sums.source_bytes;
        return 0;
}

static int unpack(struct archive *a, struct stream *s, struct archive_layer *l, struct err **reterr)
{
        struct layer_unpack_opts opts = {
            .maps = a->tool->maps,
            .limits = LAYER_LIMITS_DEFAULT,
            .warn = warn_layer,
            .warn_data = a->tool,
        };
        AUTO_ERR struct err *failure = NULL;
        struct layer_result res = {0};
        struct stream_sums sums;
        int r;

        (void)snprintf(l->dir, sizeof(l->dir), "stream-%u", a->counter);
        r = layer_unpack(s, store_txn_dir(a->txn), l->dir, &opts, &res, &failure);
        if (r == -ENOSPC || r == -EDQUOT || tool_interrupted(a->tool)) {
                if (reterr)
                        *reterr = TAKE_PTR(failure);
                return r < 0 ? r : tool_interrupted_error(reterr);
        }
        if (r < 0) {
                /* May be no layer of an image at all: an error when it is wanted. Its digest is still of use. */
                l->failure = xstrdup(err_message(failure));
                (void)path_remove_tree(store_txn_dir(a->txn), l->dir, NULL);
                l->dir[0] = '\0';
                if (stream_finish(s, &sums, NULL) >= 0) {
                        (void)snprintf(l->diff_id, sizeof(l->diff_id), "%s", sums.content);
                        (void)snprintf(l->blob_digest, sizeof(l->blob_digest), "%s", sums.source);
                        l->blob_size = sums.source_bytes;
                }
                return 0;
        }
        memcpy(l->name, res.name, sizeof(l->name));
        memcpy(l->diff_id, res.info.diff_id, sizeof(l->diff_id));
        memcpy(l->blob_digest, res.info.blob_digest, sizeof(l->blob_digest));
        l->blob_size = res.info.blob_size;
        l->needs_lower = res.info.needs_lower;
        layer_info_release(&res.info);
        return 0;
}

static int take_layer(struct archive *a, struct content *c, const struct tar_entry *t,
                      bool compressed, struct err **reterr)
{
        struct entry *e = add_entry(a, t->path);
        struct archive_layer *l = &e->layer;
        struct stream_opts opts = STREAM_OPTS_INIT;
        AUTO(stream_freep) struct stream *s = NULL;
        AUTO_FREE char *what = xasprintf("layer '%s'", e->name);
        AUTO_CLOSE int tee = -EBADF;
        int r;

        e->kind = ENTRY_LAYER;
        a->counter++;
        if (compressed) {
                (void)snprintf(l->blob, sizeof(l->blob), "blob-%u", a->counter);
                tee = openat(store_txn_dir(a->txn), l->blob,
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (tee < 0)
                        return err_sys(reterr, errno, "make a file in tmp/ of the store");
        }
        opts.what = what;
        opts.read = content_read;
        opts.userdata = c;
        opts.tee_fd = tee;
        opts.max_ratio = STREAM_RATIO_MAX;
        opts.size = t->size;
        opts.threaded = t->size > (1U << 20);
        opts.progress = stream_progress;
        opts.progress_data = a->tool;
        tool_begin(a->tool, path_last(e->name), t->size);
        r = stream_open(&opts, &s, reterr);
        if (r >= 0)
                r = !compressed && is_stored(a, e) ? skip_stored(s, l, path_last(e->name), reterr)
                                                   : unpack(a, s, l, reterr);
        s = stream_free(s);
        if (c->failure) {
                if (r < 0 && reterr)
                        *reterr = err_free(*reterr);
                return content_fail(c, e->name, reterr);
        }
        if (r >= 0)
                tool_end(a->tool, t->size);
        return r;
}

static int take_content(struct scan *s, const struct tar_entry *t, struct err **reterr)
{
        struct content c = {.scan = s};
        int r = read_head(&c, reterr);

        if (r < 0)
                return r;
        switch (archive_sniff(c.head, c.head_len)) {
        case SNIFF_JSON:
                return keep_document(s->a, &c, t, reterr);
        case SNIFF_TAR:
                return take_layer(s->a, &c, t, false, reterr);
        case SNIFF_COMPRESSED:
                return take_layer(s->a, &c, t, true, reterr);
        case SNIFF_OTHER:
        case SNIFF_COUNT:
        default:
                (void)add_entry(s->a, t->path);
                return 0;
        }
}

/* ---- the pass ---- */

static int take_entry(struct scan *s, const struct tar_entry *t, struct err **reterr)
{
        struct archive *a = s->a;
        struct entry *e;

        if (t->type != TAR_FILE && t->type != TAR_SYMLINK && t->type != TAR_HARDLINK)
                return 0;
        if (strlen(t->path) > ARCHIVE_MAX_NAME)
                return 0;
        if (a->n >= ARCHIVE_MAX_ENTRIES)
                return err_new(reterr, ERR_INVALID, "%s: more than %d files", a->what,
                               ARCHIVE_MAX_ENTRIES);
        if (t->type != TAR_FILE) {
                if (strlen(t->link) <= ARCHIVE_MAX_NAME)
                        add_link(a, t);
                return 0;
        }
        if (a->mode == ARCHIVE_STREAM)
                return t->sparse ? 0 : take_content(s, t, reterr);
        if (t->sparse)
                return 0; /* its content is not in one piece; no maker of images writes such */
        e = add_entry(a, t->path);
        e->size = t->data_size;
        e->offset = (off_t)s->position;
        /* A size that the header made up ends with the file: what is not there must be missed, not counted down. */
        s->skip_until = (off_t)MIN(s->position + t->data_size, (uint64_t)s->file_size);
        return 0;
}

static int by_name_then_order(const void *x, const void *y)
{
        const struct entry *a = x, *b = y;
        int c = strcmp(a->name, b->name);

        return c ? c : a->order < b->order ? -1 : 1;
}

static void sort_entries(struct archive *a)
{
        size_t n = 0;

        if (a->n == 0)
                return;
        qsort(a->v, a->n, sizeof(*a->v), by_name_then_order);
        for (size_t i = 0; i < a->n; i++) {
                if (i + 1 < a->n && strcmp(a->v[i].name, a->v[i + 1].name) == 0) {
                        free(a->v[i].name);
                        free(a->v[i].link);
                        free(a->v[i].layer.failure);
                } else {
                        a->v[n++] = a->v[i];
                }
        }
        a->n = n;
}

static int scan_entries(struct scan *s, struct err **reterr)
{
        for (;;) {
                const struct tar_entry *t = NULL;
                int r = tar_next(s->tar, &t, reterr);

                if (r <= 0)
                        return r;
                r = take_entry(s, t, reterr);
                if (r < 0)
                        return r;
                /* What take_entry() left of the content is skipped by tar_next() and counted there. */
                if (tool_interrupted(s->a->tool))
                        return tool_interrupted_error(reterr);
        }
}

int archive_scan(struct archive *a, struct err **reterr)
{
        struct scan s = {
            .a = a, .source = {.fd = a->fd, .signal_fd = a->tool->signal_fd, .left = UINT64_MAX}};
        struct stream_opts opts = STREAM_OPTS_INIT;
        struct tar_opts tar_opts = {
            .raw = count_raw, .userdata = &s, .max_entries = 4U * ARCHIVE_MAX_ENTRIES};
        struct stat st;
        int r;

        opts.what = a->what;
        opts.no_digest = true;
        opts.max_ratio = STREAM_RATIO_MAX;
        if (a->mode == ARCHIVE_FILE) {
                if (fstat(a->fd, &st) < 0)
                        return err_sys(reterr, errno, "%s", a->what);
                s.file_size = st.st_size;
                s.source.seekable = true;
                opts.read = skipping_read;
                opts.userdata = &s;
                opts.plain = true;
        } else {
                opts.read = tool_source_read;
                opts.userdata = &s.source;
        }
        r = stream_open(&opts, &s.stream, reterr);
        if (r >= 0) {
                s.tar = tar_open(s.stream, &tar_opts);
                r = scan_entries(&s, reterr);
        }
        s.tar = tar_free(s.tar);
        s.stream = stream_free(s.stream);
        if (r < 0 && tool_interrupted(a->tool)) {
                if (reterr)
                        *reterr = err_free(*reterr);
                return tool_interrupted_error(reterr);
        }
        if (r < 0)
                return r; /* who read it said already what it is */
        sort_entries(a);
        return 0;
}
