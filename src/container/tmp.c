/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmp — containers that are being made, and what is left of removed ones. The rule of tmp/ is the store's (docs/state.md): a directory
 * whose lock nobody holds is garbage. One without a lock file may just have been made: such a one is only removed when it is
 * empty, and a maker whose directory vanished makes another.
 */
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/process.h"
#include "container/container_internal.h"
#include "monitor/record.h"
#include "volume/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MAX 64 /* arguments of one remover */

/* Runs "kelp-monitor remove". */
static int run_remover(const struct dirs *d, struct strv *names, bool wait, struct err **reterr)
{
        AUTO_FREE char *path = process_helper_path(MONITOR_PROGRAM);
        AUTO_STRV argv = {0};
        AUTO_CLOSE int pidfd = -EBADF;
        int fds[] = {-EBADF, -EBADF, wait ? STDERR_FILENO : -EBADF};
        struct process_spawn_opts o = {.path = path,
                                       .fds = fds,
                                       .n_fds = ARRAY_SIZE(fds),
                                       .new_session = true,
                                       .reset_signals = true};
        pid_t pid;
        int r;

        strv_add(&argv, MONITOR_PROGRAM);
        strv_add(&argv, "remove");
        strv_add(&argv, d->root);
        for (size_t i = 0; i < names->n; i++)
                strv_add(&argv, names->v[i]);
        o.argv = argv.v;
        r = process_spawn(&o, &pid, &pidfd, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "start '%s'", path);
        if (!wait)
                return 0;
        r = process_wait(pidfd, reterr);
        if (r > 0)
                return err_new(reterr, ERR_REMOTE, "files could not be deleted");
        return r;
}

int container_tmp_delete(const struct dirs *d, const char *name, bool wait, struct err **reterr)
{
        AUTO_CLOSE int tmp = dirs_sub(d, "tmp", reterr);
        AUTO_STRV names = {0};
        int r;

        if (tmp < 0)
                return tmp;
        volume_take_listed(d, name);
        /* Most containers hold nothing of other ids. */
        r = path_remove_tree(tmp, name, NULL);
        if (r >= 0)
                return 0;
        strv_add(&names, name);
        return run_remover(d, &names, wait, reterr);
}

/*
 * 1: garbage. *ret_lock holds its lock until the tree is gone: a maker that has written its lock file and does not hold it yet must
 * find it deleted, not free. A directory with content and without a lock file may have got the file just now: look again.
 */
static bool is_garbage(int tmp, const char *name, int *ret_lock)
{
        char lock[300];

        (void)snprintf(lock, sizeof(lock), "%s/%s", name, RECORD_LOCK);
        for (int i = 0; i < 2; i++) {
                AUTO_CLOSE int fd = openat(tmp, lock, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

                if (fd >= 0) {
                        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                                return false;
                        *ret_lock = TAKE_FD(fd);
                        return true;
                }
                if (errno != ENOENT)
                        return errno == EACCES;
                if (unlinkat(tmp, name, AT_REMOVEDIR) == 0)
                        return false;
                if (errno != ENOTEMPTY && errno != EEXIST)
                        return false;
        }
        return true;
}

/* What only U may delete stays in @garbage. */
static void sweep_one(const struct dirs *d, int tmp, const char *name, struct strv *garbage)
{
        AUTO_CLOSE int lock = -EBADF;

        if (!is_garbage(tmp, name, &lock))
                return;
        volume_take_listed(d, name);
        if (path_remove_tree(tmp, name, NULL) < 0)
                strv_add(garbage, name);
}

void container_tmp_sweep(const struct dirs *d)
{
        AUTO_CLOSE int fd = openat(d->root_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        AUTO_STRV garbage = {0};
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);

        if (!dir)
                return;
        for (struct dirent *e = readdir(dir); e && garbage.n < SWEEP_MAX; e = readdir(dir)) {
                if (e->d_name[0] != '.')
                        sweep_one(d, fd, e->d_name, &garbage);
        }
        (void)closedir(dir);
        (void)TAKE_FD(fd);
        if (garbage.n > 0)
                (void)run_remover(d, &garbage, false, NULL);
}
