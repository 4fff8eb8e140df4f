/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tmp_dir — a directory in tmp/ of the data root that is ours while we hold its lock (docs/state.md): what is being written before a rename
 * publishes it. Unlocked, it is garbage that the next writer sweeps.
 */
struct dirs;
struct err;

#define TMP_DIR_LOCK "lock"

struct tmp_dir {
        char id[65]; /* its name */
        int fd, lock_fd;
};
#define TMP_DIR_NONE                                                                               \
        {                                                                                          \
                .fd = -EBADF, .lock_fd = -EBADF                                                    \
        }
int tmp_dir_make(const struct dirs *d, struct tmp_dir *ret, struct err **reterr);
/* Lets the lock go and leaves the directory where it is. */
void tmp_dir_close(struct tmp_dir *t);
