/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories in tmp/.
 *
 * Theory of operation: whoever writes something that takes longer than one rename makes tmp/<random>/ and holds a lock on the
 * file "lock" in it. The kernel lets go of the lock whatever ends the writer, so that "not locked" means garbage, at once and
 * without a guess about ages. What is moved to tmp/ to be deleted is not locked either, or held by its remover.
 *
 * The one gap is a directory that was just made and has no lock yet. A sweeper that meets one without a lock file only
 * tries rmdir, and only when that fails because the directory has content is it garbage: a maker writes its lock before anything else. A
 * maker whose directory vanished, or whose lock file was swept before it held the lock, simply makes another.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/random_id.h"
#include "image/image_job.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAKE_ATTEMPTS   16
#define REMOVE_ATTEMPTS 64
#define TMP_DIR_LOCK    "lock"

/* 1 when the directory is ours, 0 when a sweeper was faster. */
static int make_locked(int tmp, struct tmp_dir *t, struct err **reterr)
{
        AUTO_CLOSE int fd = -EBADF, lock = -EBADF;
        struct stat held;

        if (mkdirat(tmp, t->name, 0700) < 0)
                return err_sys(reterr, errno, "make a directory in tmp/ of the store");
        fd = openat(tmp, t->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "open tmp/%s", t->name);
        lock = openat(fd, TMP_DIR_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "make tmp/%s/lock", t->name);
        while (flock(lock, LOCK_EX) < 0)
                if (errno != EINTR)
                        return err_sys(reterr, errno, "lock tmp/%s", t->name);
        if (fstat(lock, &held) < 0 || held.st_nlink == 0)
                return 0;
        t->fd = TAKE_FD(fd);
        t->lock_fd = TAKE_FD(lock);
        return 1;
}

int tmp_dir_create(const struct dirs *d, struct tmp_dir *ret, struct err **reterr)
{
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", reterr);

        if (tmp < 0)
                return tmp;
        for (int i = 0; i < MAKE_ATTEMPTS; i++) {
                struct tmp_dir t = TMP_DIR_NONE;
                int r;

                random_id(t.name);
                r = make_locked(tmp, &t, reterr);
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret = t;
                        return 0;
                }
        }
        return err_new(reterr, ERR_BUSY, "directories made in tmp/ of the store vanish at once");
}

/* Two may delete one tree: its owner loses the lock file early. What vanishes under the walk ends it, so it begins again. */
static int remove_tree(int tmp, const char *name, struct err **reterr)
{
        AUTO_ERR struct err *e = NULL;
        int r = -ENOENT;

        for (int i = 0; r == -ENOENT && i < REMOVE_ATTEMPTS; i++) {
                e = err_free(e);
                r = path_remove_tree(tmp, name, &e);
        }
        return r < 0 ? err_move(reterr, r, &e) : 0;
}

/* Files of other ids can only be deleted inside U, which `kelp` itself never enters. */
static int remove_names(const struct dirs *d, int tmp, const struct strv *names,
                        struct err **reterr)
{
        AUTO_STRV left = {0};

        for (size_t i = 0; i < names->n; i++) {
                AUTO_ERR struct err *e = NULL;
                int r = remove_tree(tmp, names->v[i], &e);

                if (r == -EACCES || r == -EPERM)
                        strv_add(&left, names->v[i]);
                else if (r < 0)
                        return err_move(reterr, r, &e);
        }
        return left.n > 0 ? image_job_remove_trees(d, &left, reterr) : 0;
}

int tmp_dir_remove(const struct dirs *d, struct tmp_dir *t, struct err **reterr)
{
        AUTO_CLOSE int tmp = -EBADF;
        AUTO_STRV names = {0};
        int r;

        if (t->lock_fd < 0)
                return 0;
        tmp = dirs_sub(d, "tmp", reterr);
        if (tmp < 0) {
                r = tmp;
        } else {
                strv_add(&names, t->name);
                r = remove_names(d, tmp, &names, reterr);
        }
        t->fd = fd_close(t->fd);
        t->lock_fd = fd_close(t->lock_fd);
        return r;
}

/* 1: it is garbage (and *ret_lock keeps others away when there is a lock file), 0: it is in use or gone. */
static int is_garbage(int tmp, const char *name, int *ret_lock)
{
        AUTO_CLOSE int dir = openat(tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        AUTO_CLOSE int lock = -EBADF;

        if (dir < 0) /* no directory, or one that only U may open; never for want of descriptors */
                return errno == ENOTDIR || errno == ELOOP || errno == EACCES;
        for (int i = 0; i < 2; i++) {
                lock = openat(dir, TMP_DIR_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                if (lock >= 0)
                        break;
                if (errno != ENOENT)
                        return 0;
                if (unlinkat(tmp, name, AT_REMOVEDIR) == 0)
                        return 0;
                if (errno != ENOTEMPTY && errno != EEXIST)
                        return 0;
                /* It has content, which may be the lock that its maker wrote just now: look again. */
        }
        if (lock < 0)
                return 1;
        if (flock(lock, LOCK_EX | LOCK_NB) < 0)
                return 0;
        *ret_lock = TAKE_FD(lock);
        return 1;
}

int tmp_dir_sweep(const struct dirs *d, struct err **reterr)
{
        AUTO_STRV names = {0}, garbage = {0};
        AUTO_CLOSE int tmp = -EBADF;
        AUTO_FREE int *locks = NULL;
        size_t n_locks = 0;
        int r;

        r = store_names(d, "tmp", &names, reterr);
        if (r < 0 || names.n == 0)
                return r;
        tmp = dirs_sub(d, "tmp", reterr);
        if (tmp < 0)
                return tmp;
        locks = xcalloc(names.n, sizeof(int));
        for (size_t i = 0; i < names.n; i++) {
                int lock = -EBADF;

                if (is_garbage(tmp, names.v[i], &lock) == 0)
                        continue;
                log_debug("sweep tmp/%s", names.v[i]);
                strv_add(&garbage, names.v[i]);
                if (lock >= 0)
                        locks[n_locks++] = lock;
        }
        r = remove_names(d, tmp, &garbage, reterr);
        for (size_t i = 0; i < n_locks; i++)
                (void)fd_close(locks[i]);
        return r < 0 ? err_wrap(reterr, r, "clean up tmp/ of the store") : 0;
}
