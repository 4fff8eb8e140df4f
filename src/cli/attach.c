/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach — one loop over the connection, standard input, two outputs and the signals.
 *
 *   stdin ──read──▶ out queue ──▶ ATTACH ──▶ in buffer ──▶ sinks (stdout, stderr)
 *
 * Each arrow stops while the next stage is full: input is not read while the queue holds anything, the connection is not
 * read while a sink does not take what has come for it.
 */
#include "cli/attach.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "cli/sink.h"
#include "monitor/protocol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STDIN_CHUNK 16384
#define FORCE_AFTER                                                                                \
        3 /* as many SIGINT or SIGTERM from the user end a session whose container ignores them */
#define FRAME_ROOM (sizeof(struct attach_frame) + STDIN_CHUNK + DETACH_KEYS_MAX)
#define QUEUE_ROOM (FRAME_ROOM + 4 * (sizeof(struct attach_frame) + sizeof(struct attach_size)))

/* Room for a frame, and for the next one's beginning: fewer and larger reads. */
#define IN_ROOM (2U * ATTACH_FRAME_MAX)

struct output {
        struct sink sink;
        struct loop_source *
            source; /* only while something waits for it: a closed pipe reports itself without end */
};

struct session {
        const struct attach_opts *o;
        struct loop *loop;
        struct term *term;
        struct detach_keys keys;
        struct loop_source *attach, *input;
        struct output outputs[2];
        bool input_open, input_pollable;
        size_t begin, end; /* of in: what is received and not taken yet is in[begin, end) */
        size_t payload; /* how much of it and of what follows belongs to the data frame at hand … */
        struct output *current; /* … and goes there */
        bool held;              /* until current takes more */
        size_t queued, sent;    /* of queue */
        unsigned interrupts;
        struct attach_result result;
        unsigned char in[IN_ROOM];
        unsigned char queue[QUEUE_ROOM]; /* frames to send */
};

static void finish(struct session *s, enum attach_end end)
{
        s->result.end = end;
        loop_stop(s->loop);
}

/* ---- towards the container ---------------------------------------------------------------------- */

static void queue_frame(struct session *s, enum attach_type type, const void *data, size_t n)
{
        struct attach_frame h = {.type = (uint8_t)type, .len = htonl((uint32_t)n)};

        assert(s->queued + sizeof(h) + n <= sizeof(s->queue));
        memcpy(s->queue + s->queued, &h, sizeof(h));
        if (n)
                memcpy(s->queue + s->queued + sizeof(h), data, n);
        s->queued += sizeof(h) + n;
}

/* Sizes are absolute: when the queue has no room another one is pending, and the next change brings the newest. */
static void queue_size(struct session *s)
{
        uint16_t rows, cols;
        struct attach_size size;

        if (!s->o->terminal ||
            s->queued + sizeof(struct attach_frame) + sizeof(size) > sizeof(s->queue))
                return;
        if (!term_size(STDIN_FILENO, &rows, &cols) && !term_size(STDOUT_FILENO, &rows, &cols))
                return;
        size = (struct attach_size){.rows = htons(rows), .cols = htons(cols)};
        queue_frame(s, ATTACH_RESIZE, &size, sizeof(size));
}

/* A program draws its screen again when its size changes, and only then: the size that it has already would show nothing. */
static void queue_redraw(struct session *s)
{
        uint16_t rows, cols;
        struct attach_size size;

        if (!term_size(STDIN_FILENO, &rows, &cols) && !term_size(STDOUT_FILENO, &rows, &cols))
                return;
        size = (struct attach_size){.rows = htons((uint16_t)(rows + 1)), .cols = htons(cols)};
        queue_frame(s, ATTACH_RESIZE, &size, sizeof(size));
}

static int on_input(struct loop *l, int fd, uint32_t events, void *arg);
static int on_attach(struct loop *l, int fd, uint32_t events, void *arg);
static int on_output(struct loop *l, int fd, uint32_t events, void *arg);

/* Watches @fd for @events, or not at all: a descriptor whose other end is gone would wake us without end. */
static int watch(struct session *s, struct loop_source **src, int fd, uint32_t events,
                 loop_fd_fn fn)
{
        if (!events) {
                *src = loop_remove(*src);
                return 0;
        }
        if (*src)
                return loop_set_events(*src, events);
        return loop_add_fd(s->loop, fd, events, fn, s, src, NULL);
}

/* What we wait for follows from the buffers alone. */
static int update_events(struct session *s)
{
        uint32_t events = 0;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(s->outputs) && r >= 0; i++) {
                struct output *out = &s->outputs[i];
                bool waits = s->held && s->current == out;

                r = watch(s, &out->source, out->sink.fd, waits ? EPOLLOUT : 0, on_output);
        }
        if (!s->held)
                events |= EPOLLIN;
        if (s->queued > s->sent || (s->input_open && !s->input_pollable))
                events |= EPOLLOUT;
        if (r >= 0)
                r = watch(s, &s->attach, s->o->fd, events, on_attach);
        if (r >= 0 && s->input_pollable)
                r = watch(s, &s->input, STDIN_FILENO, s->input_open && s->queued == 0 ? EPOLLIN : 0,
                          on_input);
        return r;
}

/* 0 also when the monitor is gone: the reading side finds the end of the connection. */
static int send_queue(struct session *s)
{
        while (s->sent < s->queued) {
                ssize_t n = send(s->o->fd, s->queue + s->sent, s->queued - s->sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0) {
                        s->input_open = false;
                        break;
                }
                s->sent += (size_t)n;
        }
        s->sent = s->queued = 0;
        return 0;
}

static void end_input(struct session *s)
{
        s->input_open = false;
        queue_frame(s, ATTACH_STDIN_EOF, NULL, 0);
}

/* One chunk of standard input into the empty queue. */
static void read_input(struct session *s)
{
        unsigned char in[STDIN_CHUNK], out[STDIN_CHUNK + DETACH_KEYS_MAX];
        ssize_t n = read(STDIN_FILENO, in, sizeof(in));
        size_t len = 0;

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                /* EIO: the terminal is gone; to the container that is the end of its input. */
                end_input(s);
                return;
        }
        if (detach_keys_filter(&s->keys, in, (size_t)n, out, &len)) {
                finish(s, ATTACH_END_DETACHED);
                return;
        }
        if (len)
                queue_frame(s, ATTACH_STDIN, out, len);
}

static int on_input(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;

        if (s->input_open && s->queued == 0)
                read_input(s);
        (void)send_queue(s);
        return update_events(s);
}

/* ---- from the container -------------------------------------------------------------------------- */

/* As much of the data frame at hand as is there and its output takes. */
static void take_payload(struct session *s)
{
        struct output *out = s->current;
        size_t n = MIN(s->payload, s->end - s->begin);
        ptrdiff_t taken = (ptrdiff_t)n;

        if (out->sink.fd >= 0)
                taken = sink_write(&out->sink, s->in + s->begin, n);
        if (taken < 0) {
                out->source = loop_remove(out->source);
                sink_close(&out->sink);
                if (taken == -EPIPE || taken == -EIO)
                        finish(s, ATTACH_END_PIPE);
                else
                        log_warn("output of the container is lost: %s", strerror((int)-taken));
                taken = (ptrdiff_t)n;
        }
        s->held = (size_t)taken < n;
        s->begin += (size_t)taken;
        s->payload -= (size_t)taken;
}

/* What is left of a control frame's payload counts for nothing when it is shorter than it should be: a newer or broken monitor's. */
static void control_frame(struct session *s, uint8_t type, const unsigned char *payload, size_t n)
{
        uint32_t code;

        if (type == ATTACH_DETACHED) {
                finish(s, ATTACH_END_DETACHED);
        } else if (type == ATTACH_EXITED && n == sizeof(code)) {
                memcpy(&code, payload, sizeof(code));
                s->result.code = (int)(ntohl(code) & 0xff);
        } else if (type == ATTACH_DROPPED) {
                finish(s,
                       n > 0 && payload[0] == ATTACH_DROP_FULL ? ATTACH_END_FULL : ATTACH_END_SLOW);
        } /* others are a newer monitor's: not for us */
}

/* Begins the next frame. 1, or 0 when more of it must be received first. */
static int take_head(struct session *s)
{
        size_t n = s->end - s->begin;
        struct attach_frame h;
        uint32_t len;

        if (n < sizeof(h))
                return 0;
        memcpy(&h, s->in + s->begin, sizeof(h));
        len = ntohl(h.len);
        if (len > ATTACH_FRAME_MAX)
                return -EPROTO;
        if (h.type == ATTACH_STDOUT || h.type == ATTACH_STDERR) {
                s->begin += sizeof(h);
                s->payload = len;
                s->current = &s->outputs[h.type == ATTACH_STDERR];
                return 1;
        }
        if (n < sizeof(h) + len)
                return 0;
        control_frame(s, h.type, s->in + s->begin + sizeof(h), len);
        s->begin += sizeof(h) + len;
        return 1;
}

/* Everything that is there, until an output takes no more. */
static int take_frames(struct session *s)
{
        int r = 1;

        while (r > 0 && s->begin < s->end && s->result.end == ATTACH_END_OUTPUT) {
                if (s->payload > 0)
                        take_payload(s);
                else
                        r = take_head(s);
                if (s->held)
                        return 0;
        }
        if (s->begin > 0) {
                memmove(s->in, s->in + s->begin, s->end - s->begin);
                s->end -= s->begin;
                s->begin = 0;
        }
        return r < 0 ? r : 0;
}

static int receive(struct session *s)
{
        ssize_t n = recv(s->o->fd, s->in + s->end, sizeof(s->in) - s->end, MSG_DONTWAIT);

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0) {
                finish(s, ATTACH_END_OUTPUT);
                return 0;
        }
        s->end += (size_t)n;
        return take_frames(s);
}

static int on_attach(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;
        int r = 0;

        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !s->held)
                r = receive(s);
        if (r == -ECONNRESET) { /* a killed monitor: its end is told by the STATUS socket */
                finish(s, ATTACH_END_OUTPUT);
                return 0;
        }
        if (r < 0)
                return r;
        if ((events & EPOLLOUT) && s->input_open && !s->input_pollable && s->queued == 0)
                read_input(s);
        (void)send_queue(s);
        return update_events(s);
}

static int on_output(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;
        int r;

        if (!s->held)
                return 0;
        s->held = false;
        r = take_frames(s);
        return r < 0 ? r : update_events(s);
}

/* ---- signals ------------------------------------------------------------------------------------- */

/* Stops us as the default action would have, with the terminal in order meanwhile. */
static void stop_ourselves(struct session *s)
{
        if (s->term)
                term_suspend(s->term);
        (void)raise(SIGSTOP);
        if (s->term)
                term_resume(s->term);
        queue_size(s);
}

static void pass_on(struct session *s, int sig)
{
        if (s->o->proxy)
                (void)s->o->proxy(sig, s->o->proxy_arg);
}

static int on_signal(struct loop *l, const struct signalfd_siginfo *si, void *arg)
{
        struct session *s = arg;
        int sig = (int)si->ssi_signo;
        bool asks_to_end = sig == SIGINT || sig == SIGTERM || sig == SIGQUIT || sig == SIGHUP;

        if (sig == SIGWINCH) {
                queue_size(s);
        } else if (sig == SIGTSTP) {
                pass_on(s, sig);
                stop_ourselves(s);
        } else if (sig == SIGCONT) {
                if (s->term)
                        term_resume(s->term);
                pass_on(s, sig);
                queue_size(s);
        } else if (!s->o->proxy || (asks_to_end && ++s->interrupts >= FORCE_AFTER)) {
                s->result.signal = sig;
                finish(s, ATTACH_END_SIGNAL);
                return 0;
        } else {
                pass_on(s, sig);
        }
        (void)send_queue(s);
        return update_events(s);
}

/* Everything a user may send, but what has a meaning for ourselves (SIGCHLD, SIGPIPE, the terminal's SIGTTIN and SIGTTOU),
 * and what reports our own faults. Without a proxy only what ends or stops a program. */
static void wanted_signals(const struct attach_opts *o, sigset_t *set)
{
        static const int never[] = {SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE,
                                    SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, SIGKILL, SIGSTOP};
        static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};

        if (!o->proxy) {
                sigemptyset(set);
                for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
                        sigaddset(set, ending[i]);
                return;
        }
        sigfillset(set);
        for (size_t i = 0; i < ARRAY_SIZE(never); i++)
                sigdelset(set, never[i]);
}

/* ---- setting up ---------------------------------------------------------------------------------- */

static int add_input(struct session *s, struct err **reterr)
{
        int r;

        if (!s->o->forward_stdin)
                return 0;
        s->input_open = true;
        r = loop_add_fd(s->loop, STDIN_FILENO, EPOLLIN, on_input, s, &s->input, NULL);
        s->input_pollable = r >= 0;
        return r < 0 && r != -EPERM ? err_sys(reterr, -r, "watch standard input") : 0;
}

static int set_up(struct session *s, const sigset_t *signals, struct err **reterr)
{
        int r = loop_new(&s->loop, reterr);

        if (r >= 0)
                r = fd_set_nonblock(s->o->fd, true, reterr);
        if (r >= 0)
                r = loop_add_signals(s->loop, signals, on_signal, s, reterr);
        if (r >= 0)
                r = loop_add_fd(s->loop, s->o->fd, EPOLLIN, on_attach, s, &s->attach, reterr);
        if (s->o->forward_stdout)
                sink_open(&s->outputs[0].sink, STDOUT_FILENO);
        if (s->o->forward_stderr)
                sink_open(&s->outputs[1].sink, STDERR_FILENO);
        if (r >= 0)
                r = add_input(s, reterr);
        return r;
}

static int run_session(struct session *s, struct err **reterr)
{
        sigset_t signals, before;
        int r;

        /* Raw mode before the signals are blocked: in the background it waits, stopped, for the foreground. */
        if (s->o->terminal && s->o->forward_stdin && fd_is_terminal(STDIN_FILENO)) {
                r = term_raw(STDIN_FILENO, &s->term, reterr);
                if (r < 0)
                        return r;
        }
        wanted_signals(s->o, &signals);
        (void)sigprocmask(SIG_BLOCK, &signals, &before);
        r = set_up(s, &signals, reterr);
        if (r >= 0) {
                if (s->o->redraw)
                        queue_redraw(s);
                queue_size(s);
                (void)send_queue(s);
                r = update_events(s);
        }
        if (r >= 0)
                r = loop_run(s->loop, reterr);
        s->loop = loop_free(s->loop);
        sink_close(&s->outputs[0].sink);
        sink_close(&s->outputs[1].sink);
        s->term = term_free(s->term);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int attach_run(const struct attach_opts *o, struct attach_result *ret, struct err **reterr)
{
        AUTO_FREE struct session *s = xmalloc(sizeof(*s));
        int r = 0;

        memset(s, 0, offsetof(struct session, in)); /* not the buffers: most are never touched */
        s->o = o;
        s->result.code = -1;
        s->outputs[0].sink = s->outputs[1].sink = SINK_NONE;
        if (o->terminal)
                r = detach_keys_parse(o->detach_keys, &s->keys, reterr);
        if (r >= 0)
                r = run_session(s, reterr);
        if (r == -EPROTO && reterr && !*reterr)
                return err_new(reterr, ERR_REMOTE,
                               "the container's monitor sent a frame that is too long");
        if (r < 0)
                return reterr && !*reterr ? err_sys(reterr, -r, "attach") : r;
        *ret = s->result;
        return 0;
}
