/* SPDX-License-Identifier: Apache-2.0 */
/* `changes` and `export`: what a container has changed, and all of its files. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "image/container_source.h"
#include "image/image_protocol.h"
#include "image/tool.h"
#include "image/tree_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE ((size_t)256 * 1024)

static int flush(struct strbuf *b, struct err **reterr)
{
        int r = io_write_full(IMAGE_FD_OUTPUT, b->data, b->len);

        b->len = 0;
        return r < 0 ? err_sys(reterr, -r, "list the changes") : 0;
}

static int list(struct tool *t, struct walk *w, struct err **reterr)
{
        static const char letters[] = {
            [WALK_ADDED] = 'A', [WALK_CHANGED] = 'C', [WALK_DELETED] = 'D'};
        AUTO_STRBUF b = {0};
        const struct walk_entry *e;
        int r;

        while ((r = walk_next(w, &e, reterr)) > 0) {
                strbuf_addf(&b, "%c/%s", letters[e->kind], e->path);
                strbuf_add_len(&b, "", 1);
                if (b.len < BUFFER_SIZE)
                        continue;
                if (tool_interrupted(t))
                        return tool_interrupted_error(reterr);
                r = flush(&b, reterr);
                if (r < 0)
                        return r;
        }
        return r < 0 || b.len == 0 ? r : flush(&b, reterr);
}

int tool_changes(struct tool *t, struct err **reterr)
{
        AUTO(container_source_release) struct container_source s = {0};
        AUTO(walk_freep) struct walk *w = NULL;
        struct walk_opts o = {0};
        int r = container_source_open(t, &s, reterr);

        if (r < 0)
                return r;
        container_source_walk(&s, &o);
        r = walk_new(&o, &w, reterr);
        if (r >= 0)
                r = list(t, w, reterr);
        return r < 0 ? r : container_source_check(t, &s, reterr);
}

/* ---- export ---- */

static void warn(void *arg, const char *text)
{
        tool_warn(arg, text);
}

int tool_write_tree(struct tool *t, struct tree_stream *s, struct err **reterr)
{
        AUTO_FREE char *buf = xmalloc(BUFFER_SIZE);

        for (;;) {
                ssize_t n = tree_stream_read(s, buf, BUFFER_SIZE);
                int r;

                if (n < 0)
                        return tree_stream_error(s, reterr);
                if (n == 0) {
                        tree_stream_warnings(s, warn, t);
                        return 0;
                }
                if (tool_interrupted(t))
                        return tool_interrupted_error(reterr);
                r = io_write_full(IMAGE_FD_OUTPUT, buf, (size_t)n);
                if (r < 0)
                        return err_sys(reterr, -r, "write the archive");
                tool_progress(t, tree_stream_bytes(s));
        }
}

int tool_export(struct tool *t, struct err **reterr)
{
        AUTO(container_source_release) struct container_source s = {0};
        AUTO(tree_stream_freep) struct tree_stream *stream = NULL;
        AUTO(walk_freep) struct walk *w = NULL;
        struct tree_stream_opts so;
        struct walk_opts o = {0};
        int r = container_source_open(t, &s, reterr);

        if (r < 0)
                return r;
        container_source_walk_all(&s, &o);
        r = walk_new(&o, &w, reterr);
        if (r < 0)
                return r;
        so = (struct tree_stream_opts){.walk = w, .uid = &s.uid, .gid = &s.gid};
        stream = tree_stream_new(&so);
        tool_begin(t, "export", 0);
        r = tool_write_tree(t, stream, reterr);
        if (r >= 0)
                r = container_source_check(t, &s, reterr);
        if (r < 0)
                return r;
        tool_end(t, tree_stream_bytes(stream));
        return 0;
}
