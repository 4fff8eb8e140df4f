/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. For every layer, in order, one of these happens:
 *
 *   stored     the store has it, under its own name or under the name for this base: its bytes in the archive are only verified
 *   pending    an earlier layer of this run is the same
 *   unpacked   from the archive (directory, file), on top of the layers before it
 *   passed     (stream) it was unpacked on top of nothing when it came by. If it needs its base, its archive is made again from what
 *              was unpacked and unpacked anew, on the base: rare, and cheaper than to keep every stream's bytes
 *
 * Nothing is visible before assembler_publish(): one syncfs, then renames, then the references.
 */
#include "image/assemble.h"

#include "base/alloc.h"
#include "base/dirs.h"
#include "base/err.h"
#include "base/fd.h"
#include "image/assemble_internal.h"
#include "image/digest.h"
#include "image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void stack_release(struct stack *s)
{
        for (size_t i = 0; i < s->n; i++)
                (void)fd_close(s->fds[i]);
        free(s->fds);
        strv_release(&s->names);
        *s = (struct stack){0};
}

struct assembler *assembler_new(struct tool *t, struct store_txn *txn, struct archive *a)
{
        struct assembler *as = xnew(struct assembler);

        as->tool = t;
        as->txn = txn;
        as->archive = a;
        return as;
}

struct assembler *assembler_free(struct assembler *as)
{
        if (as)
                free(as->v);
        free(as);
        return NULL;
}

void assemble_add_pending(struct assembler *as, const char *from, const char *name, bool blob)
{
        struct pending *p;

        if (as->n == as->cap) {
                as->cap = as->cap ? as->cap * 2 : 16;
                as->v = xrealloc(as->v, as->cap, sizeof(*as->v));
        }
        p = &as->v[as->n++];
        *p = (struct pending){.blob = blob};
        (void)snprintf(p->from, sizeof(p->from), "%s", from);
        (void)snprintf(p->name, sizeof(p->name), "%s", name);
}

const struct pending *assemble_find_pending(const struct assembler *as, const char *name, bool blob)
{
        for (size_t i = 0; i < as->n; i++)
                if (as->v[i].blob == blob && strcmp(as->v[i].name, name) == 0)
                        return &as->v[i];
        return NULL;
}

/* ---- the stack ---- */

/* Where the files of a layer of the store are, with the owners that U's own ids have. */
static int open_stored(struct assembler *as, const char *name, struct err **reterr)
{
        const struct tool *t = as->tool;
        AUTO_FREE char *dir = xasprintf(STORE_LAYERS "/%s", name);
        AUTO_CLOSE int layer =
            openat(t->dirs->root_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char variant[LAYER_DIR_MAX];
        int fd, r;

        if (layer < 0)
                return err_sys(reterr, errno, "open layer %.12s", name);
        r = layer_reown(layer, store_txn_dir(as->txn), &t->maps, variant, reterr);
        if (r < 0)
                return err_wrap(reterr, r, "layer %.12s", name);
        fd = openat(layer, variant, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? err_sys(reterr, errno, "open layer %.12s", name) : fd;
}

static int push(struct assembler *as, struct stack *s, const char *name, struct err **reterr)
{
        const struct pending *p = assemble_find_pending(as, name, false);
        int fd;

        if (p) {
                AUTO_FREE char *path = xasprintf("%s/fs", p->from);

                fd = openat(store_txn_dir(as->txn), path,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return err_sys(reterr, errno, "open layer %.12s", name);
        } else {
                fd = open_stored(as, name, reterr);
                if (fd < 0)
                        return fd;
        }
        s->fds = xrealloc(s->fds, s->n + 1, sizeof(int));
        s->fds[s->n++] = fd;
        strv_add(&s->names, name);
        return 0;
}

/* ---- checks ---- */

int assemble_check(const struct layer_want *w, const char *diff_id, const char *blob_digest,
                   uint64_t blob_size, struct err **reterr)
{
        if (w->blob_size && w->blob_size != blob_size)
                return err_new(reterr, ERR_INVALID,
                               "layer '%s' has %llu bytes, its descriptor says %llu", w->entry,
                               (unsigned long long)blob_size, (unsigned long long)w->blob_size);
        if (w->blob_digest && strcmp(w->blob_digest, blob_digest) != 0)
                return err_new(reterr, ERR_INVALID,
                               "layer '%s' is damaged: its digest is %s, not %s", w->entry,
                               blob_digest, w->blob_digest);
        if (w->diff_id && strcmp(w->diff_id, diff_id) != 0)
                return err_new(reterr, ERR_INVALID,
                               "layer '%s' is not what the image's config says: its content's "
                               "digest is %s, not %s",
                               w->entry, diff_id, w->diff_id);
        return 0;
}

/* 1: the store or this run has it, *ret is its name. */
int assemble_find_existing(struct assembler *as, const struct stack *below, const char *diff_id,
                           char ret[LAYER_NAME_MAX], struct err **reterr)
{
        for (int i = 0; i < 2; i++) {
                int r;

                if (i == 0)
                        (void)snprintf(ret, LAYER_NAME_MAX, "%s", digest_hex(diff_id));
                else
                        layer_chain_name(digest_hex(diff_id), below->names.v, below->n, ret);
                if (assemble_find_pending(as, ret, false))
                        return 1;
                r = store_txn_claim_layer(as->txn, ret, reterr);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int open_tee(struct assembler *as, char name[32], struct err **reterr)
{
        int fd;

        (void)snprintf(name, 32, "kept-%u", as->counter++);
        fd = openat(store_txn_dir(as->txn), name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? err_sys(reterr, errno, "make a file in tmp/ of the store") : fd;
}

/* Whether the blob has to be written: compressed, wanted, and not there yet. */
static int must_keep(struct assembler *as, const struct layer_want *w, enum stream_format format,
                     struct err **reterr)
{
        int r;

        if (!w->keep_blob || format == STREAM_PLAIN ||
            assemble_find_pending(as, digest_hex(w->blob_digest), true))
                return 0;
        r = store_txn_claim_blob(as->txn, w->blob_digest, reterr);
        return r < 0 ? r : r == 0;
}

/* ---- directories and files ---- */

static int open_source(struct assembler *as, const struct layer_want *w, int tee, bool plain,
                       struct archive_source **ret, struct err **reterr)
{
        const char *id = w->blob_digest ? w->blob_digest : w->diff_id ? w->diff_id : w->entry;
        struct archive_stream_opts o = {
            .item = digest_hex(id) ? digest_hex(id) : id,
            .size = w->blob_size,
            .tee_fd = tee,
            .plain = plain,
        };

        return archive_open_layer(as->archive, w->entry, &o, ret, reterr);
}

static int sniff_format(struct assembler *as, const struct layer_want *w, enum stream_format *ret,
                        struct err **reterr)
{
        AUTO(archive_source_freep) struct archive_source *s = NULL;
        int r;

        *ret = STREAM_PLAIN;
        if (!w->keep_blob)
                return 0;
        r = open_source(as, w, -EBADF, false, &s, reterr);
        if (r >= 0)
                *ret = stream_format(archive_source_stream(s));
        return r;
}

/* The layer is in the store: only its bytes are checked, and kept if the store lacks them in this form. */
static int verify_only(struct assembler *as, const struct layer_want *w, struct layer_out *out,
                       struct err **reterr)
{
        AUTO(archive_source_freep) struct archive_source *s = NULL;
        AUTO(layer_info_release) struct layer_info info = {0};
        AUTO_CLOSE int tee = -EBADF;
        struct stream_sums sums;
        enum stream_format format;
        char kept[32] = "";
        bool known;
        int r;

        r = sniff_format(as, w, &format, reterr);
        if (r < 0)
                return r;
        r = must_keep(as, w, format, reterr);
        if (r > 0)
                r = tee = open_tee(as, kept, reterr);
        if (r < 0)
                return r;
        /* Bytes that gave this layer once need not be uncompressed to know that they do. */
        known = w->blob_digest && store_layer_info(as->tool->dirs, out->name, &info, NULL) > 0 &&
                strcmp(info.blob_digest, w->blob_digest) == 0;
        r = open_source(as, w, tee, known, &s, reterr);
        if (r >= 0)
                r = stream_finish(archive_source_stream(s), &sums, reterr);
        if (r < 0)
                return r;
        out->size = known ? info.tar_size : sums.content_bytes;
        r = assemble_check(w, known ? w->diff_id : sums.content, sums.source, sums.source_bytes,
                           reterr);
        if (r >= 0 && kept[0])
                assemble_add_pending(as, kept, digest_hex(w->blob_digest), true);
        return r;
}

static void warn_layer(void *userdata, const char *text)
{
        tool_warn(userdata, text);
}

int assemble_unpack(struct assembler *as, struct stream *s, const struct stack *below,
                    const char *dir, struct layer_result *res, struct err **reterr)
{
        struct layer_unpack_opts opts = {
            .maps = as->tool->maps,
            .lower_names = below->names.v,
            .lower_fds = below->fds,
            .n_lowers = below->n,
            .limits = LAYER_LIMITS_DEFAULT,
            .warn = warn_layer,
            .warn_data = as->tool,
        };
        int r = layer_unpack(s, store_txn_dir(as->txn), dir, &opts, res, reterr);

        if (tool_interrupted(as->tool)) {
                if (r < 0 && reterr)
                        *reterr = err_free(*reterr);
                return tool_interrupted_error(reterr);
        }
        return r;
}

int assemble_take(struct assembler *as, const struct layer_want *w, const char *dir,
                  struct layer_result *res, struct layer_out *out, struct err **reterr)
{
        int r = assemble_check(w, res->info.diff_id, res->info.blob_digest, res->info.blob_size,
                               reterr);

        memcpy(out->name, res->name, sizeof(out->name));
        memcpy(out->diff_id, res->info.diff_id, sizeof(out->diff_id));
        out->size = res->info.tar_size;
        layer_info_release(&res->info);
        if (r < 0)
                return r;
        /* The same layer twice in one image, or another writer was faster. */
        if (!assemble_find_pending(as, out->name, false)) {
                r = store_txn_claim_layer(as->txn, out->name, reterr);
                if (r == 0)
                        assemble_add_pending(as, dir, out->name, false);
        }
        return r < 0 ? r : 0;
}

static int unpack_from_archive(struct assembler *as, const struct layer_want *w,
                               const struct stack *below, struct layer_out *out,
                               struct err **reterr)
{
        AUTO(archive_source_freep) struct archive_source *s = NULL;
        AUTO_CLOSE int tee = -EBADF;
        struct layer_result res = {0};
        enum stream_format format;
        char kept[32] = "", dir[32];
        int r;

        r = sniff_format(as, w, &format, reterr);
        if (r < 0)
                return r;
        r = must_keep(as, w, format, reterr);
        if (r > 0)
                r = tee = open_tee(as, kept, reterr);
        if (r < 0)
                return r;
        r = open_source(as, w, tee, false, &s, reterr);
        if (r < 0)
                return r;
        (void)snprintf(dir, sizeof(dir), "layer-%u", as->counter++);
        r = assemble_unpack(as, archive_source_stream(s), below, dir, &res, reterr);
        if (r < 0)
                return r;
        r = assemble_take(as, w, dir, &res, out, reterr);
        if (r >= 0 && kept[0])
                assemble_add_pending(as, kept, digest_hex(w->blob_digest), true);
        if (r >= 0)
                tool_end(as->tool, as->tool->total);
        return r;
}

/* ---- images ---- */

static int one_layer(struct assembler *as, const struct layer_want *w, const struct stack *below,
                     struct layer_out *out, struct err **reterr)
{
        int r;

        if (archive_is_stream(as->archive))
                return assemble_passed(as, w, below, out, reterr);
        if (w->diff_id) {
                (void)snprintf(out->diff_id, sizeof(out->diff_id), "%s", w->diff_id);
                r = assemble_find_existing(as, below, w->diff_id, out->name, reterr);
                if (r != 0)
                        return r < 0 ? r : verify_only(as, w, out, reterr);
        }
        return unpack_from_archive(as, w, below, out, reterr);
}

static int layer_size(struct assembler *as, const char *name, uint64_t *ret, struct err **reterr)
{
        AUTO(layer_info_release) struct layer_info info = {0};
        const struct pending *p = assemble_find_pending(as, name, false);
        AUTO_CLOSE int fd = -EBADF;
        int r;

        if (!p) {
                r = store_layer_info(as->tool->dirs, name, &info, reterr);
        } else {
                fd = openat(store_txn_dir(as->txn), p->from,
                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                r = fd < 0 ? err_sys(reterr, errno, "open layer %.12s", name)
                           : layer_info_read(fd, &info, reterr);
        }
        *ret = info.tar_size;
        return r < 0 ? r : 0;
}

int assembler_layers(struct assembler *as, const struct layer_want *wants, size_t n,
                     struct strv *ret_diff_ids, uint64_t *ret_sizes, struct err **reterr)
{
        AUTO(stack_release) struct stack below = {0};

        for (size_t i = 0; i < n; i++) {
                struct layer_out out = {0};
                int r = one_layer(as, &wants[i], &below, &out, reterr);

                if (r >= 0)
                        r = push(as, &below, out.name, reterr);
                if (r >= 0 && ret_sizes)
                        r = layer_size(as, out.name, &ret_sizes[i], reterr);
                if (r < 0)
                        return r;
                if (ret_diff_ids)
                        strv_add(ret_diff_ids, out.diff_id);
        }
        return 0;
}
