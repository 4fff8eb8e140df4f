/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach — one loop over the connection, standard input, two outputs and the signals.
 *
 *   stdin ──read──▶ out queue ──▶ ATTACH ──▶ frame buffer ──▶ sinks (stdout, stderr)
 *
 * Each arrow stops while the next stage is full: input is not read while the queue holds anything, the connection is not
 * read while a sink holds anything. Standard streams keep their flags: O_NONBLOCK belongs to everybody who shares the open
 * file (the shell that started us), so readiness is asked for instead and at most PIPE_BUF bytes are written at a time.
 */
#include "cli/attach.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "monitor/protocol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STDIN_CHUNK 16384
#define FORCE_AFTER                                                                                \
        3 /* as many SIGINT or SIGTERM from the user end a session whose container ignores them */
#define FRAME_ROOM (sizeof(struct attach_frame) + STDIN_CHUNK + DETACH_KEYS_MAX)
#define QUEUE_ROOM (FRAME_ROOM + 4 * (sizeof(struct attach_frame) + sizeof(struct attach_size)))

struct sink {
        int fd;    /* -EBADF: what comes is dropped */
        bool file; /* never blocks for long, and takes any amount */
        struct loop_source *
            source; /* only while something waits for it: a closed pipe reports itself without end */
};

struct session {
        const struct attach_opts *o;
        struct loop *loop;
        struct term *term;
        struct detach_keys keys;
        struct loop_source *attach, *input;
        struct sink sinks[2];
        bool input_open, input_pollable;
        size_t have, taken;   /* of frame: received, written out */
        struct sink *current; /* where its payload goes */
        size_t queued, sent;  /* of queue */
        unsigned interrupts;
        struct attach_result result;
        /* The frame being received: header and payload; payload bytes [taken, have) are still to be written. */
        unsigned char frame[sizeof(struct attach_frame) + ATTACH_FRAME_MAX];
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

static bool reading_is_held(const struct session *s)
{
        return s->taken > 0; /* a complete frame is being written out */
}

static int on_input(struct loop *l, int fd, uint32_t events, void *arg);
static int on_attach(struct loop *l, int fd, uint32_t events, void *arg);
static int on_sink(struct loop *l, int fd, uint32_t events, void *arg);

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

        for (size_t i = 0; i < ARRAY_SIZE(s->sinks) && r >= 0; i++) {
                struct sink *k = &s->sinks[i];
                bool waits = reading_is_held(s) && s->current == k;

                r = watch(s, &k->source, k->fd, waits ? EPOLLOUT : 0, on_sink);
        }
        if (!reading_is_held(s))
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

static bool is_ready(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        return poll(&p, 1, 0) > 0;
}

/* Writes from the received payload; 0 done or must wait, -errno when it cannot be written. */
static int write_sink(struct session *s, const struct sink *k)
{
        while (s->taken < s->have && (k->file || is_ready(k->fd))) {
                size_t n = s->have - s->taken;
                ssize_t w =
                    write(k->fd, s->frame + s->taken, k->file ? n : MIN(n, (size_t)PIPE_BUF));

                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0 && errno == EAGAIN)
                        break;
                if (w < 0)
                        return -errno;
                s->taken += (size_t)w;
        }
        return 0;
}

/* The payload of the received frame goes to its sink, as far as that takes it. */
static void drain_frame(struct session *s)
{
        struct sink *k = s->current;
        int r = k->fd >= 0 ? write_sink(s, k) : 0;

        if (k->fd >= 0 && r >= 0)
                return;
        s->taken = s->have;
        if (r < 0)
                k->source = loop_remove(k->source);
        if (r == -EPIPE || r == -EIO)
                finish(s, ATTACH_END_PIPE);
        else if (r < 0)
                log_warn("output of the container is lost: %s", strerror(-r));
        k->fd = -EBADF;
}

static void frame_done(struct session *s)
{
        s->have = s->taken = 0;
}

/* What is left of a control frame's payload counts for nothing when it is shorter than it should be: a newer or broken monitor's. */
static void end_received(struct session *s, enum attach_type type, const unsigned char *payload,
                         size_t n)
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
        }
        s->taken = s->have;
}

static void frame_received(struct session *s)
{
        struct attach_frame h;

        memcpy(&h, s->frame, sizeof(h));
        switch (h.type) {
        case ATTACH_STDOUT:
        case ATTACH_STDERR:
                s->taken = sizeof(h);
                s->current = &s->sinks[h.type == ATTACH_STDERR];
                drain_frame(s);
                break;
        default:
                end_received(s, h.type, s->frame + sizeof(h), s->have - sizeof(h));
                break;
        }
        if (s->taken == s->have)
                frame_done(s);
}

static size_t frame_wanted(const struct session *s, int *r)
{
        struct attach_frame h;
        uint32_t len;

        *r = 0;
        if (s->have < sizeof(h))
                return sizeof(h);
        memcpy(&h, s->frame, sizeof(h));
        len = ntohl(h.len);
        if (len > ATTACH_FRAME_MAX)
                *r = -EPROTO;
        return sizeof(h) + len;
}

static int receive(struct session *s)
{
        int r;
        size_t want = frame_wanted(s, &r);
        ssize_t n;

        if (r < 0)
                return r;
        n = recv(s->o->fd, s->frame + s->have, want - s->have, MSG_DONTWAIT);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0) {
                finish(s, ATTACH_END_OUTPUT);
                return 0;
        }
        s->have += (size_t)n;
        want = frame_wanted(s, &r);
        if (r < 0 || s->have < want)
                return r;
        frame_received(s);
        return 0;
}

static int on_attach(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;
        int r = 0;

        if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !reading_is_held(s))
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

static int on_sink(struct loop *l, int fd, uint32_t events, void *arg)
{
        struct session *s = arg;

        if (!reading_is_held(s))
                return 0;
        drain_frame(s);
        if (s->taken == s->have)
                frame_done(s);
        return update_events(s);
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

static void set_sink(struct sink *k, int fd, bool forward)
{
        struct stat st;

        k->fd = forward ? fd : -EBADF;
        k->file = forward && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

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
        set_sink(&s->sinks[0], STDOUT_FILENO, s->o->forward_stdout);
        set_sink(&s->sinks[1], STDERR_FILENO, s->o->forward_stderr);
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
        s->term = term_free(s->term);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int attach_run(const struct attach_opts *o, struct attach_result *ret, struct err **reterr)
{
        AUTO_FREE struct session *s = xmalloc(sizeof(*s));
        int r = 0;

        memset(s, 0, offsetof(struct session, frame)); /* not the buffers: most are never touched */
        s->o = o;
        s->result.code = -1;
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
