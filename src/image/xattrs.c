/* SPDX-License-Identifier: Apache-2.0 */
#include "image/xattrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/alloc.h"
#include "base/str.h"
#include "image/layer_internal.h"
#include "image/whiteout.h"

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* Somebody may be changing them: what vanished between two looks is left out. */
static int add(int fd, const char *name, struct xattrs *x, size_t *total)
{
        ssize_t n = fgetxattr(fd, name, NULL, 0);
        AUTO_FREE unsigned char *value = NULL;

        if (n < 0)
                return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
        value = xmalloc((size_t)n + 1);
        n = fgetxattr(fd, name, value, (size_t)n);
        if (n < 0)
                return errno == ENODATA || errno == ERANGE ? 0 : -errno;
        *total += (size_t)n + strlen(name);
        if (*total > XATTRS_MAX)
                return -E2BIG;
        x->v = xrealloc(x->v, x->n + 1, sizeof(*x->v));
        x->v[x->n++] = (struct xattr){xstrdup(name), TAKE_PTR(value), (size_t)n};
        return 0;
}

bool layer_xattr_is_kept(const char *name)
{
        if (str_starts(name, "user."))
                return !whiteout_is_own_xattr(name);
        return strcmp(name, FILE_CAPS) == 0 || strcmp(name, ACL_ACCESS) == 0 ||
               strcmp(name, ACL_DEFAULT) == 0;
}

int xattrs_read(int fd, struct xattrs *ret)
{
        struct xattrs x = {0};
        AUTO_FREE char *names = NULL;
        ssize_t n = flistxattr(fd, NULL, 0);
        size_t total = 0;
        int r = 0;

        *ret = x;
        if (n <= 0)
                return n < 0 && errno != ENOTSUP ? -errno : 0;
        names = xmalloc((size_t)n);
        n = flistxattr(fd, names, (size_t)n);
        if (n < 0)
                return errno == ERANGE ? -EAGAIN : -errno;
        for (char *p = names; r == 0 && p < names + n; p += strlen(p) + 1)
                if (layer_xattr_is_kept(p))
                        r = add(fd, p, &x, &total);
        if (r < 0) {
                xattrs_release(&x);
                return r;
        }
        if (x.n > 1)
                qsort(x.v, x.n, sizeof(*x.v), by_name);
        *ret = x;
        return 0;
}

void xattrs_release(struct xattrs *x)
{
        for (size_t i = 0; i < x->n; i++) {
                free(x->v[i].name);
                free(x->v[i].value);
        }
        free(x->v);
        *x = (struct xattrs){0};
}

bool xattrs_equal(const struct xattrs *a, const struct xattrs *b)
{
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->v[i].name, b->v[i].name) != 0 || a->v[i].size != b->v[i].size ||
                    memcmp(a->v[i].value, b->v[i].value, a->v[i].size) != 0)
                        return false;
        return true;
}
