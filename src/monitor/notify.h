/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * notify — sd_notify(3) between whoever started us as a service ($NOTIFY_SOCKET) and the container (--sdnotify).
 *
 * The service manager's socket never enters the container: it gets one of ours, and of what it says there only what is about itself
 * is passed on. Which process is the main one, and what is kept for it, is ours to say.
 */
#include "base/macros.h"

struct dirs;
struct err;
struct loop;
struct notify;
struct spec;

/* Before the launch. NULL: nobody wants to hear, or the container's mode is to ignore it. With mode "container" the spec gets a mount
 * and a variable more. @dir_fd: the container's directory. */
int notify_new(const struct dirs *d, int dir_fd, struct spec *s, struct notify **ret,
               struct err **reterr);
/* The program runs. */
int notify_started(struct notify *n, struct loop *l, struct err **reterr);
/* Its health check has succeeded: with mode "healthy" that is readiness. NULL ok. */
void notify_healthy(struct notify *n);
struct notify *notify_free(struct notify *n); /* NULL ok; returns NULL */
