/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar_writer.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "image/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_SIZE (1U << 20)
#define BLOCK       512U
#define RECORD      (20U * BLOCK) /* archives end on a multiple of it, as tar's own do */

struct tar_writer {
        struct tool *tool;
        int fd, failure;
        char name[128];
        uint64_t left;    /* of the file in hand */
        uint64_t padding; /* behind it */
        uint64_t total;
        size_t used;
        unsigned char *buf;
};

struct tar_writer *tar_writer_new(struct tool *t, int fd)
{
        struct tar_writer *w = xnew(struct tar_writer);

        w->tool = t;
        w->fd = fd;
        w->buf = xmalloc(BUFFER_SIZE);
        return w;
}

struct tar_writer *tar_writer_free(struct tar_writer *w)
{
        if (w)
                free(w->buf);
        free(w);
        return NULL;
}

static int flush(struct tar_writer *w)
{
        int r;

        if (w->failure == 0 && tool_interrupted(w->tool))
                w->failure = -ECANCELED;
        if (w->failure == 0 && w->used > 0) {
                r = io_write_full(w->fd, w->buf, w->used);
                if (r < 0)
                        w->failure = r;
        }
        w->used = 0;
        return w->failure;
}

static int put(struct tar_writer *w, const void *data, size_t n)
{
        const unsigned char *p = data;

        w->total += n;
        while (n > 0) {
                size_t part = MIN(n, (size_t)BUFFER_SIZE - w->used);

                memcpy(w->buf + w->used, p, part);
                w->used += part;
                p += part;
                n -= part;
                if (w->used == BUFFER_SIZE && flush(w) < 0)
                        return w->failure;
        }
        return w->failure;
}

static int failed(const struct tar_writer *w, struct err **reterr)
{
        if (w->failure == -ECANCELED)
                return tool_interrupted_error(reterr);
        return err_sys(reterr, -w->failure, "write the archive");
}

static int put_header(struct tar_writer *w, const char *name, char type, unsigned mode,
                      uint64_t size)
{
        unsigned char h[BLOCK] = {0};
        unsigned sum = 0;

        memcpy(h, name, strnlen(name, 100));
        (void)snprintf((char *)h + 100, 8, "%07o", mode);
        (void)snprintf((char *)h + 108, 8, "%07o", 0U);
        (void)snprintf((char *)h + 116, 8, "%07o", 0U);
        if (size < (1ULL << 33)) {
                (void)snprintf((char *)h + 124, 12, "%011llo", (unsigned long long)size);
        } else {
                /* Beyond eleven octal digits: base-256, which every reader of large archives knows. */
                h[124] = 0x80;
                for (unsigned i = 0; i < 8; i++)
                        h[128 + i] = (unsigned char)(size >> (8 * (7 - i)));
        }
        (void)snprintf((char *)h + 136, 12, "%011o", 0U);
        memset(h + 148, ' ', 8);
        h[156] = (unsigned char)type;
        memcpy(h + 257, "ustar\00000", 8);
        (void)snprintf((char *)h + 329, 8, "%07o", 0U);
        (void)snprintf((char *)h + 337, 8, "%07o", 0U);
        for (size_t i = 0; i < BLOCK; i++)
                sum += h[i];
        (void)snprintf((char *)h + 148, 8, "%06o", sum);
        h[155] = ' ';
        return put(w, h, BLOCK);
}

int tar_writer_dir(struct tar_writer *w, const char *name, struct err **reterr)
{
        return put_header(w, name, '5', 0755, 0) < 0 ? failed(w, reterr) : 0;
}

int tar_writer_file(struct tar_writer *w, const char *name, uint64_t size, struct err **reterr)
{
        (void)snprintf(w->name, sizeof(w->name), "%s", name);
        w->left = size;
        w->padding = (BLOCK - size % BLOCK) % BLOCK;
        return put_header(w, name, '0', 0644, size) < 0 ? failed(w, reterr) : 0;
}

int tar_writer_data(void *writer, const void *data, size_t n)
{
        struct tar_writer *w = writer;

        if (n > w->left)
                return -EFBIG;
        w->left -= n;
        return put(w, data, n);
}

int tar_writer_file_end(struct tar_writer *w, struct err **reterr)
{
        static const unsigned char zeros[BLOCK];

        if (w->failure)
                return failed(w, reterr);
        if (w->left > 0)
                return err_new(reterr, ERR_INVALID, "'%s' is %llu bytes short", w->name,
                               (unsigned long long)w->left);
        return put(w, zeros, w->padding) < 0 ? failed(w, reterr) : 0;
}

int tar_writer_end(struct tar_writer *w, struct err **reterr)
{
        static const unsigned char zeros[BLOCK];
        int r = 0;

        for (unsigned i = 0; r >= 0 && (i < 2 || w->total % RECORD != 0); i++)
                r = put(w, zeros, BLOCK);
        if (r >= 0)
                r = flush(w);
        return r < 0 ? failed(w, reterr) : 0;
}
