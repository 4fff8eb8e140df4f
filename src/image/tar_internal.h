/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* tar_internal — the pieces of the tar reader: header blocks, PAX records, sparse maps. All pure except where an error is worded. */
#include "image/tar.h"

#define TAR_BLOCK_SIZE 512u

/* What the 512 bytes of a header say, before any PAX or GNU record overrides it. */
struct tar_header {
        char typeflag;
        bool gnu; /* old GNU magic: no name prefix, sparse fields */
        char path[155 + 1 + 100 + 1];
        char link[100 + 1];
        char uname[32 + 1], gname[32 + 1];
        int64_t size, uid, gid, mode, mtime, dev_major, dev_minor;
};
bool tar_block_is_zero(const unsigned char *block);
/* 0, or -EINVAL: checksum or a number is wrong. */
int tar_header_parse(const unsigned char *block, struct tar_header *ret);
/* Octal text or base-256. -EINVAL. */
int tar_number(const unsigned char *p, size_t n, int64_t *ret);
/* "1700000000.123456789", negative too. -EINVAL. */
int tar_time(const char *s, int64_t *ret_s, uint32_t *ret_ns);

struct tar_sparse {
        struct tar_segment *v;
        size_t n, cap;
};
/* Ascending, disjoint, not above INT64_MAX: -EINVAL otherwise, or when there are too many. Empty pieces are left out. */
int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t size);
int tar_sparse_add_field(struct tar_sparse *s,
                         const unsigned char *p); /* 24 bytes of an 'S' header; 0 when unused */

/* Overrides for the next entry, collected from x, L and K records. */
struct tar_meta {
        char *path, *link, *uname, *gname;
        bool has_size, has_uid, has_gid, has_mtime;
        uint64_t size, uid, gid;
        int64_t mtime;
        uint32_t mtime_ns;
        struct tar_xattr *xattrs;
        size_t n_xattrs;

        char *sparse_name;
        uint64_t sparse_major, sparse_minor, sparse_size, sparse_offset;
        bool has_sparse_version, has_sparse_size, has_sparse_map, has_sparse_offset;
        struct tar_sparse sparse;
};
void tar_meta_release(struct tar_meta *m); /* and empties it for the next entry */
/* @data: a whole PAX payload of @n bytes, followed by a NUL. -EINVAL: damaged; *ret_what says what (static text). */
int tar_pax_parse(char *data, size_t n, struct tar_meta *m, const char **ret_what);
