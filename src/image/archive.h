/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * archive — an archive of images as a set of named files, whatever it comes as:
 *
 *   directory   files are opened by name, inside the directory
 *   file        a plain tar that can be read at any place: scanned once for names and places, content is skipped
 *   stream      a pipe, or a compressed tar: one pass. Small documents are kept in a file of the transaction; every file that
 *               is an archive itself is unpacked as a layer at once, on top of nothing, since it can't be asked for again
 *
 * Names are cleaned and relative; symlinks and hard links inside the archive are followed. Of two entries with one name the later counts.
 */
#include "base/macros.h"
#include "image/decompress.h"
#include "image/layer_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct tool;
struct store_txn;
struct archive;

struct archive_opts {
        struct tool *tool;
        struct store_txn *txn;
        int fd;           /* borrowed */
        const char *what; /* the user's name for it */
};
int archive_open(const struct archive_opts *o, struct archive **ret, struct err **reterr);
struct archive *archive_free(struct archive *a);
DEFINE_CLEANUP(struct archive *, archive_free);

const char *archive_what(const struct archive *a);
bool archive_has(const struct archive *a, const char *name);
/* A document of at most 4 MiB. ERR_NOT_FOUND when there is none of that name. NUL-terminated; caller owns. */
int archive_read(struct archive *a, const char *name, char **ret, size_t *ret_len,
                 struct err **reterr);

/* What a stream's layer became when it passed. */
struct archive_layer {
        char dir[24];  /* in the transaction; "" when it was not unpacked */
        char blob[24]; /* its compressed bytes, in the transaction; "" when it was not compressed */
        char *failure; /* why it could not be unpacked */
        bool stored;   /* was in the store already, only its digest was looked at */
        char name[LAYER_NAME_MAX];
        char diff_id[72], blob_digest[72];
        uint64_t blob_size;
        bool needs_lower;
};
bool archive_is_stream(const struct archive *a);
bool archive_is_directory(const struct archive *a);
/* Stream only; NULL when no layer of that name passed. */
struct archive_layer *archive_layer(struct archive *a, const char *name);

/* Directory and file only: the bytes of a layer. @tee_fd gets them too (-EBADF: none). */
struct archive_source;
struct archive_stream_opts {
        const char *item; /* for progress */
        uint64_t size;    /* it must have; 0: any */
        int tee_fd;
        bool plain; /* don't decompress */
};
int archive_open_layer(struct archive *a, const char *name, const struct archive_stream_opts *o,
                       struct archive_source **ret, struct err **reterr);
struct stream *archive_source_stream(struct archive_source *s); /* borrowed */
struct archive_source *archive_source_free(struct archive_source *s);
DEFINE_CLEANUP(struct archive_source *, archive_source_free);

/* By the first bytes, as far as they were there. */
enum archive_sniff { SNIFF_JSON, SNIFF_TAR, SNIFF_COMPRESSED, SNIFF_OTHER, SNIFF_COUNT };
enum archive_sniff archive_sniff(const void *data, size_t n);
/* "./a/../b" → "b", "/x" → "x"; never leads outside. Caller owns. */
char *archive_clean_name(const char *name);
