/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* session_internal — shared by session.c (the program's side) and client.c (the clients' side). */
#include "base/loop.h"
#include "logs/logs.h"
#include "monitor/frame.h"
#include "monitor/session.h"

#include <stddef.h>

#define SESSION_CHUNK (64U * 1024) /* what a pipe holds, and one frame */
#define SESSION_HIGH                                                                               \
        (256U * 1024) /* held for one client: above it the program's output is not read */
#define SESSION_LOW     (64U * 1024) /* … until it is down to this */
#define SESSION_CLIENTS 64           /* each costs a descriptor and up to SESSION_HIGH bytes */

/* Bytes on their way to a descriptor. */
struct queue {
        uint8_t *data;
        size_t pos, len, cap; /* data[pos, len) */
};
void queue_add(struct queue *q, const void *data, size_t n);
/* Writes what the descriptor takes. 0; -EAGAIN when something is left; -errno when it is broken. Memory goes when it is empty. */
int queue_flush(struct queue *q, int fd, bool socket);
void queue_release(struct queue *q);
static inline size_t queue_left(const struct queue *q)
{
        return q->len - q->pos;
}

struct source {
        struct session *s;
        int fd;
        enum log_stream stream;
        struct loop_source *
            watch; /* NULL while held back: a watch without events would still report a hangup for ever */
};

struct client {
        struct client *prev, *next;
        struct session *s;
        int fd;
        bool first;
        bool reading; /* its input is looked at */
        bool dropped; /* gets what is in its queue, nothing more */
        struct loop_source *watch;
        struct frame_reader frames;
        struct queue out;
};

struct session {
        struct loop *loop;
        struct log_writer *log;
        bool stdin_once, terminal, finishing, held;
        int code;
        struct source src[2];
        uint16_t rows, cols; /* the last that a client asked for; 0: none has */
        int keeper;          /* the terminal's other side, see session_set_terminal_take() */
        int in_fd; /* where input goes; a copy of the master's descriptor with a terminal */
        struct loop_source *in_watch;
        struct queue in;
        bool in_eof; /* close once the queue is empty */
        struct client *clients;
        size_t n_clients;
        int listen_fd;
        struct loop_source *listen_watch;
        struct loop_source *patience; /* runs while output is held back */
        uint8_t *chunk;
        session_done_fn served, done; /* NULL once called */
        void *done_arg;
};

/* session.c, for client.c */
void session_input(struct session *s, const void *data, size_t n);
void session_input_end(struct session *s);
void session_resize(struct session *s, uint16_t rows, uint16_t cols);
bool session_input_full(const struct session *s);
void session_clients_changed(struct session *s); /* a queue shrank, or a client went */

/* client.c, for session.c */
void client_send(struct client *c, enum attach_type type, const void *data,
                 size_t n);            /* may free @c */
void client_update(struct client *c);  /* what is waited for follows from the state */
void client_give_up(struct client *c); /* it took too long: see session.h */
struct client *client_free(struct client *c);
