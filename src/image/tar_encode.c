/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar_encode.h"

#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/str.h"
#include "image/tar.h"
#include "image/xattrs.h"

#define NAME_SIZE     100U
#define OCTAL_7_MAX   2097151U      /* seven digits */
#define OCTAL_11_MAX  8589934591ULL /* eleven */
#define XATTR_PREFIX  "SCHILY.xattr."
#define SPARSE_FOLDER "GNUSparseFile.0/"

bool tar_encode_takes_xattr(const char *name)
{
        return !strchr(name, '=');
}

/* ---- PAX records: "LENGTH KEY=VALUE\n", the length counts itself ---- */

static void add_record(struct strbuf *b, const char *key, const void *value, size_t n)
{
        size_t rest = strlen(key) + n + 3, len = rest + 1;
        char head[32];

        for (size_t digits = 1, limit = 10; rest + digits >= limit; digits++, limit *= 10)
                len = rest + digits + 1;
        (void)snprintf(head, sizeof(head), "%zu ", len);
        strbuf_add(b, head);
        strbuf_add(b, key);
        strbuf_add(b, "=");
        strbuf_add_len(b, value, n);
        strbuf_add(b, "\n");
}

static void add_text(struct strbuf *b, const char *key, const char *value)
{
        add_record(b, key, value, strlen(value));
}

static void add_number(struct strbuf *b, const char *key, uint64_t v)
{
        char text[24];

        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
        add_text(b, key, text);
}

static void add_time(struct strbuf *b, const struct tar_file *f)
{
        char text[48];
        int64_t s = f->mtime;
        uint32_t ns = f->mtime_ns;
        const char *sign = "";
        size_t n;

        if (s >= 0 && (uint64_t)s <= OCTAL_11_MAX && ns == 0)
                return;
        /* -1.5 s is stored as -2 s and 0.5 s. */
        if (s < 0 && ns > 0) {
                s++;
                ns = 1000000000U - ns;
        }
        if (s < 0 || f->mtime < 0) {
                sign = "-";
                s = -s;
        }
        (void)snprintf(text, sizeof(text), "%s%lld.%09u", sign, (long long)s, ns);
        for (n = strlen(text); text[n - 1] == '0'; n--)
                ;
        text[text[n - 1] == '.' ? n - 1 : n] = '\0';
        add_text(b, "mtime", text);
}

static void add_xattrs(struct strbuf *b, const struct xattrs *x)
{
        for (size_t i = 0; x && i < x->n; i++) {
                AUTO_STRBUF key = {0};

                if (!tar_encode_takes_xattr(x->v[i].name))
                        continue;
                strbuf_addf(&key, XATTR_PREFIX "%s", x->v[i].name);
                add_record(b, key.data, x->v[i].value, x->v[i].size);
        }
}

static void add_records(struct strbuf *b, const struct tar_file *f, uint64_t content)
{
        if (f->segments) {
                add_text(b, "GNU.sparse.major", "1");
                add_text(b, "GNU.sparse.minor", "0");
                add_text(b, "GNU.sparse.name", f->path);
                add_number(b, "GNU.sparse.realsize", f->size);
        } else if (strlen(f->path) > NAME_SIZE) {
                add_text(b, "path", f->path);
        }
        if (f->link && strlen(f->link) > NAME_SIZE)
                add_text(b, "linkpath", f->link);
        if (content > OCTAL_11_MAX)
                add_number(b, "size", content);
        if (f->uid > OCTAL_7_MAX)
                add_number(b, "uid", f->uid);
        if (f->gid > OCTAL_7_MAX)
                add_number(b, "gid", f->gid);
        add_time(b, f);
        add_xattrs(b, f->xattrs);
}

/* ---- blocks ---- */

static void pad(struct strbuf *b, size_t n)
{
        static const char zeros[TAR_ENCODE_BLOCK];

        if (n % TAR_ENCODE_BLOCK)
                strbuf_add_len(b, zeros, TAR_ENCODE_BLOCK - n % TAR_ENCODE_BLOCK);
}

static void add_header(struct strbuf *b, const struct tar_file *f, const char *name, char type,
                       uint64_t size)
{
        unsigned char h[TAR_ENCODE_BLOCK] = {0};
        char field[16];
        unsigned sum = 0;

#define PUT(at, width, fmt, v)                                                                     \
        do {                                                                                       \
                (void)snprintf(field, sizeof(field), fmt, v);                                      \
                memcpy(h + (at), field, (width));                                                  \
        } while (0)
        memcpy(h, name, strnlen(name, NAME_SIZE));
        PUT(100, 8, "%07o", f->mode & 07777U);
        PUT(108, 8, "%07o", MIN(f->uid, OCTAL_7_MAX));
        PUT(116, 8, "%07o", MIN(f->gid, OCTAL_7_MAX));
        PUT(124, 12, "%011llo", MIN((unsigned long long)size, OCTAL_11_MAX));
        PUT(136, 12, "%011llo",
            f->mtime < 0 ? 0ULL : MIN((unsigned long long)f->mtime, OCTAL_11_MAX));
        h[156] = (unsigned char)type;
        if (f->link && type != 'x')
                memcpy(h + 157, f->link, strnlen(f->link, NAME_SIZE));
        memcpy(h + 257, "ustar\00000", 8);
        PUT(329, 8, "%07o", 0U);
        PUT(337, 8, "%07o", 0U);
        memset(h + 148, ' ', 8);
        for (size_t i = 0; i < sizeof(h); i++)
                sum += h[i];
        PUT(148, 7, "%06o", sum);
        h[155] = ' ';
#undef PUT
        strbuf_add_len(b, h, sizeof(h));
}

static void sparse_map(struct strbuf *b, const struct tar_file *f)
{
        strbuf_addf(b, "%zu\n", f->n_segments);
        for (size_t i = 0; i < f->n_segments; i++)
                strbuf_addf(b, "%llu\n%llu\n", (unsigned long long)f->segments[i].offset,
                            (unsigned long long)f->segments[i].size);
        pad(b, b->len);
}

void tar_encode(struct strbuf *b, const struct tar_file *f, uint64_t *ret_content)
{
        AUTO_STRBUF records = {0}, map = {0}, sparse_name = {0};
        const char *name = f->path;
        uint64_t content = f->type == '0' ? f->size : 0;

        if (f->segments) {
                sparse_map(&map, f);
                content = 0;
                for (size_t i = 0; i < f->n_segments; i++)
                        content += f->segments[i].size;
                strbuf_addf(&sparse_name, SPARSE_FOLDER "%s", f->path);
                name = sparse_name.data;
        }
        add_records(&records, f, content + map.len);
        if (records.len > 0) {
                add_header(b, f, "PaxHeaders.0/record", 'x', records.len);
                strbuf_add_len(b, records.data, records.len);
                pad(b, records.len);
        }
        add_header(b, f, name, f->type, content + map.len);
        strbuf_add_len(b, map.data ? map.data : "", map.len);
        *ret_content = content;
}
