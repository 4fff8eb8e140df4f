/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* io — whole reads and writes. A short read where more was promised is an error (-EPROTO), never silence. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

int io_read_full(int fd, void *buf, size_t n);     /* 0, -EPROTO at an early EOF, -errno */
ssize_t io_read_some(int fd, void *buf, size_t n); /* fills as far as EOF; bytes read or -errno */
int io_write_full(int fd, const void *buf,
                  size_t n); /* 0 or -errno; retries EINTR and polls on EAGAIN */
/* Reads a whole file of at most @max bytes (more: -EFBIG, ERR_INVALID). The result is NUL-terminated; caller owns. */
int io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                 struct err **reterr);
int io_read_fd(int fd, const char *what, size_t max, char **ret, size_t *ret_len,
               struct err **reterr);
/*
 * Copies exactly @n bytes from where @from stands to where @to stands (an early EOF is an error), or with IO_COPY_ALL all
 * that comes. copy_file_range, then sendfile, then read/write; holes are kept when both are regular files and @to ends
 * where it stands.
 */
#define IO_COPY_ALL UINT64_MAX
int io_copy(int from, int to, uint64_t n, struct err **reterr);
