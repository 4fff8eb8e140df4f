/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* xattrs — the extended attributes of a container's file that an archive keeps. */
#include <stdbool.h>
#include <stddef.h>

struct xattr {
        char *name;
        unsigned char *value;
        size_t size;
};
struct xattrs {
        struct xattr *v; /* sorted by name */
        size_t n;
};
#define XATTRS_MAX (512U * 1024) /* of one file, all together; more is left out */
/* @fd: a regular file or a directory, not O_PATH. A file system without them has none. 0 or -errno; -E2BIG: too many. */
int xattrs_read(int fd, struct xattrs *ret);
void xattrs_release(struct xattrs *x);
bool xattrs_equal(const struct xattrs *a, const struct xattrs *b);
