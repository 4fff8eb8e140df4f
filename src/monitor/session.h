/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * session — the streams of one running program: its output goes to the log and to every attached client, the clients' input to it.
 *
 * Output that a client does not take is held for it, and while more than a bound is held the program's output is not read: the
 * program then waits in write(2), as it would for a slow terminal. Not for ever: a client that has held everybody back for
 * SESSION_PATIENCE_S is dropped. It gets what is held for it and a word why, whenever it reads again, and nothing more; the log has
 * what it misses. Only the client that started the program, while no other is attached, may hold it back as long as it likes:
 * "kelp run … | less" waits for its reader, as the program alone would. The end of the program never waits for a client.
 *
 * Process: kelp-monitor. Nothing here blocks.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_PATIENCE_S 10

struct err;
struct loop;
struct log_writer;
struct session;

struct session_opts {
        struct loop *loop;
        struct log_writer *log; /* borrowed; NULL: none. session_drain() ends its use */
        bool stdin_once;        /* the first end of a client's input closes the program's */
};
struct session *session_new(const struct session_opts *o);
struct session *session_free(struct session *s);
DEFINE_CLEANUP(struct session *, session_free);

/* Pipes to and from the program; consumed. -EBADF: there is none. */
int session_set_pipes_take(struct session *s, int in, int out, int err, struct err **reterr);
/* The master of its terminal, and its other side (@keeper); consumed. */
int session_set_terminal_take(struct session *s, int master, int keeper, struct err **reterr);
/* Consumes @fd. @first: the client that started the program (its STATUS tells it the end). */
int session_add_client_take(struct session *s, int fd, bool first, struct err **reterr);
/* Accepts further clients on a listening socket, consumed. */
int session_listen_take(struct session *s, int fd, struct err **reterr);

/* After session_drain(): the program is started again, for the same clients; its new streams follow. A client that holds the most it
 * may is dropped: each run would add to it. */
void session_begin_again(struct session *s, struct log_writer *log);
/* The size that a client last gave the terminal. False: none has. */
bool session_size(const struct session *s, uint16_t *ret_rows, uint16_t *ret_cols);
/* The program is dead: everything it has written is read and passed on, its descriptors are closed. */
void session_drain(struct session *s);
/* Calls back @served (once) when the client that started the program has got all, or is gone, and @done (once, never before) when this holds
 * for every client, and the others have been told the code. May call at once. */
typedef void (*session_done_fn)(void *arg);
void session_finish(struct session *s, int code, session_done_fn served, session_done_fn done,
                    void *arg);
