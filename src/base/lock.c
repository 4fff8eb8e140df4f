/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* A holder may remove the lock's file before it lets go (tmp/ entries): each loss of that race costs one more round. */
#define LOCK_MAX_TRIES 100
#define PAUSES         200
#define PAUSE_NS       1000000L

static int lock_open(int dirfd, const char *name)
{
        int fd;

        fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        /* A directory can be locked too, but only be opened for reading. */
        if (fd < 0 && errno == EISDIR)
                fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

/* Is the locked file still the one that others will find under this name? */
static bool lock_is_current(int fd, int dirfd, const char *name)
{
        struct stat a, b;

        return fstat(fd, &a) == 0 && fstatat(dirfd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
               a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int lock_take(int dirfd, const char *name, int operation)
{
        for (int i = 0; i < LOCK_MAX_TRIES; i++) {
                AUTO_CLOSE int fd = -EBADF;
                int r;

                fd = lock_open(dirfd, name);
                if (fd < 0)
                        return fd;
                do
                        r = flock(fd, operation);
                while (r < 0 && errno == EINTR);
                if (r < 0)
                        return -errno;
                if (lock_is_current(fd, dirfd, name))
                        return TAKE_FD(fd);
        }
        return -EDEADLK;
}

int lock_acquire(int dirfd, const char *name, bool exclusive, struct err **reterr)
{
        int fd;

        fd = lock_take(dirfd, name, exclusive ? LOCK_EX : LOCK_SH);
        if (fd < 0)
                return err_sys(reterr, -fd, "lock '%s'", name);
        return fd;
}

int lock_try(int dirfd, const char *name, bool exclusive, struct err **reterr)
{
        int fd;

        fd = lock_take(dirfd, name, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
        if (fd == -EWOULDBLOCK)
                return fd;
        if (fd < 0)
                return err_sys(reterr, -fd, "lock '%s'", name);
        return fd;
}

int lock_try_for(int dirfd, const char *name, struct err **reterr)
{
        const struct timespec pause = {.tv_nsec = PAUSE_NS};

        for (int i = 0; i < PAUSES; i++) {
                int fd = lock_try(dirfd, name, true, reterr);

                if (fd != -EWOULDBLOCK)
                        return fd;
                /* lint-allow: nanosleep: who holds it for a moment tells nobody when he lets go */
                (void)nanosleep(&pause, NULL);
        }
        return -EWOULDBLOCK;
}

bool lock_is_held(int dirfd, const char *name)
{
        AUTO_CLOSE int fd = -EBADF;

        fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return false;
        return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
