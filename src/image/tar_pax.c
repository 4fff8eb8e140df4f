/* SPDX-License-Identifier: Apache-2.0 */
/* PAX extended headers: "LENGTH KEY=VALUE\n" records. Keys come from a table; unknown ones are passed over, as POSIX asks. */
#include "image/tar_internal.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"

#define MAX_XATTRS         1024u
#define XATTR_VALUE_MAX    65536u /* XATTR_SIZE_MAX of the kernel */
#define XATTR_NAME_LONGEST 255u

void tar_meta_release(struct tar_meta *m)
{
        for (size_t i = 0; i < m->n_xattrs; i++) {
                free(m->xattrs[i].name);
                free(m->xattrs[i].value);
        }
        free(m->xattrs);
        free(m->path);
        free(m->link);
        free(m->uname);
        free(m->gname);
        free(m->sparse_name);
        free(m->sparse.v);
        *m = (struct tar_meta){0};
}

int tar_time(const char *s, int64_t *ret_s, uint32_t *ret_ns)
{
        const char *dot = strchr(s, '.');
        bool negative = s[0] == '-';
        char whole[24];
        size_t n = dot ? (size_t)(dot - s) : strlen(s);
        uint32_t ns = 0, unit = 100000000;
        int64_t v = 0;

        if (n >= sizeof(whole))
                return -EINVAL;
        memcpy(whole, s, n);
        whole[n] = '\0';
        if (n > (size_t)negative && parse_i64(whole, &v) < 0)
                return -EINVAL;
        for (const char *p = dot ? dot + 1 : ""; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EINVAL;
                ns += (uint32_t)(*p - '0') * unit; /* digits beyond nanoseconds count nothing */
                unit /= 10;
        }
        if (negative && ns > 0) { /* -1.25 is 0.75 s after -2 */
                if (v == INT64_MIN)
                        return -EINVAL;
                v--;
                ns = 1000000000 - ns;
        }
        *ret_s = v;
        *ret_ns = ns;
        return 0;
}

/* ---- extended attributes ---- */

static int xattr_add_take(struct tar_meta *m, char *name, void *value, size_t size)
{
        bool known = false;

        for (size_t i = 0; i < m->n_xattrs && !known; i++)
                known = strcmp(m->xattrs[i].name, name) == 0;
        if (known || m->n_xattrs >= MAX_XATTRS || size > XATTR_VALUE_MAX || name[0] == '\0' ||
            strlen(name) > XATTR_NAME_LONGEST) {
                free(name);
                free(value);
                return known ? 0 : -EINVAL;
        }
        m->xattrs = xrealloc(m->xattrs, m->n_xattrs + 1, sizeof(*m->xattrs));
        m->xattrs[m->n_xattrs++] = (struct tar_xattr){name, value, size};
        return 0;
}

static int add_schily(struct tar_meta *m, const char *name, const char *value, size_t size)
{
        char *copy = xmalloc(size + 1);

        memcpy(copy, value, size);
        copy[size] = '\0';
        return xattr_add_take(m, xstrdup(name), copy, size);
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX in place; a percent sign that starts nothing stays. No NUL can come of it. */
static void url_decode(char *s)
{
        char *to = s;

        for (; *s; s++) {
                int high = *s == '%' ? hex_digit(s[1]) : -1;
                int low = high >= 0 ? hex_digit(s[2]) : -1;

                if (low >= 0 && (high || low)) {
                        *to++ = (char)(high << 4 | low);
                        s += 2;
                } else {
                        *to++ = *s;
                }
        }
        *to = '\0';
}

static int base64_digit(char c)
{
        static const char digits[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *p = c ? strchr(digits, c) : NULL;

        return p ? (int)(p - digits) : -1;
}

/* With or without padding. */
static int add_libarchive(struct tar_meta *m, const char *name, const char *value, size_t size)
{
        unsigned char *out;
        char *decoded;
        uint32_t bits = 0, have = 0;
        size_t n = 0;

        while (size > 0 && value[size - 1] == '=')
                size--;
        out = xmalloc(size + 1);
        for (size_t i = 0; i < size; i++) {
                int d = base64_digit(value[i]);

                if (d < 0) {
                        free(out);
                        return -EINVAL;
                }
                bits = bits << 6 | (uint32_t)d;
                have += 6;
                if (have >= 8) {
                        have -= 8;
                        out[n++] = (unsigned char)(bits >> have);
                }
        }
        decoded = xstrdup(name);
        url_decode(decoded);
        return xattr_add_take(m, decoded, out, n);
}

/* ---- sparse ---- */

static int sparse_offset(struct tar_meta *m, const char *value)
{
        m->has_sparse_offset = true;
        return parse_u64(value, &m->sparse_offset);
}

static int sparse_numbytes(struct tar_meta *m, const char *value)
{
        uint64_t size;

        if (!m->has_sparse_offset || parse_u64(value, &size) < 0)
                return -EINVAL;
        m->has_sparse_offset = false;
        m->has_sparse_map = true;
        return tar_sparse_add(&m->sparse, m->sparse_offset, size);
}

/* "offset,size,offset,size": cut up in place. */
static int sparse_map(struct tar_meta *m, char *value)
{
        char *save = NULL;

        m->has_sparse_map = true;
        for (char *a = strtok_r(value, ",", &save); a; a = strtok_r(NULL, ",", &save)) {
                char *b = strtok_r(NULL, ",", &save);
                uint64_t offset, size;

                if (!b || parse_u64(a, &offset) < 0 || parse_u64(b, &size) < 0)
                        return -EINVAL;
                if (tar_sparse_add(&m->sparse, offset, size) < 0)
                        return -EINVAL;
        }
        return 0;
}

/* ---- the table ---- */

enum kind { KIND_STRING, KIND_NUMBER, KIND_TIME, KIND_OFFSET, KIND_NUMBYTES, KIND_MAP };

static const struct key {
        const char *name;
        enum kind kind;
        size_t at, has; /* offsets in struct tar_meta; has 0: none */
} keys[] = {
    {"path", KIND_STRING, offsetof(struct tar_meta, path), 0},
    {"linkpath", KIND_STRING, offsetof(struct tar_meta, link), 0},
    {"uname", KIND_STRING, offsetof(struct tar_meta, uname), 0},
    {"gname", KIND_STRING, offsetof(struct tar_meta, gname), 0},
    {"size", KIND_NUMBER, offsetof(struct tar_meta, size), offsetof(struct tar_meta, has_size)},
    {"uid", KIND_NUMBER, offsetof(struct tar_meta, uid), offsetof(struct tar_meta, has_uid)},
    {"gid", KIND_NUMBER, offsetof(struct tar_meta, gid), offsetof(struct tar_meta, has_gid)},
    {"mtime", KIND_TIME, 0, offsetof(struct tar_meta, has_mtime)},
    {"GNU.sparse.name", KIND_STRING, offsetof(struct tar_meta, sparse_name), 0},
    {"GNU.sparse.major", KIND_NUMBER, offsetof(struct tar_meta, sparse_major),
     offsetof(struct tar_meta, has_sparse_version)},
    {"GNU.sparse.minor", KIND_NUMBER, offsetof(struct tar_meta, sparse_minor),
     offsetof(struct tar_meta, has_sparse_version)},
    {"GNU.sparse.size", KIND_NUMBER, offsetof(struct tar_meta, sparse_size),
     offsetof(struct tar_meta, has_sparse_size)},
    {"GNU.sparse.realsize", KIND_NUMBER, offsetof(struct tar_meta, sparse_size),
     offsetof(struct tar_meta, has_sparse_size)},
    {"GNU.sparse.offset", KIND_OFFSET, 0, 0},
    {"GNU.sparse.numbytes", KIND_NUMBYTES, 0, 0},
    {"GNU.sparse.map", KIND_MAP, 0, 0},
};

static int apply_key(struct tar_meta *m, const struct key *k, char *value)
{
        char **string = (char **)(void *)((char *)m + k->at);

        /* An empty value takes an earlier record of the same key back (POSIX pax). */
        if (k->has)
                *((bool *)m + k->has) = value[0] != '\0';
        switch (k->kind) {
        case KIND_STRING:
                free(*string);
                *string = value[0] ? xstrdup(value) : NULL;
                return 0;
        case KIND_NUMBER:
                return value[0] ? parse_u64(value, (uint64_t *)(void *)((char *)m + k->at)) : 0;
        case KIND_TIME:
                return value[0] ? tar_time(value, &m->mtime, &m->mtime_ns) : 0;
        case KIND_OFFSET:
                return sparse_offset(m, value);
        case KIND_NUMBYTES:
                return sparse_numbytes(m, value);
        case KIND_MAP:
        default:
                return sparse_map(m, value);
        }
}

static int apply_record(struct tar_meta *m, const char *key, char *value, size_t size)
{
        static const char schily[] = "SCHILY.xattr.", libarchive[] = "LIBARCHIVE.xattr.";

        if (strncmp(key, schily, sizeof(schily) - 1) == 0)
                return add_schily(m, key + sizeof(schily) - 1, value, size);
        if (strncmp(key, libarchive, sizeof(libarchive) - 1) == 0)
                return add_libarchive(m, key + sizeof(libarchive) - 1, value, size);
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (strcmp(key, keys[i].name) != 0)
                        continue;
                if (strlen(value) != size) /* a NUL inside */
                        return -EINVAL;
                return apply_key(m, &keys[i], value);
        }
        return 0;
}

/* One record at @p; *ret_len is its length. */
static int parse_record(char *p, size_t n, struct tar_meta *m, size_t *ret_len)
{
        size_t len = 0, i = 0;
        char *key, *equals;

        for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
                len = len * 10 + (size_t)(p[i] - '0');
                if (len > n)
                        return -EINVAL;
        }
        if (i == 0 || i + 1 >= len || p[i] != ' ' || p[len - 1] != '\n')
                return -EINVAL;
        key = p + i + 1;
        equals = memchr(key, '=', len - i - 2);
        if (!equals || equals == key)
                return -EINVAL;
        *equals = '\0';
        p[len - 1] = '\0';
        if (memchr(key, '\0', (size_t)(equals - key)))
                return -EINVAL;
        *ret_len = len;
        return apply_record(m, key, equals + 1, (size_t)(p + len - 1 - (equals + 1)));
}

int tar_pax_parse(char *data, size_t n, struct tar_meta *m, const char **ret_what)
{
        size_t done = 0;

        while (done < n) {
                size_t len = 0;

                if (parse_record(data + done, n - done, m, &len) < 0) {
                        *ret_what = "damaged PAX header";
                        return -EINVAL;
                }
                done += len;
        }
        return 0;
}
