/* SPDX-License-Identifier: Apache-2.0 */
#include "image/recipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "image/decompress.h"
#include "image/tar.h"

static const char magic[] = "KELP-RECIPE-1\n";
#define MAGIC_LEN (sizeof(magic) - 1)

/* A layer's headers compress twentyfold at level 1 and cost 1% of unpacking; higher levels gain little. */
#define ZSTD_LEVEL 1
#define RAW_SIZE   ((size_t)32 * 1024)
#define OUT_SIZE   ((size_t)64 * 1024)
#define NUMBER_MAX 10 /* bytes of a LEB128 uint64_t */

/* ---- writer ---- */

struct recipe_writer {
        int fd;
        ZSTD_CCtx *zstd;
        char *out;
        size_t out_len;
        /* Records are held back so that neighbours become one. At most one of the two is not empty. */
        char *raw;
        size_t raw_len;
        uint64_t content_at, content_len;
        uint64_t total;
};

static int flush_out(struct recipe_writer *w, struct err **reterr)
{
        int r = io_write_full(w->fd, w->out, w->out_len);

        w->out_len = 0;
        return r < 0 ? err_sys(reterr, -r, "write the layer's recipe") : 0;
}

static int compress(struct recipe_writer *w, const void *data, size_t n, ZSTD_EndDirective mode,
                    struct err **reterr)
{
        ZSTD_inBuffer in = {data, n, 0};
        size_t left;

        do {
                ZSTD_outBuffer out = {w->out, OUT_SIZE, w->out_len};

                left = ZSTD_compressStream2(w->zstd, &out, &in, mode);
                if (ZSTD_isError(left))
                        return err_new(reterr, ERR_UNSUPPORTED, "compress the layer's recipe: %s",
                                       ZSTD_getErrorName(left));
                w->out_len = out.pos;
                if (w->out_len == OUT_SIZE || mode == ZSTD_e_end) {
                        int r = flush_out(w, reterr);

                        if (r < 0)
                                return r;
                }
        } while (in.pos < in.size || (mode == ZSTD_e_end && left > 0));
        return 0;
}

static size_t put_number(unsigned char *p, uint64_t v)
{
        size_t n = 0;

        for (; v >= 0x80; v >>= 7)
                p[n++] = (unsigned char)(v | 0x80);
        p[n++] = (unsigned char)v;
        return n;
}

/* Letter and numbers. */
static int put_head(struct recipe_writer *w, char letter, const uint64_t *v, size_t n,
                    struct err **reterr)
{
        unsigned char head[1 + 4 * NUMBER_MAX];
        size_t len = 0;

        assert(n <= 4);
        head[len++] = (unsigned char)letter;
        for (size_t i = 0; i < n; i++)
                len += put_number(head + len, v[i]);
        return compress(w, head, len, ZSTD_e_continue, reterr);
}

static int flush_record(struct recipe_writer *w, struct err **reterr)
{
        int r = 0;

        if (w->raw_len > 0) {
                r = put_head(w, 'R', &(uint64_t){w->raw_len}, 1, reterr);
                if (r == 0)
                        r = compress(w, w->raw, w->raw_len, ZSTD_e_continue, reterr);
                w->raw_len = 0;
        } else if (w->content_len > 0) {
                uint64_t v[] = {w->content_at, w->content_len};

                r = put_head(w, 'C', v, 2, reterr);
                w->content_len = 0;
        }
        return r;
}

int recipe_put_raw(struct recipe_writer *w, const void *data, size_t n, struct err **reterr)
{
        w->total += n;
        while (n > 0) {
                size_t len;

                if (w->content_len > 0 || w->raw_len == RAW_SIZE) {
                        int r = flush_record(w, reterr);

                        if (r < 0)
                                return r;
                }
                len = MIN(n, RAW_SIZE - w->raw_len);
                memcpy(w->raw + w->raw_len, data, len);
                w->raw_len += len;
                data = (const char *)data + len;
                n -= len;
        }
        return 0;
}

int recipe_put_content(struct recipe_writer *w, uint64_t offset, uint64_t n, struct err **reterr)
{
        w->total += n;
        if (w->raw_len > 0 || (w->content_len > 0 && w->content_at + w->content_len != offset)) {
                int r = flush_record(w, reterr);

                if (r < 0)
                        return r;
        }
        if (w->content_len == 0)
                w->content_at = offset;
        w->content_len += n;
        return 0;
}

int recipe_put_node(struct recipe_writer *w, const struct recipe_node *n, struct err **reterr)
{
        uint64_t v[] = {n->uid, n->gid, n->mode, strlen(n->path)};
        int r = flush_record(w, reterr);

        if (r == 0)
                r = put_head(w, 'N', v, 4, reterr);
        return r < 0 ? r : compress(w, n->path, v[3], ZSTD_e_continue, reterr);
}

int recipe_put_kept(struct recipe_writer *w, const char *path, uint64_t k, struct err **reterr)
{
        uint64_t v[] = {k, strlen(path)};
        int r = flush_record(w, reterr);

        if (r == 0)
                r = put_head(w, 'K', v, 2, reterr);
        return r < 0 ? r : compress(w, path, v[1], ZSTD_e_continue, reterr);
}

int recipe_create(int layer_fd, struct recipe_writer **ret, struct err **reterr)
{
        AUTO(recipe_writer_freep) struct recipe_writer *w = xnew(struct recipe_writer);
        int r;

        w->fd = openat(layer_fd, RECIPE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                       0644);
        if (w->fd < 0)
                return err_sys(reterr, errno, "make the layer's recipe");
        w->zstd = ZSTD_createCCtx();
        if (!w->zstd)
                return err_sys(reterr, ENOMEM, "make the layer's recipe");
        (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
        (void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
        w->out = xmalloc(OUT_SIZE);
        w->raw = xmalloc(RAW_SIZE);
        r = compress(w, magic, MAGIC_LEN, ZSTD_e_continue, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

int recipe_finish(struct recipe_writer *w, uint64_t *ret_disk, struct err **reterr)
{
        struct stat st;
        int r = flush_record(w, reterr);

        if (r == 0)
                r = put_head(w, 'E', &w->total, 1, reterr);
        if (r == 0)
                r = compress(w, NULL, 0, ZSTD_e_end, reterr);
        if (r < 0)
                return r;
        if (fstat(w->fd, &st) < 0)
                return err_sys(reterr, errno, "write the layer's recipe");
        *ret_disk = (uint64_t)st.st_blocks * 512;
        return 0;
}

struct recipe_writer *recipe_writer_free(struct recipe_writer *w)
{
        if (!w)
                return NULL;
        (void)fd_close(w->fd);
        (void)ZSTD_freeCCtx(w->zstd);
        free(w->out);
        free(w->raw);
        free(w);
        return NULL;
}

/* ---- reader ---- */

struct recipe_reader {
        int fd;
        struct stream *s;
        uint64_t raw_left;
        uint64_t total;
        char path[TAR_NAME_MAX + 1];
};

static int damaged(struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "the layer's recipe is damaged");
}

static int get_byte(struct recipe_reader *r, unsigned char *ret, struct err **reterr)
{
        ssize_t n = stream_read(r->s, ret, 1, reterr);

        if (n < 0)
                return (int)n;
        return n == 0 ? damaged(reterr) : 0;
}

static int get_number(struct recipe_reader *r, uint64_t max, uint64_t *ret, struct err **reterr)
{
        uint64_t v = 0;
        unsigned char c = 0x80;

        for (unsigned shift = 0; c & 0x80; shift += 7) {
                int e = get_byte(r, &c, reterr);

                if (e < 0)
                        return e;
                if (shift >= 64 || (shift == 63 && (c & 0x7f) > 1))
                        return damaged(reterr);
                v |= (uint64_t)(c & 0x7f) << shift;
        }
        if (v > max)
                return damaged(reterr);
        *ret = v;
        return 0;
}

static int get_u32(struct recipe_reader *r, uint32_t *ret, struct err **reterr)
{
        uint64_t v = 0;
        int e = get_number(r, UINT32_MAX, &v, reterr);

        *ret = (uint32_t)v;
        return e;
}

static int get_path(struct recipe_reader *r, const char **ret, struct err **reterr)
{
        uint64_t n = 0;
        int e = get_number(r, TAR_NAME_MAX, &n, reterr);
        ssize_t len;

        if (e < 0)
                return e;
        len = stream_read(r->s, r->path, (size_t)n, reterr);
        if (len < 0)
                return (int)len;
        r->path[n] = '\0';
        *ret = r->path;
        return (uint64_t)len != n || strlen(r->path) != n ? damaged(reterr) : 0;
}

static int get_raw(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr)
{
        size_t n;
        int e = stream_peek(r->s, &ret->data, &n, reterr);

        if (e < 0)
                return e;
        if (n == 0)
                return damaged(reterr);
        n = (size_t)MIN((uint64_t)n, r->raw_left);
        stream_consume(r->s, n);
        r->raw_left -= n;
        r->total += n;
        ret->type = RECIPE_RAW;
        ret->n = n;
        return 0;
}

static int get_node(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr)
{
        int e = get_u32(r, &ret->node.uid, reterr);

        if (e == 0)
                e = get_u32(r, &ret->node.gid, reterr);
        if (e == 0)
                e = get_u32(r, &ret->node.mode, reterr);
        ret->type = RECIPE_NODE;
        return e < 0 ? e : get_path(r, &ret->node.path, reterr);
}

static int get_content(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr)
{
        int e = get_number(r, INT64_MAX, &ret->offset, reterr);

        if (e == 0)
                e = get_number(r, INT64_MAX - ret->offset, &ret->n, reterr);
        ret->type = RECIPE_CONTENT;
        r->total += ret->n;
        return e;
}

static int get_end(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr)
{
        const void *p;
        size_t n = 0;
        int e = get_number(r, UINT64_MAX, &ret->n, reterr);

        ret->type = RECIPE_END;
        if (e == 0)
                e = stream_peek(r->s, &p, &n, reterr); /* reads and checks zstd's checksum */
        if (e == 0 && (n > 0 || ret->n != r->total))
                e = damaged(reterr);
        return e;
}

int recipe_next(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr)
{
        unsigned char letter;
        int e;

        *ret = (struct recipe_record){0};
        if (r->raw_left > 0)
                return get_raw(r, ret, reterr);
        e = get_byte(r, &letter, reterr);
        if (e < 0)
                return e;
        switch (letter) {
        case 'R':
                e = get_number(r, INT64_MAX, &r->raw_left, reterr);
                if (e == 0 && r->raw_left == 0)
                        e = damaged(reterr);
                return e < 0 ? e : get_raw(r, ret, reterr);
        case 'N':
                return get_node(r, ret, reterr);
        case 'C':
                return get_content(r, ret, reterr);
        case 'K':
                ret->type = RECIPE_KEPT;
                e = get_number(r, UINT64_MAX, &ret->k, reterr);
                return e < 0 ? e : get_path(r, &ret->node.path, reterr);
        case 'E':
                return get_end(r, ret, reterr);
        default:
                return damaged(reterr);
        }
}

int recipe_open(int layer_fd, struct recipe_reader **ret, struct err **reterr)
{
        AUTO(recipe_reader_freep) struct recipe_reader *r = xnew(struct recipe_reader);
        struct stream_opts o = STREAM_OPTS_INIT;
        char got[MAGIC_LEN];
        ssize_t n;
        int e;

        r->fd = openat(layer_fd, RECIPE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (r->fd < 0)
                return err_sys(reterr, errno, "open the layer's recipe");
        o.fd = r->fd;
        o.what = "the layer's recipe";
        o.no_digest = true;
        e = stream_open(&o, &r->s, reterr);
        if (e < 0)
                return e;
        n = stream_read(r->s, got, MAGIC_LEN, reterr);
        if (n < 0)
                return (int)n;
        if (n != (ssize_t)MAGIC_LEN || memcmp(got, magic, MAGIC_LEN) != 0)
                return damaged(reterr);
        *ret = TAKE_PTR(r);
        return 0;
}

struct recipe_reader *recipe_reader_free(struct recipe_reader *r)
{
        if (!r)
                return NULL;
        (void)stream_free(r->s);
        (void)fd_close(r->fd);
        free(r);
        return NULL;
}
