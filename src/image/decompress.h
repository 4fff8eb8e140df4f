/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * decompress — a stream of archive bytes: source → digest → decompress → digest → reader, in bounded memory.
 *
 * The format is told by its magic, never by a media type or file name: gzip (several members), zstd (several frames, skippable ones),
 * xz, bzip2, anything else is plain. What follows the end of compressed data is ignored by the decoder when it is zero padding, an
 * error otherwise; it always counts for the digest of the source's bytes.
 *
 * Process: kelp-image. With .threaded a second thread reads, decompresses and hashes while the caller uses the bytes; then .read runs
 * in that thread (the caller must leave .userdata alone until stream_free()). The thread makes no struct err.
 * Memory: 2 MiB of buffers, and the window that the archive was compressed with (zstd ≤ 128 MiB, xz ≤ 96 MiB; usual images 8 MiB).
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct stream;

enum stream_format {
        STREAM_PLAIN,
        STREAM_GZIP,
        STREAM_ZSTD,
        STREAM_XZ,
        STREAM_BZIP2,
        STREAM_FORMAT_COUNT,
};
const char *stream_format_name(enum stream_format f); /* "plain", "gzip", … */

/* Fills at most @n bytes: bytes read, 0 at the end, -errno. */
typedef ssize_t (*stream_read_fn)(void *userdata, void *buf, size_t n);

struct stream_opts {
        const char
            *what; /* the user's object for messages: "layer sha256:…", a file name; copied */
        stream_read_fn read; /* NULL: bytes come from .fd (borrowed) */
        void *userdata;
        int fd;
        int tee_fd;           /* gets the source's bytes as they come; -EBADF: none. Borrowed. */
        uint64_t size;        /* the source must hold exactly this many bytes; 0: as many as come */
        uint64_t max_size;    /* limit of the source's bytes; 0: none */
        uint64_t max_content; /* limit of the uncompressed bytes; 0: none */
        uint32_t max_ratio; /* uncompressed : source, looked at beyond 1 GiB of content; 0: none */
        bool plain;         /* take the bytes as they are, whatever the magic */
        bool no_digest;     /* neither digest is wanted */
        bool threaded;
        void (*progress)(void *progress_data, uint64_t source_bytes); /* in the caller's thread */
        void *progress_data;
};
/* What comes from elsewhere is given .max_ratio: gzip's best is 1032, and a disk of zeros in an image compresses to no less. */
#define STREAM_RATIO_MAX 10000u
#define STREAM_OPTS_INIT ((struct stream_opts){.fd = -EBADF, .tee_fd = -EBADF})

/* Reads the first bytes (to tell the format). */
int stream_open(const struct stream_opts *o, struct stream **ret, struct err **reterr);
struct stream *stream_free(struct stream *s); /* joins the thread; NULL ok */
DEFINE_CLEANUP(struct stream *, stream_free);

enum stream_format stream_format(const struct stream *s);
const char *stream_what(const struct stream *s);

/* Borrows the next uncompressed bytes without taking them: *ret_n is 0 at the end only. Valid until the next call. */
int stream_peek(struct stream *s, const void **ret, size_t *ret_n, struct err **reterr);
void stream_consume(struct stream *s, size_t n); /* ≤ what was peeked */
/* Fills @buf as far as the end; bytes read or -errno. */
ssize_t stream_read(struct stream *s, void *buf, size_t n, struct err **reterr);

struct stream_sums {
        char source
            [72]; /* "sha256:<hex>" of the source's bytes: a blob's digest; "" with .no_digest */
        char content[72]; /* of the uncompressed bytes: a layer's diff-id; "" with .no_digest */
        uint64_t source_bytes;
        uint64_t content_bytes;
};
/* Reads what is left, to the end, and gives the digests. */
int stream_finish(struct stream *s, struct stream_sums *ret, struct err **reterr);
