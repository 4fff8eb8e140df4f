/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client — one attached client.
 *
 * A client may stop reading, vanish, or send anything at all. Broken or malformed connections are closed; the program does not notice,
 * except that its standard input ends when the client was the one that gave it.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "monitor/session_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- queues ---- */

void queue_add(struct queue *q, const void *data, size_t n)
{
        if (q->pos > 0 && q->len + n > q->cap) {
                memmove(q->data, q->data + q->pos, q->len - q->pos);
                q->len -= q->pos;
                q->pos = 0;
        }
        if (q->len + n > q->cap) {
                q->cap = MAX(q->len + n, q->cap * 2);
                q->data = xrealloc(q->data, q->cap, 1);
        }
        memcpy(q->data + q->len, data, n);
        q->len += n;
}

int queue_flush(struct queue *q, int fd, bool socket)
{
        while (q->pos < q->len) {
                const uint8_t *p = q->data + q->pos;
                size_t left = q->len - q->pos;
                ssize_t n =
                    socket ? send(fd, p, left, MSG_NOSIGNAL | MSG_DONTWAIT) : write(fd, p, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                q->pos += (size_t)n;
        }
        queue_release(q);
        return 0;
}

void queue_release(struct queue *q)
{
        free(q->data);
        *q = (struct queue){0};
}

/* ---- clients ---- */

/* A UNIX socket that is closed with unread input resets the connection, and the peer would take that for a failure. */
static void hang_up(struct client *c)
{
        (void)shutdown(c->fd, SHUT_RDWR);
        for (int i = 0; i < 64 && recv(c->fd, c->s->chunk, SESSION_CHUNK, MSG_DONTWAIT) > 0; i++)
                ;
        c->fd = fd_close(c->fd);
}

struct client *client_free(struct client *c)
{
        if (!c)
                return NULL;
        if (c->prev)
                c->prev->next = c->next;
        else
                c->s->clients = c->next;
        if (c->next)
                c->next->prev = c->prev;
        c->s->n_clients--;
        (void)loop_remove(c->watch);
        hang_up(c);
        queue_release(&c->out);
        free(c);
        return NULL;
}

static void client_drop(struct client *c)
{
        struct session *s = c->s;
        bool first = c->first;

        (void)client_free(c);
        if (first)
                session_input_end(s);
        session_clients_changed(s);
}

static int on_client(struct loop *l, int fd, uint32_t events, void *arg);

void client_update(struct client *c)
{
        uint32_t events = 0;

        if (c->reading && !session_input_full(c->s))
                events |= EPOLLIN;
        if (queue_left(&c->out) > 0)
                events |= EPOLLOUT;
        if (c->watch)
                (void)loop_set_events(c->watch, events);
        else
                (void)loop_add_fd(c->s->loop, c->fd, events, on_client, c, &c->watch, NULL);
}

void client_send(struct client *c, enum attach_type type, const void *data, size_t n)
{
        struct attach_frame head;
        struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)data, n}};
        bool was_empty = queue_left(&c->out) == 0;
        ssize_t sent = 0;

        frame_head(&head, type, (uint32_t)n);
        if (was_empty) {
                struct msghdr msg = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};

                sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (sent < 0 && errno != EAGAIN && errno != EINTR) {
                        client_drop(c);
                        return;
                }
                sent = MAX(sent, (ssize_t)0);
        }
        /* What does not fit waits; a client that keeps up costs no copy. */
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                size_t gone = MIN((size_t)sent, parts[i].iov_len);

                if (gone < parts[i].iov_len)
                        queue_add(&c->out, (const uint8_t *)parts[i].iov_base + gone,
                                  parts[i].iov_len - gone);
                sent -= (ssize_t)gone;
        }
        if (was_empty && queue_left(&c->out) > 0)
                client_update(c);
}

void client_give_up(struct client *c)
{
        static const uint8_t why = ATTACH_DROP_SLOW;

        c->dropped = true;
        c->reading = false;
        client_send(c, ATTACH_DROPPED, &why, sizeof(why));
        client_update(c);
}

static int on_frame(enum attach_type type, const uint8_t *data, size_t n, void *arg)
{
        struct client *c = arg;
        struct attach_size size;

        switch (type) {
        case ATTACH_STDIN:
                session_input(c->s, data, n);
                return 0;
        case ATTACH_STDIN_EOF:
                if (c->s->stdin_once || c->first)
                        session_input_end(c->s);
                return 0;
        case ATTACH_RESIZE:
                if (n != sizeof(size))
                        return -EPROTO;
                memcpy(&size, data, sizeof(size));
                session_resize(c->s, ntohs(size.rows), ntohs(size.cols));
                return 0;
        case ATTACH_STDOUT:
        case ATTACH_STDERR:
        case ATTACH_DETACHED:
        case ATTACH_EXITED:
        case ATTACH_DROPPED:
                break;
        }
        return -EPROTO;
}

/* 0 go on, < 0 the connection is over. */
static int client_read(struct client *c)
{
        ssize_t n = recv(c->fd, c->s->chunk, SESSION_CHUNK, MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -EPIPE;
        return frame_feed(&c->frames, c->s->chunk, (size_t)n, on_frame, c);
}

static int on_client(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct client *c = arg;
        struct session *s = c->s;
        int r = 0;

        if (events & EPOLLOUT) {
                r = queue_flush(&c->out, c->fd, true);
                if (r == -EAGAIN)
                        r = 0;
                else if (c->dropped)
                        r = -EPIPE; /* it has been told */
        }
        if (r >= 0 && (events & EPOLLIN))
                r = client_read(c);
        else if (events & (EPOLLHUP | EPOLLERR))
                r = -EPIPE; /* nobody is left to send to, and what it sent does not fit anywhere */
        if (r < 0) {
                client_drop(c);
                return 0;
        }
        client_update(c);
        session_clients_changed(s);
        return 0;
}

/* An empty socket takes a word for sure. */
static void refuse(int fd)
{
        struct {
                struct attach_frame head;
                uint8_t why;
        } word = {.why = ATTACH_DROP_FULL};

        frame_head(&word.head, ATTACH_DROPPED, sizeof(word.why));
        (void)send(fd, &word, sizeof(word.head) + sizeof(word.why), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int session_add_client_take(struct session *s, int fd, bool first, struct err **reterr)
{
        struct client *c;

        if (s->n_clients >= SESSION_CLIENTS) {
                refuse(fd);
                (void)fd_close(fd);
                return err_new(reterr, ERR_BUSY, "%d clients are attached already",
                               SESSION_CLIENTS);
        }
        c = xnew(struct client);
        c->s = s;
        c->fd = fd;
        c->first = first;
        c->reading = true;
        c->next = s->clients;
        if (c->next)
                c->next->prev = c;
        s->clients = c;
        s->n_clients++;
        client_update(c);
        return 0;
}

/* The directory of the socket is ours alone; this is the second lock on the same door. */
static bool peer_is_ours(int fd)
{
        struct ucred peer;
        socklen_t len = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == getuid();
}

static int on_listen(struct loop *l, int fd, uint32_t events, void *arg)
{
        AUTO_CLOSE int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (conn >= 0 && peer_is_ours(conn))
                (void)session_add_client_take(arg, TAKE_FD(conn), false, NULL);
        return 0;
}

int session_listen_take(struct session *s, int fd, struct err **reterr)
{
        int r;

        s->listen_fd = fd;
        r = loop_add_fd(s->loop, fd, EPOLLIN, on_listen, s, &s->listen_watch, reterr);
        return r < 0 ? err_wrap(reterr, r, "listen for clients") : 0;
}
