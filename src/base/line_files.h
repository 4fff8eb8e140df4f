/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * line_files — reading a log that is kept as a row of files: BASE is being written, BASE.1 is the one before it, and so on. Its writer
 * renames from the oldest to the newest, and nothing is added to a file after it has been renamed: who holds a descriptor can always
 * finish what he has begun. Readers take no lock.
 */
#include "base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_FILE_NAME_MAX 40
#define LINE_FILES_HIGHEST 1000          /* generations beyond it are not looked for */
#define LINE_FILE_LINE_MAX (1024 * 1024) /* what counts as one line; more is damage, and skipped */

/* Name of generation @n (0: the current one). Returns buf. */
char *line_file_name(const char *base, unsigned n, char buf[LINE_FILE_NAME_MAX]);

/* A file being read line by line. */
struct line_file {
        int fd;
        unsigned long long dev, ino;
        char *buf;
        size_t len, cap, pos; /* buf[pos, len) has been read from the file and not been returned */
        bool skipping;        /* inside a line that is too long */
};
/* NULL when it is no regular file; @fd is consumed in any case. */
struct line_file *line_file_new_take(int fd);
struct line_file *line_file_free(struct line_file *f);
DEFINE_CLEANUP(struct line_file *, line_file_free);
/* 1 and a line without its newline (valid until the next call); 0 at the present end; -errno. A last line without newline is
 * not returned: it is still being written. */
int line_file_next(struct line_file *f, const char **ret, size_t *ret_n);

/* The files that exist, oldest first, without gap or double though a writer may be rotating. */
struct line_files {
        struct line_file *v[LINE_FILES_HIGHEST + 2];
        size_t n;
};
void line_files_open(int dirfd, const char *base, struct line_files *ret);
void line_files_release(struct line_files *c);
/* Adds those that came after the newest of @c. 1: between them and it there may have been others, which are gone; 0. */
int line_files_more(int dirfd, const char *base, struct line_files *c);
/* Lets the oldest go. */
void line_files_shift(struct line_files *c);
/* The file after @f: 1 with *ret, 0 when @f is the current one, -errno. */
int line_files_next(int dirfd, const char *base, const struct line_file *f, struct line_file **ret);

/* An inotify descriptor that becomes readable when a file of the directory grows or comes; -errno (EMFILE: the user's instances are used
 * up, ENOSPC: his watches). */
int line_files_watch(int dirfd);
/* Waits for that at one of @n, but not beyond @until_ns (since 1970; 0: no limit) nor longer than @at_most_ns, and empties them. */
void line_files_wait(const int *watches, size_t n, int64_t until_ns, int64_t at_most_ns);
