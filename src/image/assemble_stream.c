/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of a stream: they were unpacked when they passed, on top of nothing, and may have to be unpacked again on their base. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/io.h"
#include "image/assemble_internal.h"
#include "image/digest.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct repack {
        int layer_fd, out;
};

static int repack_write(void *userdata, const void *data, size_t n)
{
        const struct repack *p = userdata;

        return io_write_full(p->out, data, n);
}

static void *repack_thread(void *arg)
{
        struct repack *p = arg;

        /* A failure ends the pipe early; the reader misses bytes, and its digest tells. */
        (void)layer_pack(p->layer_fd, repack_write, p, NULL);
        p->out = fd_close(p->out);
        return NULL;
}

/* Unpacks a layer anew on its base: from its compressed bytes where they were kept, else from itself. */
static int unpack_again(struct assembler *as, const struct archive_layer *l,
                        const struct stack *below, const char *dir, struct layer_result *res,
                        struct err **reterr)
{
        AUTO(stream_freep) struct stream *s = NULL;
        struct stream_opts opts = STREAM_OPTS_INIT;
        AUTO_CLOSE int in = -EBADF, layer = -EBADF;
        struct repack p = {.out = -EBADF};
        bool threaded = false;
        pthread_t thread;
        int pair[2], r;

        if (l->blob[0]) {
                in = openat(store_txn_dir(as->txn), l->blob, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                if (in < 0)
                        return err_sys(reterr, errno, "read tmp/ of the store");
        } else {
                layer = openat(store_txn_dir(as->txn), l->dir,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (layer < 0)
                        return err_sys(reterr, errno, "read tmp/ of the store");
                r = fd_pipe(pair, reterr);
                if (r < 0)
                        return r;
                in = pair[0];
                p = (struct repack){.layer_fd = layer, .out = pair[1]};
                r = pthread_create(&thread, NULL, repack_thread, &p);
                if (r != 0) {
                        (void)fd_close(p.out);
                        return err_sys(reterr, r, "start a thread");
                }
                threaded = true;
        }
        opts.what = "layer";
        opts.fd = in;
        opts.max_ratio = STREAM_RATIO_MAX;
        r = stream_open(&opts, &s, reterr);
        if (r >= 0)
                r = assemble_unpack(as, s, below, dir, res, reterr);
        s = stream_free(s);
        in = fd_close(in); /* ends a writer that still writes */
        if (threaded)
                (void)pthread_join(thread, NULL);
        return r;
}

static int rebase(struct assembler *as, const struct layer_want *w, const struct archive_layer *l,
                  const struct stack *below, struct layer_out *out, struct err **reterr)
{
        struct layer_result res = {0};
        struct layer_want checked = *w;
        char dir[32];
        int r;

        (void)snprintf(dir, sizeof(dir), "layer-%u", as->counter++);
        r = unpack_again(as, l, below, dir, &res, reterr);
        if (r < 0)
                return r;
        if (!l->blob[0]) {
                /* Made again it is uncompressed, as it was. */
                checked.blob_digest = NULL;
                checked.blob_size = 0;
        }
        return assemble_take(as, &checked, dir, &res, out, reterr);
}

static int keep_passed_blob(struct assembler *as, const struct layer_want *w,
                            const struct archive_layer *l, struct err **reterr)
{
        int r;

        if (!w->keep_blob || !l->blob[0] ||
            assemble_find_pending(as, digest_hex(l->blob_digest), true))
                return 0;
        r = store_txn_claim_blob(as->txn, l->blob_digest, reterr);
        if (r == 0)
                assemble_add_pending(as, l->blob, digest_hex(l->blob_digest), true);
        return r < 0 ? r : 0;
}

int assemble_passed(struct assembler *as, const struct layer_want *w, const struct stack *below,
                    struct layer_out *out, struct err **reterr)
{
        struct archive_layer *l = archive_layer(as->archive, w->entry);
        int r;

        if (!l) {
                r = archive_has(as->archive, w->entry)
                        ? err_new(reterr, ERR_INVALID, "'%s' is no layer", w->entry)
                        : err_new(reterr, ERR_NOT_FOUND, "layer '%s' is missing in it", w->entry);
                return err_set_kind(reterr, r, ERR_INVALID);
        }
        if (l->failure && !(l->blob[0] && l->diff_id[0] && below->n > 0)) {
                r = err_new(reterr, ERR_INVALID, "layer '%s': %s", w->entry, l->failure);
                return below->n == 0 ? r
                                     : err_hint(reterr, r,
                                                "if it needs the layers below it, load the archive "
                                                "from a file, not from a pipe");
        }
        r = assemble_check(w, l->diff_id, l->blob_digest, l->blob_size, reterr);
        if (r < 0)
                return r;
        memcpy(out->diff_id, l->diff_id, sizeof(out->diff_id));
        r = keep_passed_blob(as, w, l, reterr);
        if (r < 0)
                return r;
        r = assemble_find_existing(as, below, l->diff_id, out->name, reterr);
        if (r != 0)
                return r < 0 ? r : 0;
        if (l->failure || (l->needs_lower && below->n > 0))
                return rebase(as, w, l, below, out, reterr);
        if (!l->dir[0])
                return err_new(reterr, ERR_BUSY, "layer '%s' was removed from the store meanwhile",
                               w->entry);
        memcpy(out->name, l->name, sizeof(out->name));
        r = store_txn_claim_layer(as->txn, out->name, reterr);
        if (r == 0)
                assemble_add_pending(as, l->dir, out->name, false);
        return r < 0 ? r : 0;
}
