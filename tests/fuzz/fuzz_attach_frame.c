/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends: the frames are the same in whatever pieces the bytes arrive (the first byte says in which). */
#include "fuzz.h"

#include "base/str.h"
#include "monitor/frame.h"

#include <stdlib.h>
#include <string.h>

struct seen {
        struct strbuf data, control;
};

static int note(enum attach_type type, const uint8_t *data, size_t n, void *arg)
{
        struct seen *s = arg;
        const char tag = (char)type;

        if (type <= ATTACH_STDERR) {
                strbuf_add_len(&s->data, data, n);
        } else {
                strbuf_add_len(&s->control, &tag, 1);
                strbuf_add_len(&s->control, data, n);
        }
        return 0;
}

static int feed(struct seen *s, const uint8_t *data, size_t n, size_t step)
{
        struct frame_reader r = {0};

        for (size_t i = 0; i < n; i += step) {
                int k = frame_feed(&r, data + i, MIN(step, n - i), note, s);

                if (k < 0)
                        return k;
        }
        return 0;
}

static void compare(const struct strbuf *a, const struct strbuf *b)
{
        if (a->len != b->len || (a->len > 0 && memcmp(a->data, b->data, a->len) != 0))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        struct seen whole = {0}, pieces = {0};

        if (n < 2)
                return 0;
        if (feed(&whole, data + 1, n - 1, n) != feed(&pieces, data + 1, n - 1, (data[0] & 31) + 1U))
                abort();
        compare(&whole.data, &pieces.data);
        compare(&whole.control, &pieces.control);
        strbuf_release(&whole.data);
        strbuf_release(&whole.control);
        strbuf_release(&pieces.data);
        strbuf_release(&pieces.control);
        return 0;
}
