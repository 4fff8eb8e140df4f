/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tar_encode — the headers of one entry of an archive of files: ustar, with PAX records for what has no place there (long names, large numbers, fractions
 * of seconds, extended attributes, holes). The same entry gives the same bytes. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct xattrs;
struct tar_segment;

struct tar_file {
        const char *path; /* a directory's ends with a slash */
        char type;        /* '0' file, '1' hard link, '2' symbolic link, '5' directory, '6' fifo */
        uint32_t mode, uid, gid;
        int64_t mtime;
        uint32_t mtime_ns;
        uint64_t size;                      /* apparent */
        const char *link;                   /* target; NULL: none */
        const struct xattrs *xattrs;        /* NULL: none */
        const struct tar_segment *segments; /* of a file with holes; NULL: it has none */
        size_t n_segments;
};
#define TAR_ENCODE_BLOCK 512U
/* Appends everything that stands before the content. *ret_content: bytes of content that have to follow, before padding to a block. */
void tar_encode(struct strbuf *b, const struct tar_file *f, uint64_t *ret_content);
/* An archive can hold attributes whose names contain no '='. */
bool tar_encode_takes_xattr(const char *name);
