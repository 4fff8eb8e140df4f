/* SPDX-License-Identifier: Apache-2.0 */
/* `changes`: what a container has changed. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "image/container_source.h"
#include "image/image_protocol.h"
#include "image/tool.h"

#include <errno.h>
#include <string.h>

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
