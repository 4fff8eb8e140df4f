/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation
 *
 * The temporary file is locked by its writer for as long as it lives under its temporary name. That is how a sweeper
 * tells the garbage of a killed writer (unlocked) from a file that is being written right now. Between making and locking
 * it a sweeper may still win; the writer then notices that its name is gone, and begins again.
 */
#include "base/atomic_file.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/random_id.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATOMIC_PREFIX    ".tmp-"
#define ATOMIC_NAME_MAX  (sizeof(ATOMIC_PREFIX) + 16)
#define ATOMIC_MAX_TRIES 100

static int atomic_create(int dirfd, char name[ATOMIC_NAME_MAX])
{
        AUTO_CLOSE int fd = -EBADF;
        char id[RANDOM_ID_LEN + 1];

        random_id(id);
        (void)snprintf(name, ATOMIC_NAME_MAX, ATOMIC_PREFIX "%.16s", id);
        fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        /* Fails only when a sweeper has it in its hands, about to unlink it. */
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        return TAKE_FD(fd);
}

struct atomic_content {
        const void *data;
        size_t n;
        mode_t mode;
        bool durable;
};

static int atomic_fill(int fd, const struct atomic_content *c)
{
        int r = io_write_full(fd, c->data, c->n);

        if (r < 0)
                return r;
        /* Made with 0600, whatever the umask; asked for exactly. */
        if (c->mode != 0600 && fchmod(fd, c->mode) < 0)
                return -errno;
        return c->durable && fsync(fd) < 0 ? -errno : 0;
}

static int atomic_write_once(int dirfd, const char *name, const struct atomic_content *c)
{
        AUTO_CLOSE int fd = -EBADF;
        char temporary[ATOMIC_NAME_MAX];
        int r;

        fd = atomic_create(dirfd, temporary);
        if (fd < 0)
                return fd == -EEXIST ? -EAGAIN : fd;
        r = atomic_fill(fd, c);
        if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0) {
                struct stat st;

                r = -errno;
                /* Swept, rather than no such directory: the file is open, but has no name any more. */
                if (r == -ENOENT && fstat(fd, &st) == 0 && st.st_nlink == 0)
                        return -EAGAIN;
        }
        if (r < 0)
                (void)unlinkat(dirfd, temporary, 0);
        return r;
}

/* fsync of a descriptor opened with O_PATH is refused, and dirfd may be one. */
static int atomic_sync_dir(int dirfd)
{
        AUTO_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || fsync(fd) < 0)
                return -errno;
        return 0;
}

int atomic_file_write(int dirfd, const char *name, const void *data, size_t n, mode_t mode,
                      bool durable, struct err **reterr)
{
        struct atomic_content c = {.data = data, .n = n, .mode = mode, .durable = durable};
        int r = -EAGAIN;

        for (int i = 0; i < ATOMIC_MAX_TRIES && r == -EAGAIN; i++)
                r = atomic_write_once(dirfd, name, &c);
        if (r == 0 && durable)
                r = atomic_sync_dir(dirfd);
        if (r < 0)
                return err_sys(reterr, -r, "write '%s'", name);
        return 0;
}

int atomic_file_write_json(int dirfd, const char *name, struct json_object *obj, bool durable,
                           struct err **reterr)
{
        size_t n;
        const char *text = json_object_to_json_string_length(
            obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);

        return atomic_file_write(dirfd, name, text, n, 0600, durable, reterr);
}

static int atomic_sweep_one(int dirfd, const char *name)
{
        AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 : -errno;
        /* Names are random and never used twice: what we locked is what we unlink, or it is gone. */
        if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

int atomic_file_sweep(int dirfd, struct err **reterr)
{
        int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *d;
        int r = 0;
        DIR *dir;

        dir = fd >= 0 ? fdopendir(fd) : NULL;
        if (!dir) {
                r = err_sys(reterr, errno, "read a directory");
                (void)fd_close(fd);
                return r;
        }
        while (r == 0 && (d = readdir(dir))) {
                if (!str_starts(d->d_name, ATOMIC_PREFIX))
                        continue;
                r = atomic_sweep_one(dirfd, d->d_name);
                if (r < 0)
                        (void)err_sys(reterr, -r, "remove '%s'", d->d_name);
        }
        (void)closedir(dir);
        return r;
}
