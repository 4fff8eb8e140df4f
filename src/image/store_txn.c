/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions: how something new gets into the store.
 *
 * Theory of operation. A writer works in tmp/<random>/ for as long as it takes. What it wants to rely on, or is about to
 * add, it claims: an empty file claims/<name> in its directory, made while it shares the store's lock. The collector
 * (store_collect.c) holds that lock alone while it looks for references, so a claim is either seen by it, or is made after
 * what it takes away is gone, and then the claim's caller is told that there is no such layer. From the claim on the layer stays.
 * Content is renamed into place under its claim, without any lock; two writers of the same layer end with either's: they are equal.
 *
 * Publishing changes references, under the lock: blobs first, then the run description (the image exists from here on), then
 * names. Killed in between, the image is removed again by whoever takes the lock next (store_pending.c); killed earlier,
 * there are only unreferenced blobs and layers, which the next collection takes.
 */
#include "base/alloc.h"
#include "base/atomic_file.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "image/digest.h"
#include "image/image_event.h"
#include "image/reference.h"
#include "image/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct store_txn {
        const struct dirs *dirs;
        struct tmp_dir tmp;
        int claims_fd;
};

int store_txn_begin(const struct dirs *d, struct store_txn **ret, struct err **reterr)
{
        AUTO(store_txn_endp) struct store_txn *t = xnew(struct store_txn);
        AUTO_ERR struct err *swept = NULL;
        int r;

        t->dirs = d;
        t->tmp = TMP_DIR_NONE;
        t->claims_fd = -EBADF;
        /* Damage elsewhere must not keep anybody from adding an image. */
        r = store_sweep(d, &swept);
        if (r < 0)
                log_debug("sweep: %s", err_message(swept));
        r = tmp_dir_create(d, &t->tmp, reterr);
        if (r < 0)
                return r;
        t->claims_fd = path_mkdir_open(t->tmp.fd, "claims", 0700, reterr);
        if (t->claims_fd < 0)
                return t->claims_fd;
        *ret = TAKE_PTR(t);
        return 0;
}

int store_txn_dir(const struct store_txn *t)
{
        return t->tmp.fd;
}

struct store_txn *store_txn_end(struct store_txn *t)
{
        if (!t)
                return NULL;
        (void)fd_close(t->claims_fd);
        (void)tmp_dir_remove(t->dirs, &t->tmp, NULL);
        free(t);
        return NULL;
}

static int claim(struct store_txn *t, const char *name, const char *path, struct err **reterr)
{
        AUTO_CLOSE int lock = lock_acquire(t->dirs->root_fd, STORE_LOCK, false, reterr);
        AUTO_CLOSE int fd = -EBADF;

        if (lock < 0)
                return lock;
        fd = openat(t->claims_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_sys(reterr, errno, "claim %.12s in tmp/ of the store", name);
        if (faccessat(t->dirs->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return 1;
        return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(reterr, errno, "look at %s", path);
}

int store_txn_claim_layer(struct store_txn *t, const char *layer_name, struct err **reterr)
{
        AUTO_FREE char *path = xasprintf(STORE_LAYERS "/%s", layer_name);

        if (!layer_name_is_valid(layer_name))
                return err_new(reterr, ERR_INVALID, "'%s' is no layer", layer_name);
        return claim(t, layer_name, path, reterr);
}

int store_txn_claim_blob(struct store_txn *t, const char *digest, struct err **reterr)
{
        AUTO_FREE char *path = NULL;

        if (!digest_is_valid(digest) || !str_starts(digest, "sha256:"))
                return err_new(reterr, ERR_INVALID, "'%s' is no sha256 digest", digest);
        path = xasprintf(STORE_BLOBS "/%s", digest_hex(digest));
        return claim(t, digest_hex(digest), path, reterr);
}

static int put(struct store_txn *t, const char *from, const char *dir, const char *name,
               struct err **reterr)
{
        AUTO_CLOSE int fd = dirs_sub(t->dirs, dir, reterr);

        if (fd < 0)
                return fd;
        if (renameat2(t->tmp.fd, from, fd, name, RENAME_NOREPLACE) < 0 && errno != EEXIST)
                return err_sys(reterr, errno, "move %s/%.12s into place", dir, name);
        if (fsync(fd) < 0)
                return err_sys(reterr, errno, "write %s", dir);
        return 0;
}

int store_txn_put_layer(struct store_txn *t, const char *from, const char *layer_name,
                        struct err **reterr)
{
        int r = store_txn_claim_layer(t, layer_name, reterr);

        return r < 0 ? r : r > 0 ? 0 : put(t, from, STORE_LAYERS, layer_name, reterr);
}

int store_txn_put_blob(struct store_txn *t, const char *from, const char *digest,
                       struct err **reterr)
{
        int r = store_txn_claim_blob(t, digest, reterr);

        return r < 0 ? r : r > 0 ? 0 : put(t, from, STORE_BLOBS, digest_hex(digest), reterr);
}

static int write_blob(const struct dirs *d, const char *digest, const char *data, size_t n,
                      struct err **reterr)
{
        AUTO_CLOSE int dir = -EBADF;
        int r;

        if (!digest_is_valid(digest) || !str_starts(digest, "sha256:"))
                return err_new(reterr, ERR_INVALID, "'%s' is no sha256 digest", digest);
        dir = dirs_sub(d, STORE_BLOBS, reterr);
        if (dir < 0)
                return dir;
        if (faccessat(dir, digest_hex(digest), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        r = atomic_file_write(dir, digest_hex(digest), data, n, 0600, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "write blob %.19s", digest) : 0;
}

static int write_run_description(const struct dirs *d, const struct store_image *i,
                                 struct err **reterr)
{
        AUTO_JSON *config = NULL;
        AUTO_JSON *doc = NULL;
        AUTO_CLOSE int dir = -EBADF;
        char name[64 + sizeof(".json")];
        int r;

        r = json_parse(i->config, i->config_len, "image config", &config, reterr);
        if (r < 0)
                return r;
        r = run_description_build(d, i->config_digest, i->manifest_digest, config, &doc, reterr);
        if (r < 0)
                return r;
        dir = dirs_sub(d, STORE_RUN, reterr);
        if (dir < 0)
                return dir;
        snprintf(name, sizeof(name), "%s.json", digest_hex(i->config_digest));
        r = atomic_file_write_json(dir, name, doc, true, reterr);
        return r < 0 ? err_wrap(reterr, r, "write image %.19s", i->config_digest) : 0;
}

static int publish_names(const struct dirs *d, const struct store_image *i, struct err **reterr)
{
        for (char *const *name = i->names; name && *name; name++) {
                int r = refs_set(d, *name, i->config_digest, i->manifest_digest, reterr);

                if (r < 0)
                        return r;
                FAULT_POINT("publish-name");
        }
        return refs_derive_index(d, reterr);
}

int store_publish(struct store_txn *t, const struct store_image *i, struct err **reterr)
{
        const struct dirs *d = t->dirs;
        AUTO_CLOSE int lock = lock_acquire(d->root_fd, STORE_LOCK, true, reterr);
        bool fresh;
        int r;

        if (lock < 0)
                return lock;
        if ((r = pending_roll_back(d, reterr)) < 0 ||
            (r = write_blob(d, i->config_digest, i->config, i->config_len, reterr)) < 0 ||
            (r = write_blob(d, i->manifest_digest, i->manifest, i->manifest_len, reterr)) < 0)
                return r;
        fresh = !store_has_image(d, i->config_digest);
        FAULT_POINT("publish-blobs");
        if ((fresh && (r = pending_set(d, digest_hex(i->config_digest), reterr)) < 0) ||
            (r = write_run_description(d, i, reterr)) < 0)
                return r;
        FAULT_POINT("publish-record");
        r = publish_names(d, i, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("publish-named");
        return fresh ? pending_clear(d, digest_hex(i->config_digest), reterr) : 0;
}

int store_tag(const struct dirs *d, const char *source, const char *target, struct err **reterr)
{
        AUTO_CLOSE int lock = lock_acquire(d->root_fd, STORE_LOCK, true, reterr);
        AUTO(store_name_release) struct store_name n = {0};
        AUTO_FREE char *name = NULL;
        int r;

        if (lock < 0)
                return lock;
        r = store_lookup(d, source, &n, reterr);
        if (r < 0)
                return r;
        r = store_new_name(d, target, &name, reterr);
        if (r < 0)
                return r;
        r = refs_set(d, name, n.image->id, n.manifest ? n.manifest : n.image->manifest_digest,
                     reterr);
        if (r >= 0) {
                AUTO_FREE char *shown = reference_shown(name);

                image_event(d, n.image, "tag", shown);
                r = refs_derive_index(d, reterr);
        }
        return r;
}
