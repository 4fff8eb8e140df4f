/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define IO_CHUNK  (1U << 30) /* below the kernel's limit of one transfer (2 GiB - 4 KiB) */
#define IO_BUFFER (64U * 1024)

ssize_t io_read_some(int fd, void *buf, size_t n)
{
        size_t done = 0;

        while (done < n) {
                ssize_t r = read(fd, (char *)buf + done, n - done);

                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -errno;
                if (r == 0)
                        break;
                done += (size_t)r;
        }
        return (ssize_t)done;
}

int io_read_full(int fd, void *buf, size_t n)
{
        ssize_t r = io_read_some(fd, buf, n);

        if (r < 0)
                return (int)r;
        return (size_t)r == n ? 0 : -EPROTO;
}

/* The descriptor may be somebody's non-blocking terminal or pipe: wait for it instead of failing or spinning. */
static int io_wait(int fd, short events)
{
        struct pollfd p = {.fd = fd, .events = events};

        if (poll(&p, 1, -1) < 0 && errno != EINTR)
                return -errno;
        return 0;
}

int io_write_full(int fd, const void *buf, size_t n)
{
        size_t done = 0;

        while (done < n) {
                ssize_t r = write(fd, (const char *)buf + done, n - done);

                if (r >= 0) {
                        done += (size_t)r;
                        continue;
                }
                if (errno == EAGAIN) {
                        int w = io_wait(fd, POLLOUT);

                        if (w < 0)
                                return w;
                } else if (errno != EINTR) {
                        return -errno;
                }
        }
        return 0;
}

int io_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                 struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF;

        /* Without O_NONBLOCK a FIFO in the file's place would hang us. */
        fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return err_sys(reterr, errno, "open '%s'", path);
        return io_read_fd(fd, path, max, ret, ret_len, reterr);
}

/* First guess of how much will come: the size for files that know it, a page for those of /proc that say 0. */
static size_t io_guess_size(int fd, size_t max)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
                return MIN(max, (size_t)4096);
        return MIN(max, (size_t)st.st_size);
}

int io_read_fd(int fd, const char *what, size_t max, char **ret, size_t *ret_len,
               struct err **reterr)
{
        AUTO_FREE char *buf = NULL;
        size_t len = 0, cap = io_guess_size(fd, max) + 2;

        /* One byte more than guessed: a short answer to that is the end of the file without another read. */
        buf = xmalloc(cap);
        for (;;) {
                ssize_t n = io_read_some(fd, buf + len, cap - 1 - len);

                if (n < 0)
                        return err_sys(reterr, (int)-n, "read '%s'", what);
                len += (size_t)n;
                if (len > max) {
                        (void)err_new(reterr, ERR_INVALID, "'%s' is larger than %zu bytes", what,
                                      max);
                        return -EFBIG;
                }
                if (len < cap - 1)
                        break;
                cap = MIN(cap * 2, max + 2);
                buf = xrealloc(buf, cap, 1);
        }
        buf[len] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_len)
                *ret_len = len;
        return 0;
}

/* ---- copying ---- */

/* What the kernel says when a way of copying is not for this pair of descriptors; the next way is tried. */
static int io_is_unsuitable(int errnum)
{
        return errnum == EINVAL || errnum == EXDEV || errnum == ENOSYS || errnum == EOPNOTSUPP ||
               errnum == EBADF || errnum == EPERM || errnum == ETXTBSY;
}

static ssize_t io_copy_by_range(int from, int to, size_t n)
{
        return copy_file_range(from, NULL, to, NULL, n, 0);
}

static ssize_t io_copy_by_sendfile(int from, int to, size_t n)
{
        return sendfile(to, from, NULL, n);
}

static ssize_t io_copy_by_buffer(int from, int to, size_t n)
{
        char buf[IO_BUFFER];
        ssize_t got;
        int r;

        got = read(from, buf, MIN(n, sizeof(buf)));
        if (got <= 0)
                return got;
        r = io_write_full(to, buf, (size_t)got);
        if (r < 0) {
                errno = -r;
                return -1;
        }
        return got;
}

static ssize_t (*const io_ways[])(int, int, size_t) = {
    io_copy_by_range,
    io_copy_by_sendfile,
    io_copy_by_buffer,
};

/* Copies up to @n bytes with the first way that works, remembered in *way. Bytes copied (short only at EOF) or -errno. */
static int64_t io_copy_data(int from, int to, uint64_t n, size_t *way)
{
        uint64_t done = 0;

        while (done < n) {
                ssize_t r = io_ways[*way](from, to, (size_t)MIN(n - done, (uint64_t)IO_CHUNK));

                if (r > 0) {
                        done += (uint64_t)r;
                        continue;
                }
                /* Files of /proc report size 0, which copy_file_range takes for the end: ask the next way. */
                if (r == 0 && (done > 0 || *way + 1 == ARRAY_SIZE(io_ways)))
                        break;
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0 && errno == EAGAIN && io_wait(from, POLLIN) >= 0 &&
                    io_wait(to, POLLOUT) >= 0)
                        continue;
                if (r < 0 && (*way + 1 == ARRAY_SIZE(io_ways) || !io_is_unsuitable(errno)))
                        return -errno;
                (*way)++;
        }
        return (int64_t)done;
}

/* Both regular, and nothing in the destination yet that a hole would have to erase. */
static int io_can_keep_holes(int from, int to)
{
        struct stat a, b;
        off_t pos = lseek(to, 0, SEEK_CUR);

        return fstat(from, &a) == 0 && fstat(to, &b) == 0 && S_ISREG(a.st_mode) &&
               S_ISREG(b.st_mode) && pos >= b.st_size && !(fcntl(to, F_GETFL) & O_APPEND) &&
               a.st_blocks < (a.st_size + 511) / 512;
}

/* Moves both files over a hole of @n bytes; the destination grows, so that a hole at its end is kept too. */
static int io_skip(int from, int to, off_t n)
{
        off_t end;

        if (lseek(from, n, SEEK_CUR) < 0)
                return -errno;
        end = lseek(to, n, SEEK_CUR);
        if (end < 0)
                return -errno;
        return ftruncate(to, end) < 0 ? -errno : 0;
}

static int64_t io_copy_sparse(int from, int to, uint64_t n, size_t *way)
{
        off_t pos = lseek(from, 0, SEEK_CUR);
        struct stat st;
        off_t end;

        if (pos < 0 || fstat(from, &st) < 0)
                return -errno;
        if (st.st_size <= pos)
                return 0;
        end = n < (uint64_t)(st.st_size - pos) ? pos + (off_t)n : st.st_size;
        for (off_t at = pos; at < end;) {
                off_t data, hole;
                int64_t r;

                data = lseek(from, at, SEEK_DATA);
                if (data < 0 && errno != ENXIO)
                        return -errno;
                if (data < 0 || data > end)
                        data = end;
                hole = data < end ? lseek(from, data, SEEK_HOLE) : end;
                if (hole < 0 || lseek(from, at, SEEK_SET) < 0)
                        return -errno;
                r = data > at ? io_skip(from, to, data - at) : 0;
                if (r < 0)
                        return r;
                r = io_copy_data(from, to, (uint64_t)(MIN(hole, end) - data), way);
                if (r < 0)
                        return r;
                at = data + r;
                if (at < MIN(hole, end))
                        return at - pos; /* shrunk under our hands */
        }
        return end - pos;
}

int io_copy(int from, int to, uint64_t n, struct err **reterr)
{
        size_t way = 0;
        int64_t r;

        if (io_can_keep_holes(from, to))
                r = io_copy_sparse(from, to, n, &way);
        else
                r = io_copy_data(from, to, n, &way);
        if (r < 0)
                return err_sys(reterr, (int)-r, "copy");
        if (n != IO_COPY_ALL && (uint64_t)r < n)
                return err_sys(reterr, EPROTO, "copy: ended after %lld of %llu bytes", (long long)r,
                               (unsigned long long)n);
        return 0;
}
