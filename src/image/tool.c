/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tool.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "image/image_protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRESS_INTERVAL_NS 100000000

bool tool_interrupted(const struct tool *t)
{
        struct pollfd p = {.fd = t->signal_fd, .events = POLLIN};

        return poll(&p, 1, 0) > 0;
}

int tool_interrupted_error(struct err **reterr)
{
        return err_new(reterr, ERR_REMOTE, "interrupted");
}

int tool_send_take(struct tool *t, const char *event, struct json_object *msg, struct err **reterr)
{
        AUTO_JSON *owned = msg;
        const char *text;
        ssize_t n;

        json_add_string(owned, "event", event);
        text = json_object_to_json_string_ext(owned, JSON_C_TO_STRING_PLAIN);
        n = fd_send(t->status_fd, text, strlen(text), NULL, 0);
        return n < 0 ? err_sys(reterr, (int)-n, "tell the caller") : 0;
}

void tool_warn(struct tool *t, const char *text)
{
        struct json_object *msg = json_object_new_object();

        json_add_string(msg, "text", text);
        (void)tool_send_take(t, "warning", msg, NULL);
}

/* Never waits: progress that the caller has no time for is left out. */
static void send_progress(struct tool *t, uint64_t done)
{
        AUTO_JSON *msg = json_object_new_object();
        const char *text;

        json_add_string(msg, "event", "progress");
        json_add_string(msg, "item", t->item);
        json_add_uint(msg, "done", done);
        json_add_uint(msg, "total", t->total);
        text = json_object_to_json_string_ext(msg, JSON_C_TO_STRING_PLAIN);
        (void)send(t->status_fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void tool_begin(struct tool *t, const char *item, uint64_t total)
{
        (void)snprintf(t->item, sizeof(t->item), "%s", item);
        t->total = total;
        t->last_ns = clock_monotonic_ns();
}

void tool_progress(struct tool *t, uint64_t done)
{
        int64_t now = clock_monotonic_ns();

        if (now - t->last_ns < PROGRESS_INTERVAL_NS)
                return;
        t->last_ns = now;
        send_progress(t, done);
}

void tool_end(struct tool *t, uint64_t done)
{
        if (t->total == 0)
                t->total = done;
        send_progress(t, done);
}

ssize_t tool_source_read(void *source, void *buf, size_t n)
{
        struct tool_source *s = source;
        struct pollfd p[2] = {
            {.fd = s->signal_fd, .events = POLLIN},
            {.fd = s->fd, .events = POLLIN},
        };
        ssize_t r;

        if (n > s->left)
                n = (size_t)s->left;
        if (n == 0)
                return 0;
        do {
                if (poll(p, s->seekable ? 1 : 2, s->seekable ? 0 : -1) < 0 && errno != EINTR)
                        return -errno;
                if (p[0].revents)
                        return -ECANCELED;
                r = s->seekable ? pread(s->fd, buf, n, s->pos) : read(s->fd, buf, n);
        } while (r < 0 && (errno == EINTR || errno == EAGAIN));
        if (r < 0)
                return -errno;
        s->pos += r;
        if (s->left != UINT64_MAX)
                s->left -= (uint64_t)r;
        return r;
}
