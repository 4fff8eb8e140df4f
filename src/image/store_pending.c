/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that are being published.
 *
 * Theory of operation. The record of an image and its names are several files, so that a publisher can be killed between them. It
 * leaves a mark first, images/pending/<hex>, and takes it away last, all under the store's lock: whoever holds the lock and meets a
 * mark knows that its publisher is dead. An image that got no name yet and that nobody was told of is then removed again.
 */
#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "image/digest.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int pending_set(const struct dirs *d, const char *hex, struct err **reterr)
{
        AUTO_CLOSE int dir = dirs_sub(d, STORE_PENDING, reterr);
        AUTO_CLOSE int fd = -EBADF;

        if (dir < 0)
                return dir;
        fd = openat(dir, hex, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        /* On disk before the record: after a power cut the record must not be there without it. */
        if (fd < 0 || fsync(dir) < 0)
                return err_sys(reterr, errno, "write images/pending");
        return 0;
}

int pending_clear(const struct dirs *d, const char *hex, struct err **reterr)
{
        AUTO_CLOSE int dir = dirs_sub(d, STORE_PENDING, reterr);

        if (dir < 0)
                return dir;
        if (unlinkat(dir, hex, 0) < 0)
                return errno == ENOENT ? 0 : err_sys(reterr, errno, "write images/pending");
        return fsync(dir) < 0 ? err_sys(reterr, errno, "write images/pending") : 0;
}

static int is_referred_to(const struct dirs *d, const char *hex, struct err **reterr)
{
        AUTO(ref_list_release) struct ref_list refs = {0};
        AUTO_FREE char *id = xasprintf("sha256:%s", hex);
        char container[65];
        bool running;
        int r = refs_list(d, &refs, reterr);

        if (r < 0)
                return r;
        for (size_t i = 0; i < refs.n; i++)
                if (strcmp(refs.v[i].image, id) == 0)
                        return 1;
        return store_image_user(d, id, container, &running, reterr);
}

static int roll_back(const struct dirs *d, const char *hex, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_RUN "/%s.json", hex);
        int r = is_referred_to(d, hex, reterr);

        if (r < 0)
                return r;
        log_debug("image %.12s: its publication was cut off: %s", hex, r ? "kept" : "removed");
        if (r == 0 && unlinkat(d->root_fd, path, 0) < 0 && errno != ENOENT)
                return err_sys(reterr, errno, "remove image %.12s", hex);
        return pending_clear(d, hex, reterr);
}

int pending_roll_back(const struct dirs *d, struct err **reterr)
{
        AUTO_STRV names = {0};
        int r = store_names(d, STORE_PENDING, &names, reterr);

        if (r < 0 || names.n == 0)
                return r;
        for (size_t i = 0; r >= 0 && i < names.n; i++)
                r = roll_back(d, names.v[i], reterr);
        return r < 0 ? r : refs_derive_index(d, reterr);
}
