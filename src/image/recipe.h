/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * recipe — everything of a layer's archive that is not file content, so that archive = recipe + files, byte for byte.
 *
 * A zstd stream: magic, then records: a letter, then unsigned LEB128 numbers, strings with their length in front.
 *   R n bytes            these bytes of the archive
 *   N path uid gid mode  an inode was made at path (resolved, below fs/) with these true owners and mode; contents refer to it
 *   C offset n           n bytes of the archive are the latest inode's content at offset
 *   K path k             what was at path went to kept/<k>, because a later entry took its place
 *   E n                  end; the archive has n bytes
 * Memory: a buffer and zstd's level-1 window on both sides.
 */
#include "base/macros.h"

#include <stddef.h>
#include <stdint.h>

struct err;

#define RECIPE_NAME     "recipe"
#define RECIPE_KEPT_DIR "kept"
#define RECIPE_MAX_KEPT 32768u /* they are sorted in memory when the archive is made again */

struct recipe_node {
        const char *path;
        uint32_t uid, gid, mode;
};

struct recipe_writer;
int recipe_create(int layer_fd, struct recipe_writer **ret, struct err **reterr);
int recipe_put_raw(struct recipe_writer *w, const void *data, size_t n, struct err **reterr);
int recipe_put_node(struct recipe_writer *w, const struct recipe_node *n, struct err **reterr);
int recipe_put_content(struct recipe_writer *w, uint64_t offset, uint64_t n, struct err **reterr);
int recipe_put_kept(struct recipe_writer *w, const char *path, uint64_t k, struct err **reterr);
/* Ends and closes the file; *ret_disk: its blocks. */
int recipe_finish(struct recipe_writer *w, uint64_t *ret_disk, struct err **reterr);
struct recipe_writer *recipe_writer_free(struct recipe_writer *w);
DEFINE_CLEANUP(struct recipe_writer *, recipe_writer_free);

enum recipe_type { RECIPE_RAW, RECIPE_NODE, RECIPE_CONTENT, RECIPE_KEPT, RECIPE_END };
struct recipe_record {
        enum recipe_type type;
        const void *data;        /* RAW: may come in several pieces; borrowed until the next call */
        uint64_t n;              /* RAW, CONTENT, END */
        uint64_t offset;         /* CONTENT */
        uint64_t k;              /* KEPT */
        struct recipe_node node; /* NODE; .path also of KEPT */
};
struct recipe_reader;
int recipe_open(int layer_fd, struct recipe_reader **ret, struct err **reterr);
/* After RECIPE_END there is nothing to read. A damaged recipe is ERR_INVALID. */
int recipe_next(struct recipe_reader *r, struct recipe_record *ret, struct err **reterr);
struct recipe_reader *recipe_reader_free(struct recipe_reader *r);
DEFINE_CLEANUP(struct recipe_reader *, recipe_reader_free);

/* Where the inode of a NODE record is now: kept records that come later may have moved it, under whatever prefix of its path. */
struct recipe_kept;
int recipe_kept_load(int layer_fd, struct recipe_kept **ret, struct err **reterr);
/* @ordinal: of the NODE record, from 0. NULL: still at its path below fs/; else kept/<k>/…, in @buf of 2 * PATH_MAX. */
const char *recipe_kept_find(const struct recipe_kept *k, uint64_t ordinal, const char *path,
                             char *buf, size_t size);
/* Calls @each for every NODE record whose inode is still at its path, in the order of the archive; its failure ends it. */
int recipe_each_in_place(int layer_fd,
                         int (*each)(void *arg, const struct recipe_node *n, struct err **reterr),
                         void *arg, struct err **reterr);
struct recipe_kept *recipe_kept_free(struct recipe_kept *k);
DEFINE_CLEANUP(struct recipe_kept *, recipe_kept_free);
