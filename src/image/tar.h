/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tar — reading tar archives: v7, ustar, GNU (long names, base-256, sparse 'S'), PAX (x; g is ignored; sparse 0.0, 0.1, 1.0; SCHILY.xattr
 * and LIBARCHIVE.xattr). Streaming; hostile input; nothing is trusted, every size has a limit before memory is taken.
 *
 * Every byte of the archive that is not file content is handed to .raw in order (headers, records, padding, trailer); the content is
 * what tar_data() gives. The two together are the archive, byte for byte.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct stream;
struct tar;

#define TAR_NAME_MAX   4095u           /* PATH_MAX less the NUL */
#define TAR_META_MAX   (1024u * 1024u) /* one PAX header or GNU long name */
#define TAR_MAX_SPARSE 65536u          /* segments of one file */

enum tar_type {
        TAR_FILE,
        TAR_HARDLINK,
        TAR_SYMLINK,
        TAR_CHAR,
        TAR_BLOCK,
        TAR_DIR,
        TAR_FIFO,
        TAR_OTHER,
        TAR_TYPE_COUNT
};

struct tar_xattr {
        char *name;
        void *value;
        size_t size;
};
struct tar_segment {
        uint64_t offset, size;
};
/* Owned by the reader, valid until the next tar_next(). Names contain no NUL, are not cleaned in any other way. */
struct tar_entry {
        enum tar_type type;
        char typeflag; /* as in the header */
        const char *path, *link;
        const char *uname, *gname;
        uint64_t size;      /* apparent size of a file, 0 for types without content */
        uint64_t data_size; /* bytes that tar_data() gives */
        uint32_t mode;      /* 07777 */
        uint32_t uid, gid;
        uint32_t dev_major, dev_minor;
        int64_t mtime;
        uint32_t mtime_ns;
        const struct tar_xattr *xattrs;
        size_t n_xattrs;
        const struct tar_segment *
            segments; /* sparse files: ascending, disjoint, inside size; the data are these pieces in order */
        size_t n_segments;
        bool sparse;
};

struct tar_opts {
        int (*raw)(void *userdata, const void *data, size_t n, struct err **reterr); /* NULL ok */
        void *userdata;
        uint64_t max_entries; /* 0: none */
};
struct tar *tar_open(struct stream *s, const struct tar_opts *o); /* the stream is borrowed */
struct tar *tar_free(struct tar *t);
DEFINE_CLEANUP(struct tar *, tar_free);

/* 1: *ret is the next entry; 0: end (what follows the end, to the end of the stream, has gone to .raw); < 0. Content not taken is
 * skipped (and given to .raw). */
int tar_next(struct tar *t, const struct tar_entry **ret, struct err **reterr);
/* Borrows the next piece of the entry's content (*ret_n = 0 at its end) and takes it. Valid until the next call. */
int tar_data(struct tar *t, const void **ret, size_t *ret_n, struct err **reterr);
/* The same as a read: bytes read, 0 at the end of the entry. */
ssize_t tar_read(struct tar *t, void *buf, size_t n, struct err **reterr);
