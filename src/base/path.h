/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * path — names of files. Paths that a container or an archive can choose are resolved only by path_open_in_root() and
 * what builds on it; later steps use the descriptor.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

struct err;

/* openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); absolute links and ".." stay inside @rootfd. EAGAIN is retried a bounded
 * number of times. Returns the descriptor. */
int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct err **reterr);
/* The same without words and without allocation: -errno. Safe in the child. */
int path_open_in_root_raw(int rootfd, const char *path, int flags, mode_t mode);
/* Makes every missing directory of @path inside the root (mode) and returns an O_PATH|O_DIRECTORY descriptor of the last.
 * Existing links are followed inside the root. Child-safe: raw system calls only. -errno. */
int path_mkdir_in_root_raw(int rootfd, const char *path, mode_t mode);

/* Lexical: collapses "//", ".", ".."; an absolute path stays absolute, ".." never rises above "/". Caller owns. */
char *path_clean(const char *path);
/* One slash between; an absolute b wins. Caller owns. */
char *path_join(const char *a, const char *b);
/* Against the current directory, and cleaned, but not resolved. NULL on failure. Caller owns. */
char *path_make_absolute(const char *path, struct err **reterr);
const char *path_last(const char *path);   /* pointer into path behind its last slash */
bool path_is_clean_name(const char *name); /* non-empty, no slash, not "." or ".." */

/* mkdir -p with @mode for new ones; returns an O_DIRECTORY|O_PATH-free, usable directory descriptor. */
int path_mkdir_open(int dirfd, const char *path, mode_t mode, struct err **reterr);
/* Removes a whole tree below dirfd/name, never following links and never crossing a mount; directories without permission
 * bits are opened up first. Missing = ok. Works through any depth with bounded descriptors. */
int path_remove_tree(int dirfd, const char *name, struct err **reterr);
/* Gives @fd (O_PATH will do), and when it is a directory all below it, to @uid:@gid. No link is followed and no mount entered; what has these
 * owners already is not touched. The error names the entry. */
int path_chown_tree(int fd, uid_t uid, gid_t gid, struct err **reterr);
/* Bytes on disk (st_blocks) and inodes of a tree; each hard-linked inode counts once. */
int path_usage(int dirfd, const char *name, unsigned long long *ret_bytes,
               unsigned long long *ret_inodes, struct err **reterr);
