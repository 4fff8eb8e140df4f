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
#include "base/fault.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/json.h"
#include "base/path.h"
#include "image/archive.h"
#include "image/digest.h"
#include "image/hash.h"
#include "image/layer.h"
#include "image/manifest.h"
#include "image/store.h"
#include "image/store_internal.h"
#include "image/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pending {
        char from[32];             /* in the transaction */
        char name[LAYER_NAME_MAX]; /* of the layer, or the digest's hex of a blob */
        bool blob;
};
struct assembler {
        struct tool *tool;
        struct store_txn *txn;
        struct archive *archive;
        struct pending *v;
        size_t n, cap;
        unsigned counter;
};

/* The layers below the one in hand. */
struct stack {
        struct strv names;
        int *fds;
        size_t n;
};

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

static void add_pending(struct assembler *as, const char *from, const char *name, bool blob)
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

static const struct pending *find_pending(const struct assembler *as, const char *name, bool blob)
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
        const struct pending *p = find_pending(as, name, false);
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

static int check_digests(const struct layer_want *w, const char *diff_id, const char *blob_digest,
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
static int find_existing(struct assembler *as, const struct stack *below, const char *diff_id,
                         char ret[LAYER_NAME_MAX], struct err **reterr)
{
        for (int i = 0; i < 2; i++) {
                int r;

                if (i == 0)
                        (void)snprintf(ret, LAYER_NAME_MAX, "%s", digest_hex(diff_id));
                else
                        layer_chain_name(digest_hex(diff_id), below->names.v, below->n, ret);
                if (find_pending(as, ret, false))
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
            find_pending(as, digest_hex(w->blob_digest), true))
                return 0;
        r = store_txn_claim_blob(as->txn, w->blob_digest, reterr);
        return r < 0 ? r : r == 0;
}

/* ---- directories and files ---- */

struct layer_out {
        char name[LAYER_NAME_MAX];
        char diff_id[72];
        uint64_t size; /* uncompressed */
};

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
        r = check_digests(w, known ? w->diff_id : sums.content, sums.source, sums.source_bytes,
                          reterr);
        if (r >= 0 && kept[0])
                add_pending(as, kept, digest_hex(w->blob_digest), true);
        return r;
}

static void warn_layer(void *userdata, const char *text)
{
        tool_warn(userdata, text);
}

static int unpack(struct assembler *as, struct stream *s, const struct stack *below,
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

static int take_result(struct assembler *as, const struct layer_want *w, const char *dir,
                       struct layer_result *res, struct layer_out *out, struct err **reterr)
{
        int r =
            check_digests(w, res->info.diff_id, res->info.blob_digest, res->info.blob_size, reterr);

        memcpy(out->name, res->name, sizeof(out->name));
        memcpy(out->diff_id, res->info.diff_id, sizeof(out->diff_id));
        out->size = res->info.tar_size;
        layer_info_release(&res->info);
        if (r < 0)
                return r;
        /* The same layer twice in one image, or another writer was faster. */
        if (!find_pending(as, out->name, false)) {
                r = store_txn_claim_layer(as->txn, out->name, reterr);
                if (r == 0)
                        add_pending(as, dir, out->name, false);
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
        r = unpack(as, archive_source_stream(s), below, dir, &res, reterr);
        if (r < 0)
                return r;
        r = take_result(as, w, dir, &res, out, reterr);
        if (r >= 0 && kept[0])
                add_pending(as, kept, digest_hex(w->blob_digest), true);
        if (r >= 0)
                tool_end(as->tool, as->tool->total);
        return r;
}

/* ---- streams ---- */

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
        r = stream_open(&opts, &s, reterr);
        if (r >= 0)
                r = unpack(as, s, below, dir, res, reterr);
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
        return take_result(as, &checked, dir, &res, out, reterr);
}

static int keep_passed_blob(struct assembler *as, const struct layer_want *w,
                            const struct archive_layer *l, struct err **reterr)
{
        int r;

        if (!w->keep_blob || !l->blob[0] || find_pending(as, digest_hex(l->blob_digest), true))
                return 0;
        r = store_txn_claim_blob(as->txn, l->blob_digest, reterr);
        if (r == 0)
                add_pending(as, l->blob, digest_hex(l->blob_digest), true);
        return r < 0 ? r : 0;
}

static int take_passed(struct assembler *as, const struct layer_want *w, const struct stack *below,
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
        r = check_digests(w, l->diff_id, l->blob_digest, l->blob_size, reterr);
        if (r < 0)
                return r;
        memcpy(out->diff_id, l->diff_id, sizeof(out->diff_id));
        r = keep_passed_blob(as, w, l, reterr);
        if (r < 0)
                return r;
        r = find_existing(as, below, l->diff_id, out->name, reterr);
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
                add_pending(as, l->dir, out->name, false);
        return r < 0 ? r : 0;
}

/* ---- images ---- */

static int one_layer(struct assembler *as, const struct layer_want *w, const struct stack *below,
                     struct layer_out *out, struct err **reterr)
{
        int r;

        if (archive_is_stream(as->archive))
                return take_passed(as, w, below, out, reterr);
        if (w->diff_id) {
                (void)snprintf(out->diff_id, sizeof(out->diff_id), "%s", w->diff_id);
                r = find_existing(as, below, w->diff_id, out->name, reterr);
                if (r != 0)
                        return r < 0 ? r : verify_only(as, w, out, reterr);
        }
        return unpack_from_archive(as, w, below, out, reterr);
}

static int layer_size(struct assembler *as, const char *name, uint64_t *ret, struct err **reterr)
{
        AUTO(layer_info_release) struct layer_info info = {0};
        const struct pending *p = find_pending(as, name, false);
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

static int put_everything(struct assembler *as, struct err **reterr)
{
        int r;

        /* One flush of the file system for all files of all layers; the renames after it publish what is on disk. */
        if (as->n > 0 && syncfs(store_txn_dir(as->txn)) < 0)
                return err_sys(reterr, errno, "write the layers to disk");
        for (size_t i = 0; i < as->n; i++) {
                const struct pending *p = &as->v[i];
                AUTO_FREE char *digest = xasprintf("sha256:%s", p->name);

                FAULT_POINT("image-put");
                r = p->blob ? store_txn_put_blob(as->txn, p->from, digest, reterr)
                            : store_txn_put_layer(as->txn, p->from, p->name, reterr);
                if (r < 0)
                        return r;
        }
        as->n = 0;
        return 0;
}

static int tell(struct tool *t, const char *id, char *const *names, struct err **reterr)
{
        int r = 0;

        if (!names || !*names) {
                struct json_object *msg = json_object_new_object();

                json_add_string(msg, "id", id);
                return tool_send_take(t, "result", msg, reterr);
        }
        for (char *const *name = names; *name && r >= 0; name++) {
                struct json_object *msg = json_object_new_object();

                json_add_string(msg, "id", id);
                json_add_string(msg, "name", *name);
                r = tool_send_take(t, "result", msg, reterr);
        }
        return r;
}

static char *make_manifest(const struct assembled *image, const char *config_digest)
{
        AUTO_FREE struct manifest_layer *layers = xcalloc(image->diff_ids->n + 1, sizeof(*layers));

        for (size_t i = 0; i < image->diff_ids->n; i++)
                layers[i] = (struct manifest_layer){MEDIA_OCI_LAYER, image->diff_ids->v[i],
                                                    image->sizes[i]};
        return manifest_build(config_digest, image->config_len, layers, image->diff_ids->n);
}

int assembler_publish(struct assembler *as, const struct assembled *image, struct err **reterr)
{
        char config_digest[HASH_DIGEST_SIZE], manifest_digest[HASH_DIGEST_SIZE];
        AUTO_FREE char *made = NULL;
        struct store_image published = {
            .config = image->config,
            .config_len = image->config_len,
            .config_digest = config_digest,
            .manifest = image->manifest,
            .manifest_len = image->manifest_len,
            .manifest_digest = manifest_digest,
            .names = image->names,
        };
        int r = put_everything(as, reterr);

        if (r < 0)
                return r;
        hash_bytes(image->config, image->config_len, config_digest);
        if (!image->manifest) {
                published.manifest = made = make_manifest(image, config_digest);
                published.manifest_len = strlen(made);
        }
        hash_bytes(published.manifest, published.manifest_len, manifest_digest);
        r = store_publish(as->txn, &published, reterr);
        return r < 0 ? r : tell(as->tool, config_digest, image->names, reterr);
}
