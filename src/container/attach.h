/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* attach — the streams of a container that runs already. */
struct container;
struct container_io;
struct dirs;
struct err;

/* A further client of a running container's streams: ret->attach_fd, no status_fd. ERR_BUSY: it does not run; ERR_UNSUPPORTED: its streams
 * are not the monitor's. */
int container_attach(const struct dirs *d, struct container *c, struct container_io *ret,
                     struct err **reterr);
/* The user has left it to itself: tells the log of events. */
void container_detached(const struct dirs *d, struct container *c);
