/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * loop — one epoll loop per process: descriptors, timers (CLOCK_BOOTTIME), signals through a signalfd.
 *
 * Callbacks return 0, or < 0 to end loop_run() with that value; loop_stop() ends it with 0. A source may be removed from inside any
 * callback, its own included. Level-triggered. Not thread-safe; not for the child.
 */
#include "base/macros.h"

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

struct err;
struct loop;
struct loop_source;
typedef int (*loop_fd_fn)(struct loop *l, int fd, uint32_t events, void *arg);
typedef int (*loop_timer_fn)(struct loop *l, void *arg);
typedef int (*loop_signal_fn)(struct loop *l, const struct signalfd_siginfo *si, void *arg);

int loop_new(struct loop **ret, struct err **reterr);
/* Removes every source; descriptors stay with their owners. Not from inside a callback. */
struct loop *loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free);

/* Any descriptor: what epoll does not take (regular files, /dev/null) is always ready. */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg,
                struct loop_source **ret, struct err **reterr);
int loop_set_events(struct loop_source *s, uint32_t events);
/* One shot, in @ns from now; loop_timer_set() arms it again. */
int loop_add_timer(struct loop *l, uint64_t ns, loop_timer_fn fn, void *arg,
                   struct loop_source **ret, struct err **reterr);
int loop_timer_set(struct loop_source *s, uint64_t ns);
int loop_timer_stop(struct loop_source *s);
/* The signals must be blocked by the caller; one call per loop. */
int loop_add_signals(struct loop *l, const sigset_t *set, loop_signal_fn fn, void *arg,
                     struct err **reterr);
struct loop_source *loop_remove(struct loop_source *s); /* NULL ok; returns NULL */
int loop_run(struct loop *l, struct err **reterr);
void loop_stop(struct loop *l); /* before loop_run(): that returns at once */
