/* SPDX-License-Identifier: Apache-2.0 */
/* `export`: all files of a container. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "image/container_source.h"
#include "image/image_protocol.h"
#include "image/tool.h"
#include "image/tree_stream.h"

#define BUFFER_SIZE ((size_t)256 * 1024)

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
