/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tmp_dir.h"

#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/random_id.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAKE_ATTEMPTS 16

/* 1 made, 0 swept away under our hands. */
static int make_one(int tmp, struct tmp_dir *t, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF, lock = -EBADF;
        struct stat st;

        if (mkdirat(tmp, t->id, 0700) < 0)
                return err_sys(reterr, errno, "make a directory in tmp/");
        fd = openat(tmp, t->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
                lock = openat(fd, TMP_DIR_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "make tmp/%s", t->id);
        if (flock(lock, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 : err_sys(reterr, errno, "lock tmp/%s", t->id);
        if (fstat(lock, &st) < 0 || st.st_nlink == 0)
                return 0;
        t->fd = TAKE_FD(fd);
        t->lock_fd = TAKE_FD(lock);
        return 1;
}

int tmp_dir_make(const struct dirs *d, struct tmp_dir *ret, struct err **reterr)
{
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", reterr);

        if (tmp < 0)
                return tmp;
        for (int i = 0; i < MAKE_ATTEMPTS; i++) {
                int r;

                random_id(ret->id);
                r = make_one(tmp, ret, reterr);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        return err_new(reterr, ERR_BUSY, "directories made in tmp/ vanish at once");
}

void tmp_dir_close(struct tmp_dir *t)
{
        t->fd = fd_close(t->fd);
        t->lock_fd = fd_close(t->lock_fd);
}
