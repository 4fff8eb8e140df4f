/* SPDX-License-Identifier: Apache-2.0 */
#include "image/decompress_internal.h"

#include <assert.h>
#include <bzlib.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"

/* The largest dictionaries that the tools make: zstd --long=27, xz -9. More is refused instead of taken from the machine's memory. */
#define ZSTD_WINDOW_LOG_MAX 27
#define XZ_MEMORY_MAX       (96u << 20)

struct decoder {
        union {
                z_stream gzip;
                ZSTD_DCtx *zstd;
                lzma_stream xz;
                bz_stream bzip2;
        };
};

/* ---- gzip ---- */

static struct decoder *gzip_make(void)
{
        struct decoder *d = xnew(struct decoder);

        if (inflateInit2(&d->gzip, 15 + 16) != Z_OK) { /* + 16: gzip framing only */
                free(d);
                return NULL;
        }
        return d;
}

static enum decode_result gzip_run(struct decoder *d, struct decode_window *w)
{
        int r;

        d->gzip.next_in = (unsigned char *)w->in;
        d->gzip.avail_in = (unsigned)w->in_len;
        d->gzip.next_out = w->out;
        d->gzip.avail_out = (unsigned)w->out_len;
        r = inflate(&d->gzip, Z_NO_FLUSH);
        w->in = d->gzip.next_in;
        w->in_len = d->gzip.avail_in;
        w->out = d->gzip.next_out;
        w->out_len = d->gzip.avail_out;
        if (r == Z_STREAM_END)
                return DECODE_BOUNDARY;
        if (r == Z_MEM_ERROR)
                return DECODE_NO_MEMORY;
        return r == Z_OK || r == Z_BUF_ERROR ? DECODE_MORE : DECODE_DAMAGED;
}

static enum decode_result gzip_reset(struct decoder *d)
{
        return inflateReset(&d->gzip) == Z_OK ? DECODE_MORE : DECODE_DAMAGED;
}

static void gzip_free(struct decoder *d)
{
        (void)inflateEnd(&d->gzip);
        free(d);
}

/* ---- zstd ---- */

static struct decoder *zstd_make(void)
{
        struct decoder *d = xnew(struct decoder);

        d->zstd = ZSTD_createDCtx();
        if (!d->zstd) {
                free(d);
                return NULL;
        }
        (void)ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
        return d;
}

static enum decode_result zstd_run(struct decoder *d, struct decode_window *w)
{
        ZSTD_inBuffer in = {w->in, w->in_len, 0};
        ZSTD_outBuffer out = {w->out, w->out_len, 0};
        size_t r = ZSTD_decompressStream(d->zstd, &out, &in);

        w->in += in.pos;
        w->in_len -= in.pos;
        w->out += out.pos;
        w->out_len -= out.pos;
        if (!ZSTD_isError(r))
                return r == 0 ? DECODE_BOUNDARY : DECODE_MORE;
        return ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge ? DECODE_TOO_BIG
                                                                                : DECODE_DAMAGED;
}

static enum decode_result zstd_reset(struct decoder *d)
{
        (void)ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
        return DECODE_MORE;
}

static void zstd_free(struct decoder *d)
{
        (void)ZSTD_freeDCtx(d->zstd);
        free(d);
}

/* ---- xz ---- */

static struct decoder *xz_make(void)
{
        struct decoder *d = xnew(struct decoder);

        if (lzma_stream_decoder(&d->xz, XZ_MEMORY_MAX, 0) != LZMA_OK) {
                free(d);
                return NULL;
        }
        return d;
}

static enum decode_result xz_run(struct decoder *d, struct decode_window *w)
{
        lzma_ret r;

        d->xz.next_in = w->in;
        d->xz.avail_in = w->in_len;
        d->xz.next_out = w->out;
        d->xz.avail_out = w->out_len;
        r = lzma_code(&d->xz, LZMA_RUN);
        w->in = d->xz.next_in;
        w->in_len = d->xz.avail_in;
        w->out = d->xz.next_out;
        w->out_len = d->xz.avail_out;
        if (r == LZMA_STREAM_END)
                return DECODE_BOUNDARY;
        if (r == LZMA_MEMLIMIT_ERROR)
                return DECODE_TOO_BIG;
        if (r == LZMA_MEM_ERROR)
                return DECODE_NO_MEMORY;
        return r == LZMA_OK || r == LZMA_BUF_ERROR ? DECODE_MORE : DECODE_DAMAGED;
}

static enum decode_result xz_reset(struct decoder *d)
{
        return lzma_stream_decoder(&d->xz, XZ_MEMORY_MAX, 0) == LZMA_OK ? DECODE_MORE
                                                                        : DECODE_NO_MEMORY;
}

static void xz_free(struct decoder *d)
{
        lzma_end(&d->xz);
        free(d);
}

/* ---- bzip2 ---- */

static struct decoder *bzip2_make(void)
{
        struct decoder *d = xnew(struct decoder);

        if (BZ2_bzDecompressInit(&d->bzip2, 0, 0) != BZ_OK) {
                free(d);
                return NULL;
        }
        return d;
}

static enum decode_result bzip2_run(struct decoder *d, struct decode_window *w)
{
        int r;

        d->bzip2.next_in = (char *)w->in;
        d->bzip2.avail_in = (unsigned)w->in_len;
        d->bzip2.next_out = (char *)w->out;
        d->bzip2.avail_out = (unsigned)w->out_len;
        r = BZ2_bzDecompress(&d->bzip2);
        w->in = (unsigned char *)d->bzip2.next_in;
        w->in_len = d->bzip2.avail_in;
        w->out = (unsigned char *)d->bzip2.next_out;
        w->out_len = d->bzip2.avail_out;
        if (r == BZ_STREAM_END)
                return DECODE_BOUNDARY;
        if (r == BZ_MEM_ERROR)
                return DECODE_NO_MEMORY;
        return r == BZ_OK ? DECODE_MORE : DECODE_DAMAGED;
}

static enum decode_result bzip2_reset(struct decoder *d)
{
        (void)BZ2_bzDecompressEnd(&d->bzip2);
        memset(&d->bzip2, 0, sizeof(d->bzip2));
        return BZ2_bzDecompressInit(&d->bzip2, 0, 0) == BZ_OK ? DECODE_MORE : DECODE_NO_MEMORY;
}

static void bzip2_free(struct decoder *d)
{
        (void)BZ2_bzDecompressEnd(&d->bzip2);
        free(d);
}

const struct decoder_ops decoders[] = {
    [STREAM_PLAIN] = {.name = "plain"},
    [STREAM_GZIP] = {"gzip", "\x1f\x8b\x08", 3, gzip_make, gzip_run, gzip_reset, gzip_free},
    [STREAM_ZSTD] = {"zstd", "\x28\xb5\x2f\xfd", 4, zstd_make, zstd_run, zstd_reset, zstd_free},
    [STREAM_XZ] = {"xz",
                   "\xfd"
                   "7zXZ",
                   6, xz_make, xz_run, xz_reset, xz_free},
    [STREAM_BZIP2] = {"bzip2", "BZh", 3, bzip2_make, bzip2_run, bzip2_reset, bzip2_free},
};
static_assert(sizeof(decoders) / sizeof(decoders[0]) == STREAM_FORMAT_COUNT, "one per format");

enum stream_format decoder_sniff(const unsigned char *p, size_t n)
{
        /* A zstd blob may start with a skippable frame: 0x184D2A50 to 5F, little endian. */
        if (n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18)
                return STREAM_ZSTD;
        for (int f = STREAM_PLAIN + 1; f < STREAM_FORMAT_COUNT; f++)
                if (n >= decoders[f].magic_len &&
                    memcmp(p, decoders[f].magic, decoders[f].magic_len) == 0)
                        return (enum stream_format)f;
        return STREAM_PLAIN;
}
