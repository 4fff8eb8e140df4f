/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * target — where an archive goes: standard output, a file that is replaced when it is complete, and only then (a failure leaves the old one as it was),
 * or an empty directory, which is empty again after a failure.
 */
#include <errno.h>
#include <stdbool.h>

struct err;

struct target {
        int fd, dir_fd;
        char *name; /* final, in dir_fd; NULL: written in place */
        char temporary[80];
        bool linked;    /* the temporary name exists */
        bool directory; /* was empty, and is again when we fail */
        bool made_dir;
};
#define TARGET_NONE ((struct target){.fd = -EBADF, .dir_fd = -EBADF})

/* @path NULL or "-": standard output, which may not be a terminal. .fd is what to write to. @directory_hint: said when it is a directory. */
int target_open(const char *path, const char *directory_hint, struct target *t,
                struct err **reterr);
int target_open_directory(const char *path, struct target *t, struct err **reterr);
/* Everything was written. */
int target_finish(struct target *t, struct err **reterr);
void target_release(struct target *t);
