/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * epoll hands out a batch of events, each with a pointer to its source. A callback may remove any source, also one with
 * an event later in the same batch: a removed source is only marked and leaves epoll at once; its memory goes when the
 * batch is done. Every source hangs in one list, so that loop_free() finds what nobody removed.
 */
#include "base/loop.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LOOP_BATCH 16

enum loop_kind { LOOP_FD, LOOP_TIMER, LOOP_SIGNALS };

struct loop_source {
        struct loop *loop;
        struct loop_source *prev, *next;
        enum loop_kind kind;
        bool removed;
        int fd;       /* LOOP_FD: the owner's; else ours */
        int proxy_fd; /* stands for fd where epoll does not take that; else -EBADF */
        uint32_t events;
        union {
                loop_fd_fn on_fd;
                loop_timer_fn on_timer;
                loop_signal_fn on_signal;
        };
        void *arg;
};

struct loop {
        int epoll_fd;
        bool stopped, dispatching, has_signals;
        struct loop_source *sources;
        struct loop_source *removed; /* waiting for the end of the batch */
};

int loop_new(struct loop **ret, struct err **reterr)
{
        struct loop *l;
        int fd = epoll_create1(EPOLL_CLOEXEC);

        if (fd < 0)
                return err_sys(reterr, errno, "make an event loop");
        l = xnew(struct loop);
        l->epoll_fd = fd;
        *ret = l;
        return 0;
}

static void loop_reap(struct loop *l)
{
        while (l->removed) {
                struct loop_source *s = l->removed;

                l->removed = s->next;
                free(s);
        }
}

struct loop *loop_free(struct loop *l)
{
        if (!l)
                return NULL;
        assert(!l->dispatching);
        while (l->sources)
                (void)loop_remove(l->sources);
        loop_reap(l);
        (void)fd_close(l->epoll_fd);
        free(l);
        return NULL;
}

/*
 * Regular files, directories and /dev/null are always ready and epoll refuses them (EPERM). For the callback's sake they
 * are watched through an eventfd that is always ready too: stdin may be anything.
 */
static int loop_watch(struct loop_source *s)
{
        struct epoll_event ev = {.events = s->events, .data.ptr = s};
        int fd;

        if (epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0)
                return 0;
        if (errno != EPERM || s->kind != LOOP_FD)
                return -errno;
        fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0)
                return -errno;
        s->proxy_fd = fd;
        ev.events &= EPOLLIN | EPOLLOUT;
        return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* @fd is taken over with the source when it is ours (timer, signals), also on failure. */
static int loop_add(struct loop *l, enum loop_kind kind, int fd, uint32_t events, void *arg,
                    struct loop_source **ret, struct err **reterr)
{
        struct loop_source *s = xnew(struct loop_source);
        int r;

        *s = (struct loop_source){
            .loop = l,
            .kind = kind,
            .fd = fd,
            .proxy_fd = -EBADF,
            .events = events,
            .arg = arg,
        };
        r = loop_watch(s);
        if (r < 0) {
                (void)fd_close(s->proxy_fd);
                if (kind != LOOP_FD)
                        (void)fd_close(fd);
                free(s);
                return err_sys(reterr, -r, "watch a descriptor");
        }
        s->next = l->sources;
        if (s->next)
                s->next->prev = s;
        l->sources = s;
        *ret = s;
        return 0;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg,
                struct loop_source **ret, struct err **reterr)
{
        struct loop_source *s;
        int r;

        r = loop_add(l, LOOP_FD, fd, events, arg, &s, reterr);
        if (r < 0)
                return r;
        s->on_fd = fn;
        if (ret)
                *ret = s;
        return 0;
}

int loop_set_events(struct loop_source *s, uint32_t events)
{
        struct epoll_event ev = {.events = events, .data.ptr = s};
        int fd = s->proxy_fd >= 0 ? s->proxy_fd : s->fd;

        s->events = events;
        return epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 ? -errno : 0;
}

int loop_add_timer(struct loop *l, uint64_t ns, loop_timer_fn fn, void *arg,
                   struct loop_source **ret, struct err **reterr)
{
        struct loop_source *s;
        int fd, r;

        fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        if (fd < 0)
                return err_sys(reterr, errno, "make a timer");
        r = loop_add(l, LOOP_TIMER, fd, EPOLLIN, arg, &s, reterr);
        if (r < 0)
                return r;
        s->on_timer = fn;
        r = loop_timer_set(s, ns);
        if (r < 0) {
                (void)loop_remove(s);
                return err_sys(reterr, -r, "set a timer");
        }
        if (ret)
                *ret = s;
        return 0;
}

int loop_timer_set(struct loop_source *s, uint64_t ns)
{
        struct itimerspec t = {
            .it_value =
                {
                    .tv_sec = (time_t)(ns / 1000000000),
                    .tv_nsec = (long)(ns % 1000000000),
                },
        };

        assert(s->kind == LOOP_TIMER);
        /* Zero would disarm it; "at once" is meant. */
        if (ns == 0)
                t.it_value.tv_nsec = 1;
        return timerfd_settime(s->fd, 0, &t, NULL) < 0 ? -errno : 0;
}

int loop_timer_stop(struct loop_source *s)
{
        static const struct itimerspec never = {0};

        assert(s->kind == LOOP_TIMER);
        return timerfd_settime(s->fd, 0, &never, NULL) < 0 ? -errno : 0;
}

int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn fn, void *arg,
                     struct err **reterr)
{
        struct loop_source *s;
        int fd, r;

        assert(!l->has_signals);
        fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return err_sys(reterr, errno, "watch signals");
        r = loop_add(l, LOOP_SIGNALS, fd, EPOLLIN, arg, &s, reterr);
        if (r < 0)
                return r;
        s->on_signal = fn;
        l->has_signals = true;
        return 0;
}

struct loop_source *loop_remove(struct loop_source *s)
{
        struct loop *l;

        if (!s)
                return NULL;
        assert(!s->removed);
        l = s->loop;
        /* Fails when the owner closed the descriptor already; then epoll forgot it too, if it was the last copy. */
        if (s->proxy_fd < 0)
                (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
        s->proxy_fd = fd_close(s->proxy_fd);
        if (s->kind != LOOP_FD)
                s->fd = fd_close(s->fd);
        if (s->prev)
                s->prev->next = s->next;
        else
                l->sources = s->next;
        if (s->next)
                s->next->prev = s->prev;
        s->removed = true;
        s->prev = NULL;
        s->next = l->removed;
        l->removed = s;
        if (!l->dispatching)
                loop_reap(l);
        return NULL;
}

static int loop_dispatch_timer(struct loop_source *s)
{
        uint64_t expirations;

        /* Set again by an earlier callback of this batch: the expiry seen by epoll is no longer true. */
        if (read(s->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
                return 0;
        return s->on_timer(s->loop, s->arg);
}

static int loop_dispatch_signals(struct loop_source *s)
{
        struct signalfd_siginfo si;

        /* One per turn, level-triggered: a callback may remove the source or stop the loop in between. */
        if (read(s->fd, &si, sizeof(si)) != sizeof(si))
                return 0;
        return s->on_signal(s->loop, &si, s->arg);
}

static int loop_dispatch(struct loop_source *s, uint32_t events)
{
        switch (s->kind) {
        case LOOP_FD:
                return s->on_fd(s->loop, s->fd, events, s->arg);
        case LOOP_TIMER:
                return loop_dispatch_timer(s);
        case LOOP_SIGNALS:
                return loop_dispatch_signals(s);
        }
        return -EINVAL;
}

static int loop_turn(struct loop *l, struct err **reterr)
{
        struct epoll_event events[LOOP_BATCH];
        int n, r = 0;

        n = epoll_wait(l->epoll_fd, events, LOOP_BATCH, -1);
        if (n < 0)
                return errno == EINTR ? 0 : err_sys(reterr, errno, "wait for events");
        l->dispatching = true;
        for (int i = 0; i < n && r >= 0 && !l->stopped; i++) {
                struct loop_source *s = events[i].data.ptr;

                if (!s->removed)
                        r = loop_dispatch(s, events[i].events);
        }
        l->dispatching = false;
        loop_reap(l);
        return r < 0 ? r : 0;
}

int loop_run(struct loop *l, struct err **reterr)
{
        int r = 0;

        /* A stop that came before the run counts: what it waits for has happened already. */
        while (r >= 0 && !l->stopped)
                r = loop_turn(l, reterr);
        l->stopped = false;
        return r < 0 ? r : 0;
}

void loop_stop(struct loop *l)
{
        l->stopped = true;
}
