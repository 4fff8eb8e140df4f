/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Places of the fields: POSIX ustar, which v7 and GNU share up to the magic. */
enum {
        AT_NAME = 0,
        AT_MODE = 100,
        AT_UID = 108,
        AT_GID = 116,
        AT_SIZE = 124,
        AT_MTIME = 136,
        AT_CHKSUM = 148,
        AT_TYPE = 156,
        AT_LINK = 157,
        AT_MAGIC = 257,
        AT_UNAME = 265,
        AT_GNAME = 297,
        AT_MAJOR = 329,
        AT_MINOR = 337,
        AT_PREFIX = 345,
        AT_STAR_TRAILER = 508,
};

bool tar_block_is_zero(const unsigned char *block)
{
        return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_SIZE - 1) == 0;
}

static int number_base256(const unsigned char *p, size_t n, int64_t *ret)
{
        bool negative = p[0] & 0x40;
        uint64_t v = negative ? UINT64_MAX : 0;

        for (size_t i = 0; i < n; i++) {
                unsigned char c = p[i];

                if (i == 0) /* the marker bit is no digit; the sign bit is kept */
                        c = negative ? c | 0x80 : c & 0x7f;
                /* What is shifted out must be sign extension only. */
                if ((v >> 55) != (negative ? UINT64_MAX >> 55 : 0))
                        return -EINVAL;
                v = v << 8 | c;
        }
        *ret = (int64_t)v;
        return 0;
}

int tar_number(const unsigned char *p, size_t n, int64_t *ret)
{
        uint64_t v = 0;
        size_t i = 0;

        if (p[0] & 0x80)
                return number_base256(p, n, ret);
        while (i < n && (p[i] == ' ' || p[i] == '\0'))
                i++;
        for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
                if (v >> 60)
                        return -EINVAL;
                v = v << 3 | (uint64_t)(p[i] - '0');
        }
        for (; i < n; i++)
                if (p[i] != ' ' && p[i] != '\0')
                        return -EINVAL;
        *ret = (int64_t)v;
        return 0;
}

/* Some old programs summed signed characters. */
static bool checksum_ok(const unsigned char *block)
{
        int64_t wanted, plain = 0, with_sign = 0;

        if (tar_number(block + AT_CHKSUM, 8, &wanted) < 0)
                return false;
        for (unsigned i = 0; i < TAR_BLOCK_SIZE; i++) {
                unsigned char c = i >= AT_CHKSUM && i < AT_CHKSUM + 8 ? ' ' : block[i];

                plain += c;
                with_sign += (signed char)c;
        }
        return wanted == plain || wanted == with_sign;
}

static void copy_field(char *to, const unsigned char *from, size_t n)
{
        size_t len = strnlen((const char *)from, n);

        memcpy(to, from, len);
        to[len] = '\0';
}

static void copy_path(const unsigned char *b, struct tar_header *h)
{
        bool star = memcmp(b + AT_STAR_TRAILER, "tar", 4) == 0;
        size_t n = 0;

        if (memcmp(b + AT_MAGIC, "ustar", 6) == 0 && b[AT_PREFIX]) {
                copy_field(h->path, b + AT_PREFIX, star ? 131 : 155);
                n = strlen(h->path);
                h->path[n++] = '/';
        }
        copy_field(h->path + n, b + AT_NAME, 100);
}

int tar_header_parse(const unsigned char *b, struct tar_header *ret)
{
        struct tar_header h = {.typeflag = (char)b[AT_TYPE]};
        const struct {
                unsigned at, n;
                int64_t *v;
                bool only_ustar; /* v7 has anything behind the link name */
        } numbers[] = {
            {AT_MODE, 8, &h.mode, false},      {AT_UID, 8, &h.uid, false},
            {AT_GID, 8, &h.gid, false},        {AT_SIZE, 12, &h.size, false},
            {AT_MTIME, 12, &h.mtime, false},   {AT_MAJOR, 8, &h.dev_major, true},
            {AT_MINOR, 8, &h.dev_minor, true},
        };
        bool ustar = memcmp(b + AT_MAGIC, "ustar", 5) == 0;

        if (!checksum_ok(b))
                return -EINVAL;
        h.gnu = memcmp(b + AT_MAGIC, "ustar  ", 8) == 0;
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                if (numbers[i].only_ustar && !ustar)
                        continue;
                if (tar_number(b + numbers[i].at, numbers[i].n, numbers[i].v) < 0)
                        return -EINVAL;
        }
        copy_path(b, &h);
        copy_field(h.link, b + AT_LINK, 100);
        if (ustar) {
                copy_field(h.uname, b + AT_UNAME, 32);
                copy_field(h.gname, b + AT_GNAME, 32);
        }
        *ret = h;
        return 0;
}

/* ---- sparse maps ---- */

int tar_sparse_add(struct tar_sparse *s, uint64_t offset, uint64_t size)
{
        uint64_t end = s->n ? s->v[s->n - 1].offset + s->v[s->n - 1].size : 0;

        if (offset > INT64_MAX || size > INT64_MAX - offset || offset < end)
                return -EINVAL;
        if (size == 0)
                return 0;
        if (s->n >= TAR_MAX_SPARSE)
                return -EINVAL;
        if (s->n == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 16;
                s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
        }
        s->v[s->n++] = (struct tar_segment){offset, size};
        return 0;
}

int tar_sparse_add_field(struct tar_sparse *s, const unsigned char *p)
{
        int64_t offset, size;

        if (p[0] == '\0')
                return 0;
        if (tar_number(p, 12, &offset) < 0 || tar_number(p + 12, 12, &size) < 0 || offset < 0 ||
            size < 0)
                return -EINVAL;
        return tar_sparse_add(s, (uint64_t)offset, (uint64_t)size);
}
