/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/frame.h"

#include "base/macros.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static_assert(sizeof(struct attach_frame) == 8, "the frame's head is eight bytes on the wire");

void frame_head(struct attach_frame *f, enum attach_type type, uint32_t len)
{
        *f = (struct attach_frame){.type = (uint8_t)type, .len = htonl(len)};
}

static bool is_data(uint8_t type)
{
        return type == ATTACH_STDIN || type == ATTACH_STDOUT || type == ATTACH_STDERR;
}

static int head_check(struct frame_reader *r)
{
        struct attach_frame f;

        memcpy(&f, r->head, sizeof(f));
        r->left = ntohl(f.len);
        if (f.type > ATTACH_DROPPED || f.zero[0] || f.zero[1] || f.zero[2])
                return -EPROTO;
        if (r->left > (is_data(f.type) ? ATTACH_FRAME_MAX : FRAME_CONTROL_MAX))
                return -EPROTO;
        r->control_len = 0;
        return 0;
}

static int payload(struct frame_reader *r, const uint8_t *p, size_t n, frame_fn fn, void *arg)
{
        enum attach_type type = (enum attach_type)r->head[0];
        int ret = 0;

        r->left -= (uint32_t)n;
        if (is_data(r->head[0])) {
                if (n > 0)
                        ret = fn(type, p, n, arg);
        } else {
                memcpy(r->control + r->control_len, p, n);
                r->control_len += n;
                if (r->left == 0)
                        ret = fn(type, r->control, r->control_len, arg);
        }
        if (r->left == 0)
                r->head_len = 0;
        return ret;
}

int frame_feed(struct frame_reader *r, const void *data, size_t n, frame_fn fn, void *arg)
{
        const uint8_t *p = data;
        int ret;

        while (n > 0) {
                size_t take;

                if (r->head_len < sizeof(r->head)) {
                        take = MIN(n, sizeof(r->head) - r->head_len);
                        memcpy(r->head + r->head_len, p, take);
                        r->head_len += take;
                        p += take;
                        n -= take;
                        if (r->head_len < sizeof(r->head))
                                return 0;
                        ret = head_check(r);
                        if (ret < 0)
                                return ret;
                        if (r->left > 0)
                                continue;
                        take = 0;
                } else {
                        take = MIN(n, (size_t)r->left);
                }
                ret = payload(r, p, take, fn, arg);
                if (ret < 0)
                        return ret;
                p += take;
                n -= take;
        }
        return 0;
}
