/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * fd — descriptors. An invalid descriptor is -EBADF; every descriptor is close-on-exec; fd_close() asserts on EBADF.
 * Descriptor parameters are borrowed unless the function's name ends in _take.
 */
#include "base/macros.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

struct err;

/* < 0 is ok; returns -EBADF always, so that fd = fd_close(fd) empties the variable. Keeps errno. */
int fd_close(int fd);
static inline void auto_closep(int *fd)
{
        (void)fd_close(*fd);
}
#define AUTO_CLOSE AUTO(auto_closep)

/* F_DUPFD_CLOEXEC at or above 3. */
int fd_dup(int fd, struct err **reterr);
/* Moves a descriptor that landed on 0–2 above them; consumes @fd. */
int fd_move_above_stdio_take(int fd, struct err **reterr);
int fd_set_nonblock(int fd, bool on, struct err **reterr);
int fd_set_cloexec(int fd, bool on, struct err **reterr);
/* "/proc/self/fd/N" into a caller's buffer: async-signal-safe, no stdio. */
#define FD_PATH_MAX 32
char *fd_path(int fd, char buf[FD_PATH_MAX]);
/* Opens /dev/null on whichever of 0–2 is closed, so that later opens cannot land there. First line of every main(). */
int fd_sanitize_stdio(void);
bool fd_is_terminal(int fd);
int fd_pipe(int ret_fds[2], struct err **reterr);                 /* O_CLOEXEC */
int fd_socketpair(int type, int ret_fds[2], struct err **reterr); /* AF_UNIX, SOCK_CLOEXEC */
/* One datagram or byte chunk with up to @n_fds descriptors (SCM_RIGHTS). recv: received descriptors are CLOEXEC and owned
 * by the caller; *n_fds in: room, out: count (NULL: none are taken). 0 = EOF. A message that is truncated, or brings more
 * descriptors than there is room for, is -EPROTO and leaves none open. */
#define FD_SEND_MAX 64
ssize_t fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
ssize_t fd_recv(int sock, void *data, size_t len, int *fds, size_t *n_fds);
