/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 *   program ──pipe──▶ source ──▶ log
 *                          └───▶ client queues ──▶ sockets          client ──▶ in queue ──pipe──▶ program
 *
 * Every descriptor is non-blocking. What is watched follows from the queues: sources only while no client holds too much, a client's
 * input only while the in queue is nearly empty, the program's input only while that queue holds something. A descriptor
 * that must not be read is taken out of the loop altogether, since a hangup cannot be masked.
 *
 * A terminal reports EIO on the master while nobody has the other side open, and a program may close its last descriptor of it and
 * open it again later. The session therefore keeps the other side open itself: no hangup while the program lives, and after
 * its end "would block" is the end of the output.
 */
#include "monitor/session.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "monitor/session_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* What may be in a pipe when its writer is dead: the kernel's limit for a pipe of an ordinary user. A writer that lives on (it
 * shares the host's processes) must not keep us here. */
#define DRAIN_MAX   (4U * 1024 * 1024)
#define PATIENCE_NS (SESSION_PATIENCE_S * 1000000000ULL)

static int on_source(struct loop *l, int fd, uint32_t events, void *arg);
static int on_input(struct loop *l, int fd, uint32_t events, void *arg);
static int on_patience(struct loop *l, void *arg);

struct session *session_new(const struct session_opts *o)
{
        struct session *s = xnew(struct session);

        s->loop = o->loop;
        s->log = o->log;
        s->stdin_once = o->stdin_once;
        s->src[0] = (struct source){.s = s, .fd = -EBADF, .stream = LOG_STDOUT};
        s->src[1] = (struct source){.s = s, .fd = -EBADF, .stream = LOG_STDERR};
        s->keeper = s->in_fd = s->listen_fd = -EBADF;
        s->chunk = xmalloc(SESSION_CHUNK);
        return s;
}

static void source_close(struct source *src)
{
        src->watch = loop_remove(src->watch);
        src->fd = fd_close(src->fd);
}

static void input_close(struct session *s)
{
        s->in_watch = loop_remove(s->in_watch);
        s->in_fd = fd_close(s->in_fd);
        queue_release(&s->in);
}

struct session *session_free(struct session *s)
{
        if (!s)
                return NULL;
        while (s->clients)
                (void)client_free(s->clients);
        source_close(&s->src[0]);
        source_close(&s->src[1]);
        input_close(s);
        (void)loop_remove(s->listen_watch);
        (void)loop_remove(s->patience);
        (void)fd_close(s->listen_fd);
        (void)fd_close(s->keeper);
        free(s->chunk);
        free(s);
        return NULL;
}

/* ---- output ---- */

static int source_watch(struct source *src, struct err **reterr)
{
        if (src->fd < 0 || src->watch)
                return 0;
        return loop_add_fd(src->s->loop, src->fd, EPOLLIN, on_source, src, &src->watch, reterr);
}

/* Holds the program's output back, or lets it run again. */
static void sources_hold(struct session *s, bool hold)
{
        s->held = hold;
        if (!hold)
                s->patience = loop_remove(s->patience);
        else if (!s->patience)
                (void)loop_add_timer(s->loop, PATIENCE_NS, on_patience, s, &s->patience, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(s->src); i++) {
                if (hold)
                        s->src[i].watch = loop_remove(s->src[i].watch);
                else
                        (void)source_watch(&s->src[i], NULL);
        }
}

static size_t most_held(const struct session *s)
{
        size_t most = 0;

        for (const struct client *c = s->clients; c; c = c->next) {
                if (!c->dropped)
                        most = MAX(most, queue_left(&c->out));
        }
        return most;
}

static size_t count_served(const struct session *s)
{
        size_t n = 0;

        for (const struct client *c = s->clients; c; c = c->next)
                n += c->dropped ? 0 : 1;
        return n;
}

/* Who holds everybody back is given up, but for the client that started the program, when it is alone. */
static int on_patience(struct loop *l, void *arg)
{
        struct session *s = arg;

        for (struct client *c = s->clients; c; c = c->next) {
                if (!c->dropped && queue_left(&c->out) > SESSION_LOW &&
                    (!c->first || count_served(s) > 1))
                        client_give_up(c);
        }
        if (most_held(s) <= SESSION_LOW)
                sources_hold(s, false);
        else
                (void)loop_timer_set(s->patience, PATIENCE_NS);
        return 0;
}

static void output(struct session *s, enum log_stream stream, size_t n)
{
        struct client *next;

        if (s->log)
                log_writer_write(s->log, stream, s->chunk, n);
        for (struct client *c = s->clients; c; c = next) {
                next = c->next; /* client_send() drops a client that is gone */
                if (!c->dropped)
                        client_send(c, stream == LOG_STDERR ? ATTACH_STDERR : ATTACH_STDOUT,
                                    s->chunk, n);
        }
}

/* Bytes passed on; 0 at the end; -EAGAIN; other errors count as the end. */
static ssize_t source_read(struct source *src)
{
        ssize_t n = read(src->fd, src->s->chunk, SESSION_CHUNK);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
        if (n > 0)
                output(src->s, src->stream, (size_t)n);
        return n;
}

static int on_source(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct source *src = arg;
        struct session *s = src->s;

        if (source_read(src) == 0)
                source_close(src);
        if (!s->held && most_held(s) > SESSION_HIGH)
                sources_hold(s, true);
        return 0;
}

void session_drain(struct session *s)
{
        for (size_t i = 0; i < ARRAY_SIZE(s->src); i++) {
                size_t total = 0;
                ssize_t n = 0;

                while (s->src[i].fd >= 0 && total < DRAIN_MAX && (n = source_read(&s->src[i])) > 0)
                        total += (size_t)n;
                source_close(&s->src[i]);
        }
        s->keeper = fd_close(s->keeper);
        input_close(s);
        if (s->log)
                log_writer_flush(s->log);
        s->log = NULL;
}

/* ---- input ---- */

bool session_input_full(const struct session *s)
{
        return queue_left(&s->in) > 0;
}

static void input_flush(struct session *s)
{
        int r = queue_flush(&s->in, s->in_fd, false);

        if (r == -EAGAIN) {
                if (!s->in_watch)
                        (void)loop_add_fd(s->loop, s->in_fd, EPOLLOUT, on_input, s, &s->in_watch,
                                          NULL);
                return;
        }
        s->in_watch = loop_remove(s->in_watch);
        /* A terminal has no end of input: who wants one types it. */
        if (r < 0 || (s->in_eof && !s->terminal))
                input_close(s);
}

static int on_input(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;

        input_flush(s);
        if (!session_input_full(s)) {
                for (struct client *c = s->clients; c; c = c->next)
                        client_update(c);
        }
        return 0;
}

void session_input(struct session *s, const void *data, size_t n)
{
        if (s->in_fd < 0 || s->in_eof)
                return; /* nobody reads it */
        queue_add(&s->in, data, n);
        input_flush(s);
}

void session_input_end(struct session *s)
{
        if (s->terminal)
                return;
        /* Between two runs too: the next program gets the end. */
        s->in_eof = true;
        if (s->in_fd >= 0)
                input_flush(s);
}

void session_resize(struct session *s, uint16_t rows, uint16_t cols)
{
        struct winsize size = {.ws_row = rows, .ws_col = cols};

        s->rows = rows;
        s->cols = cols;
        if (s->terminal && s->src[0].fd >= 0)
                (void)ioctl(s->src[0].fd, TIOCSWINSZ, &size);
}

bool session_size(const struct session *s, uint16_t *ret_rows, uint16_t *ret_cols)
{
        if (!s->rows || !s->cols)
                return false;
        *ret_rows = s->rows;
        *ret_cols = s->cols;
        return true;
}

/* ---- setting up, ending ---- */

void session_begin_again(struct session *s, struct log_writer *log)
{
        struct client *next;

        s->log = log;
        sources_hold(s, false);
        for (struct client *c = s->clients; c; c = next) {
                next = c->next;
                if (!c->dropped && queue_left(&c->out) > SESSION_HIGH)
                        client_give_up(c);
        }
}

int session_set_pipes_take(struct session *s, int in, int out, int err, struct err **reterr)
{
        const int fds[] = {in, out, err};
        int r = 0;

        s->in_fd = in;
        s->src[0].fd = out;
        s->src[1].fd = err;
        for (size_t i = 0; i < ARRAY_SIZE(fds) && r >= 0; i++) {
                if (fds[i] >= 0)
                        r = fd_set_nonblock(fds[i], true, reterr);
        }
        for (size_t i = 0; i < ARRAY_SIZE(s->src) && r >= 0; i++)
                r = source_watch(&s->src[i], reterr);
        if (r >= 0 && s->in_eof && s->in_fd >= 0)
                input_flush(s); /* of an earlier run: session_input_end() */
        return r < 0 ? err_wrap(reterr, r, "watch the program's output") : 0;
}

int session_set_terminal_take(struct session *s, int master, int keeper, struct err **reterr)
{
        int r;

        s->terminal = true;
        s->src[0].fd = master;
        s->keeper = keeper;
        /* A descriptor of its own: epoll knows a descriptor only once, and input and output are watched independently. */
        s->in_fd = fd_dup(master, reterr);
        if (s->in_fd < 0)
                return s->in_fd;
        r = fd_set_nonblock(master, true, reterr);
        if (r >= 0)
                r = source_watch(&s->src[0], reterr);
        return r < 0 ? err_wrap(reterr, r, "watch the terminal") : 0;
}

static bool first_is_there(const struct session *s)
{
        for (const struct client *c = s->clients; c; c = c->next) {
                if (c->first)
                        return true;
        }
        return false;
}

static void call_once(session_done_fn *fn, void *arg)
{
        session_done_fn call = *fn;

        *fn = NULL;
        if (call)
                call(arg);
}

static void tell_delivered(struct session *s)
{
        if (!first_is_there(s))
                call_once(&s->served, s->done_arg);
        if (!s->clients)
                call_once(&s->done, s->done_arg);
}

/* Clients leave as their queues empty. */
static void clients_dismiss(struct session *s)
{
        struct client *next;

        for (struct client *c = s->clients; c; c = next) {
                next = c->next;
                if (queue_left(&c->out) == 0)
                        (void)client_free(c);
        }
}

void session_clients_changed(struct session *s)
{
        if (s->finishing) {
                clients_dismiss(s);
                tell_delivered(s);
                return;
        }
        if (s->held && most_held(s) <= SESSION_LOW)
                sources_hold(s, false);
}

void session_finish(struct session *s, int code, session_done_fn served, session_done_fn done,
                    void *arg)
{
        uint32_t wire = htonl((uint32_t)code);
        struct client *next;

        s->patience = loop_remove(s->patience);
        s->listen_watch = loop_remove(s->listen_watch);
        s->listen_fd = fd_close(s->listen_fd);
        for (struct client *c = s->clients; c; c = next) {
                next = c->next;
                c->reading = false;
                if (!c->first && !c->dropped)
                        client_send(c, ATTACH_EXITED, &wire, sizeof(wire));
        }
        for (struct client *c = s->clients; c; c = c->next)
                client_update(c);
        s->finishing = true;
        s->served = served;
        s->done = done;
        s->done_arg = arg;
        clients_dismiss(s);
        tell_delivered(s);
}
