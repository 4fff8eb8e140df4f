/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *   tar_next() first skips what is left of the entry in hand, then reads header blocks until one makes an entry: x, L and K records fill
 *   t->meta, which overrides the header that follows. An entry's data is counted down in t->left; what of it is no file content
 *   (the map of a sparse 1.0 file, data of directories) goes to .raw like headers do. Memory: one meta record (≤ 1 MiB) and the entry.
 */
#include "image/tar.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/parse.h"
#include "image/decompress.h"
#include "image/tar_internal.h"

#define SPARSE_MAP_MAX (2u * 1024u * 1024u) /* text of a 1.0 map */

struct tar {
        struct stream *s;
        struct tar_opts o;
        struct tar_header header;
        struct tar_meta meta;
        struct tar_entry entry;
        uint64_t entries;
        uint64_t left;    /* of the entry's data in the stream */
        unsigned padding; /* behind it, to the next block */
        bool end;
};

struct tar *tar_open(struct stream *s, const struct tar_opts *o)
{
        struct tar *t = xnew(struct tar);

        t->s = s;
        if (o)
                t->o = *o;
        return t;
}

struct tar *tar_free(struct tar *t)
{
        if (!t)
                return NULL;
        tar_meta_release(&t->meta);
        free(t);
        return NULL;
}

/* ---- bytes ---- */

static int give_raw(struct tar *t, const void *data, size_t n, struct err **reterr)
{
        return t->o.raw && n > 0 ? t->o.raw(t->o.userdata, data, n, reterr) : 0;
}

static int truncated(struct tar *t, struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "%s: the archive ends in the middle of an entry",
                       stream_what(t->s));
}

static int damaged(struct tar *t, const char *why, struct err **reterr)
{
        return err_new(reterr, ERR_INVALID, "%s: '%s': %s", stream_what(t->s),
                       t->meta.path ? t->meta.path : t->header.path, why);
}

/* Passes @n bytes to .raw, and into @copy when there is one. */
static int pass_raw(struct tar *t, uint64_t n, char *copy, struct err **reterr)
{
        while (n > 0) {
                const void *p;
                size_t len;
                int r = stream_peek(t->s, &p, &len, reterr);

                if (r < 0)
                        return r;
                if (len == 0)
                        return truncated(t, reterr);
                len = (size_t)MIN((uint64_t)len, n);
                r = give_raw(t, p, len, reterr);
                if (r < 0)
                        return r;
                if (copy) {
                        memcpy(copy, p, len);
                        copy += len;
                }
                stream_consume(t->s, len);
                n -= len;
        }
        return 0;
}

/* 1: a block, given to .raw; 0: the stream ends here. */
static int read_block(struct tar *t, unsigned char block[TAR_BLOCK_SIZE], struct err **reterr)
{
        ssize_t n = stream_read(t->s, block, TAR_BLOCK_SIZE, reterr);
        int r;

        if (n <= 0)
                return (int)n;
        if (n < (ssize_t)TAR_BLOCK_SIZE)
                return truncated(t, reterr);
        r = give_raw(t, block, TAR_BLOCK_SIZE, reterr);
        return r < 0 ? r : 1;
}

static unsigned padding_of(uint64_t n)
{
        return (unsigned)(-n & (TAR_BLOCK_SIZE - 1));
}

/* ---- records that override the next header ---- */

static int read_meta(struct tar *t, char **ret, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        uint64_t n = (uint64_t)t->header.size;
        int r;

        if (t->header.size < 0 || n > TAR_META_MAX)
                return damaged(t, "extended header is too large", reterr);
        data = xmalloc(n + 1);
        r = pass_raw(t, n, data, reterr);
        if (r < 0)
                return r;
        data[n] = '\0';
        r = pass_raw(t, padding_of(n), NULL, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(data);
        return 0;
}

static int read_long_name(struct tar *t, char **slot, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        int r = read_meta(t, &data, reterr);

        if (r < 0)
                return r;
        free(*slot);
        *slot = TAKE_PTR(data); /* ends at the first NUL, as GNU tar writes it */
        return 0;
}

static int read_pax(struct tar *t, struct err **reterr)
{
        AUTO_FREE char *data = NULL;
        const char *what = NULL;
        int r = read_meta(t, &data, reterr);

        if (r < 0)
                return r;
        if (tar_pax_parse(data, (size_t)t->header.size, &t->meta, &what) < 0)
                return damaged(t, what, reterr);
        return 0;
}

static int skip_record(struct tar *t, struct err **reterr)
{
        uint64_t n = (uint64_t)t->header.size;

        if (t->header.size < 0)
                return damaged(t, "negative size", reterr);
        return pass_raw(t, n + padding_of(n), NULL, reterr);
}

/* 1: it was such a record; 0: a header of an entry. */
static int take_record(struct tar *t, struct err **reterr)
{
        int r;

        switch (t->header.typeflag) {
        case 'x':
        case 'X': /* Solaris' early PAX */
                r = read_pax(t, reterr);
                break;
        case 'L':
                r = read_long_name(t, &t->meta.path, reterr);
                break;
        case 'K':
                r = read_long_name(t, &t->meta.link, reterr);
                break;
        case 'g': /* global defaults: ignored, as Docker does; git archives hold a commit id there */
        case 'V': /* volume label */
                r = skip_record(t, reterr);
                break;
        case 'M':
                return damaged(t, "part of an archive of several volumes", reterr);
        default:
                return 0;
        }
        return r < 0 ? r : 1;
}

/* ---- sparse maps in the data ---- */

/* Old GNU: four pieces in the header, more in blocks behind it. */
static int read_gnu_sparse(struct tar *t, const unsigned char *header, struct err **reterr)
{
        unsigned char block[TAR_BLOCK_SIZE];
        const unsigned char *p = header + 386;
        unsigned pieces = 4;
        bool more = header[482] != 0;
        int64_t size;
        int r;

        if (tar_number(header + 483, 12, &size) < 0 || size < 0)
                return damaged(t, "damaged sparse header", reterr);
        t->meta.sparse_size = (uint64_t)size;
        t->meta.has_sparse_size = true;
        for (;;) {
                for (unsigned i = 0; i < pieces; i++)
                        if (tar_sparse_add_field(&t->meta.sparse, p + (size_t)i * 24) < 0)
                                return damaged(t, "damaged sparse map", reterr);
                if (!more)
                        return 0;
                r = read_block(t, block, reterr);
                if (r <= 0)
                        return r < 0 ? r : truncated(t, reterr);
                p = block;
                pieces = 21;
                more = block[504] != 0;
        }
}

/* A decimal number and its newline, out of the blocks of a 1.0 map. */
struct map_reader {
        unsigned char block[TAR_BLOCK_SIZE];
        unsigned pos;
        uint64_t blocks;
};

static int map_number(struct tar *t, struct map_reader *m, uint64_t *ret, struct err **reterr)
{
        uint64_t v = 0;
        unsigned digits = 0;

        for (;;) {
                unsigned char c;

                if (m->pos == TAR_BLOCK_SIZE) {
                        int r;

                        if ((m->blocks + 1) * TAR_BLOCK_SIZE > MIN(t->left, SPARSE_MAP_MAX))
                                return damaged(t, "damaged sparse map", reterr);
                        r = read_block(t, m->block, reterr);
                        if (r <= 0)
                                return r < 0 ? r : truncated(t, reterr);
                        m->blocks++;
                        m->pos = 0;
                }
                c = m->block[m->pos++];
                if (c == '\n' && digits > 0)
                        break;
                if (c < '0' || c > '9' || ++digits > 19)
                        return damaged(t, "damaged sparse map", reterr);
                v = v * 10 + (uint64_t)(c - '0');
        }
        *ret = v;
        return 0;
}

static int read_sparse_map(struct tar *t, struct err **reterr)
{
        struct map_reader m = {.pos = TAR_BLOCK_SIZE};
        uint64_t n, offset, size;
        int r = map_number(t, &m, &n, reterr);

        for (uint64_t i = 0; r == 0 && i < n; i++) {
                r = map_number(t, &m, &offset, reterr);
                if (r == 0)
                        r = map_number(t, &m, &size, reterr);
                if (r == 0 && tar_sparse_add(&t->meta.sparse, offset, size) < 0)
                        r = damaged(t, "damaged sparse map", reterr);
        }
        if (r == 0)
                t->left -= m.blocks * TAR_BLOCK_SIZE;
        return r;
}

/* The pieces must add up to the data, and lie inside the file. */
static int check_sparse(struct tar *t, struct err **reterr)
{
        struct tar_sparse *s = &t->meta.sparse;
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n; i++)
                sum += s->v[i].size;
        if (sum != t->left || t->entry.size > INT64_MAX ||
            (s->n && s->v[s->n - 1].offset + s->v[s->n - 1].size > t->entry.size))
                return damaged(t, "the sparse map does not fit the data", reterr);
        t->entry.segments = s->v;
        t->entry.n_segments = s->n;
        return 0;
}

static int take_sparse(struct tar *t, const unsigned char *block, struct err **reterr)
{
        struct tar_meta *m = &t->meta;
        int r = 0;

        if (t->header.typeflag == 'S')
                r = read_gnu_sparse(t, block, reterr);
        else if (m->has_sparse_version && m->sparse_major == 1 && m->sparse_minor == 0)
                r = read_sparse_map(t, reterr);
        else if (m->has_sparse_version && m->sparse_major > 0)
                r = damaged(t, "unknown version of sparse file", reterr);
        else if (!m->has_sparse_map)
                return 0;
        if (r < 0)
                return r;
        if (!m->has_sparse_size)
                return damaged(t, "sparse file without its size", reterr);
        t->entry.sparse = true;
        t->entry.size = m->sparse_size;
        return check_sparse(t, reterr);
}

/* ---- entries ---- */

static enum tar_type type_of(const struct tar_header *h, const char *path)
{
        size_t n = strlen(path);

        switch (h->typeflag) {
        case '\0': /* v7 marks directories by a slash only */
        case '0':
                return n > 0 && path[n - 1] == '/' ? TAR_DIR : TAR_FILE;
        case '7': /* contiguous */
        case 'S':
                return TAR_FILE;
        case '1':
                return TAR_HARDLINK;
        case '2':
                return TAR_SYMLINK;
        case '3':
                return TAR_CHAR;
        case '4':
                return TAR_BLOCK;
        case '5':
        case 'D': /* GNU's incremental dumps: the data is a list of names */
                return TAR_DIR;
        case '6':
                return TAR_FIFO;
        default:
                return TAR_OTHER;
        }
}

/* Types whose size field, whatever it says, announces no data (POSIX; archives that have a size there exist). */
static bool is_header_only(char typeflag)
{
        return typeflag >= '1' && typeflag <= '6';
}

static int take_owner(struct tar *t, struct err **reterr)
{
        const struct tar_meta *m = &t->meta;
        const struct {
                bool has;
                uint64_t pax;
                int64_t header;
                uint32_t *to;
                const char *what;
        } ids[] = {
            {m->has_uid, m->uid, t->header.uid, &t->entry.uid, "user id"},
            {m->has_gid, m->gid, t->header.gid, &t->entry.gid, "group id"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                uint64_t v = ids[i].has ? ids[i].pax : (uint64_t)ids[i].header;

                if (v >= UINT32_MAX) /* the last one is "no id" to every system call */
                        return err_new(reterr, ERR_INVALID, "%s: '%s': %s is out of range",
                                       stream_what(t->s), t->entry.path, ids[i].what);
                *ids[i].to = (uint32_t)v;
        }
        return 0;
}

static int take_size(struct tar *t, struct err **reterr)
{
        uint64_t size = t->meta.has_size ? t->meta.size : (uint64_t)t->header.size;

        if (size > INT64_MAX)
                return damaged(t, "size is out of range", reterr);
        t->left = is_header_only(t->header.typeflag) ? 0 : size;
        t->padding = padding_of(t->left);
        t->entry.size = t->left;
        return 0;
}

static int take_names(struct tar *t, struct err **reterr)
{
        const struct tar_meta *m = &t->meta;
        struct tar_entry *e = &t->entry;

        e->path = m->sparse_name ? m->sparse_name : m->path ? m->path : t->header.path;
        e->link = m->link ? m->link : t->header.link;
        e->uname = m->uname ? m->uname : t->header.uname;
        e->gname = m->gname ? m->gname : t->header.gname;
        if (strlen(e->path) > TAR_NAME_MAX || strlen(e->link) > TAR_NAME_MAX)
                return err_new(reterr, ERR_INVALID, "%s: '%.60s…': name is too long",
                               stream_what(t->s), e->path);
        return 0;
}

static int make_entry(struct tar *t, const unsigned char *block, struct err **reterr)
{
        const struct tar_header *h = &t->header;
        struct tar_entry *e = &t->entry;
        int r;

        *e = (struct tar_entry){
            .typeflag = h->typeflag,
            .mode = (uint32_t)h->mode & 07777,
            .dev_major = (uint32_t)h->dev_major,
            .dev_minor = (uint32_t)h->dev_minor,
            .mtime = t->meta.has_mtime ? t->meta.mtime : h->mtime,
            .mtime_ns = t->meta.has_mtime ? t->meta.mtime_ns : 0,
            .xattrs = t->meta.xattrs,
            .n_xattrs = t->meta.n_xattrs,
        };
        r = take_names(t, reterr);
        if (r == 0)
                r = take_size(t, reterr);
        if (r == 0)
                r = take_owner(t, reterr);
        if (r < 0)
                return r;
        e->type = type_of(h, e->path);
        if (e->type == TAR_FILE)
                r = take_sparse(t, block, reterr);
        e->data_size = t->left;
        return r;
}

/* Everything up to the end of the stream belongs to the archive: padding to a record of 10 KiB, mostly. */
static int take_trailer(struct tar *t, struct err **reterr)
{
        unsigned char block[TAR_BLOCK_SIZE];
        int r = read_block(t, block, reterr);

        t->end = true;
        if (r <= 0)
                return r;
        if (!tar_block_is_zero(block))
                return err_new(reterr, ERR_INVALID, "%s: a block of zeros between the entries",
                               stream_what(t->s));
        for (;;) {
                const void *p;
                size_t n;

                r = stream_peek(t->s, &p, &n, reterr);
                if (r < 0 || n == 0)
                        return r;
                r = give_raw(t, p, n, reterr);
                if (r < 0)
                        return r;
                stream_consume(t->s, n);
        }
}

static int read_header(struct tar *t, unsigned char block[TAR_BLOCK_SIZE], struct err **reterr)
{
        int r = read_block(t, block, reterr);

        if (r < 0)
                return r;
        if (r == 0) {
                t->end = true;
                return 0;
        }
        if (tar_block_is_zero(block)) {
                r = take_trailer(t, reterr);
                return r < 0 ? r : 0;
        }
        t->entries++;
        if (t->o.max_entries && t->entries > t->o.max_entries)
                return err_new(reterr, ERR_INVALID, "%s: more than the limit of %llu entries",
                               stream_what(t->s), (unsigned long long)t->o.max_entries);
        if (tar_header_parse(block, &t->header) < 0)
                return err_new(reterr, ERR_INVALID, "%s: %s", stream_what(t->s),
                               t->entries == 1 ? "this is not a tar archive"
                                               : "damaged tar header");
        return 1;
}

int tar_next(struct tar *t, const struct tar_entry **ret, struct err **reterr)
{
        unsigned char block[TAR_BLOCK_SIZE];
        int r = pass_raw(t, t->left + t->padding, NULL, reterr);

        if (r < 0)
                return r;
        t->left = t->padding = 0;
        tar_meta_release(&t->meta);
        while (!t->end) {
                r = read_header(t, block, reterr);
                if (r <= 0)
                        return r;
                r = take_record(t, reterr);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                r = make_entry(t, block, reterr);
                if (r < 0)
                        return r;
                *ret = &t->entry;
                return 1;
        }
        return 0;
}

int tar_data(struct tar *t, const void **ret, size_t *ret_n, struct err **reterr)
{
        size_t n;
        int r;

        *ret_n = 0;
        if (t->left == 0)
                return 0;
        r = stream_peek(t->s, ret, &n, reterr);
        if (r < 0)
                return r;
        if (n == 0)
                return truncated(t, reterr);
        n = (size_t)MIN((uint64_t)n, t->left);
        stream_consume(t->s, n); /* the bytes stay where they are until the next peek */
        t->left -= n;
        *ret_n = n;
        return 0;
}

ssize_t tar_read(struct tar *t, void *buf, size_t n, struct err **reterr)
{
        ssize_t r = stream_read(t->s, buf, (size_t)MIN((uint64_t)n, t->left), reterr);

        if (r < 0)
                return r;
        if (r == 0 && n > 0 && t->left > 0)
                return truncated(t, reterr);
        t->left -= (uint64_t)r;
        return r;
}
