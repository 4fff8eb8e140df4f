/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `commit`: what a container has written becomes a layer on top of its image's.
 *
 * Theory of operation. The writable layer is walked and turned into the bytes of an archive, which is unpacked to the new layer as any other
 * would be: so the layer's recipe and files are its archive by construction, and its digest is that of the bytes that passed by. Read, hash
 * and write go on side by side. Nothing of the image's own size is touched. Killed at any point there is garbage in tmp/, or an
 * unreferenced layer, or the whole image.
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/str.h"
#include "image/assemble.h"
#include "image/commit_internal.h"
#include "image/container_source.h"
#include "image/hash.h"
#include "image/layer.h"
#include "image/store.h"
#include "image/tool.h"
#include "image/tree_stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define LAYER_DIR "layer"

static void warn(void *arg, const char *text)
{
        tool_warn(arg, text);
}

static void show_progress(void *arg, uint64_t done)
{
        tool_progress(arg, done);
}

/* The container's layers must stay while the image that will refer to them is being made. */
static int claim_layers(struct store_txn *txn, const struct container_source *s,
                        struct err **reterr)
{
        for (size_t i = 0; i < s->layers.n; i++) {
                int r = store_txn_claim_layer(txn, s->layers.v[i], reterr);

                if (r == 0)
                        return err_new(reterr, ERR_NOT_FOUND, "layer %.12s is missing",
                                       s->layers.v[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- the layer ---- */

static int unpack(struct tool *t, struct store_txn *txn, const struct layer_unpack_opts *opts,
                  struct tree_stream *tree, struct layer_result *res, struct err **reterr)
{
        struct stream_opts so = STREAM_OPTS_INIT;
        AUTO_ERR struct err *e = NULL;
        struct stream *s = NULL;
        int r;

        so.what = "the container's changes";
        so.read = tree_stream_read;
        so.userdata = tree;
        so.plain = true;
        so.threaded = true;
        so.progress = show_progress;
        so.progress_data = t;
        r = stream_open(&so, &s, &e);
        if (r >= 0)
                r = layer_unpack(s, store_txn_dir(txn), LAYER_DIR, opts, res, &e);
        (void)stream_free(s); /* joins the thread: from here on the tree's words are ours */
        if (r >= 0)
                return 0;
        if (tool_interrupted(t))
                return tool_interrupted_error(reterr);
        if (tree_stream_error(tree, reterr) < 0)
                return r;
        return err_move(reterr, r, &e);
}

/* The layers below say only that there are some to hide something of: every directory on the way to a change is in the archive. */
static int *lowest_first(const struct container_source *s)
{
        int *fds = xcalloc(s->n, sizeof(int));

        for (size_t i = 1; i < s->n; i++)
                fds[s->n - 1 - i] = s->fds[i];
        return fds;
}

static int make_layer(struct tool *t, struct store_txn *txn, const struct container_source *s,
                      const struct commit_request *q, struct layer_result *res, struct err **reterr)
{
        AUTO(tree_stream_freep) struct tree_stream *tree = NULL;
        AUTO(walk_freep) struct walk *w = NULL;
        struct json_at root = json_root(t->request, "request");
        AUTO_FREE int *lowers = lowest_first(s);
        struct layer_unpack_opts opts = {
            .maps = t->maps, .limits = LAYER_LIMITS_DEFAULT, .warn = warn, .warn_data = t};
        struct walk_opts o = {0};
        bool fresh = false;
        int r = json_opt_bool(&root, "fresh", &fresh, reterr);

        if (r < 0)
                return r;
        if (!q->squash && s->n - 1 != s->layers.n)
                return err_new(reterr, ERR_INVALID, "the container's description is damaged");
        container_source_walk(s, &o);
        if (q->squash) {
                char *const *mounts = o.mount_points;

                container_source_walk_all(s, &o);
                /* In a whole tree nobody can tell what a start has made. */
                o.mount_points = s->whole ? NULL : mounts;
        } else {
                o.hides_as_one = true;
                o.root = !fresh;
                opts.lower_names = s->layers.v;
                opts.lower_fds = lowers;
                opts.n_lowers = s->n - 1;
        }
        r = walk_new(&o, &w, reterr);
        if (r < 0)
                return r;
        tree = tree_stream_new(
            &(struct tree_stream_opts){.walk = w, .uid = &s->uid, .gid = &s->gid, .layer = true});
        tool_begin(t, "commit", 0);
        r = unpack(t, txn, &opts, tree, res, reterr);
        if (r < 0)
                return r;
        tree_stream_warnings(tree, warn, t);
        tool_end(t, tree_stream_bytes(tree));
        return 0;
}

/* ---- the image ---- */

static char *make_manifest(const struct commit_request *q, const struct commit_base *base,
                           const struct layer_info *info, const char *config)
{
        size_t n = q->squash ? 0 : base->descriptors.n;
        AUTO_FREE struct manifest_layer *v = xcalloc(n + 1, sizeof(*v));
        char digest[HASH_DIGEST_SIZE];

        for (size_t i = 0; i < n; i++)
                v[i] = (struct manifest_layer){
                    manifest_layer_type(base->descriptors.v[i].media_type, q->docker),
                    base->descriptors.v[i].digest, base->descriptors.v[i].size};
        v[n] = (struct manifest_layer){manifest_layer_type("", q->docker), info->diff_id,
                                       info->tar_size};
        hash_bytes(config, strlen(config), digest);
        return q->docker ? manifest_build_docker(digest, strlen(config), v, n + 1)
                         : manifest_build(digest, strlen(config), v, n + 1);
}

static int publish(struct tool *t, struct store_txn *txn, const struct commit_request *q,
                   const struct commit_base *base, const struct layer_result *res,
                   struct json_object *config, struct err **reterr)
{
        AUTO(assembler_freep) struct assembler *as = assembler_new(t, txn, NULL);
        AUTO_FREE char *name = xstrdup(q->name), *text = NULL, *manifest = NULL;
        char *names[] = {name, NULL};
        struct json_object *rootfs = json_object(config, "rootfs");
        struct assembled image = {.names = names};
        AUTO_STRV diff_ids = {0};
        int r;

        if (!q->squash)
                strv_copy(&diff_ids, &base->diff_ids);
        strv_add(&diff_ids, res->info.diff_id);
        json_add_string(rootfs, "type", "layers");
        json_object_object_add(rootfs, "diff_ids", json_from_strv(&diff_ids));
        text = xstrdup(json_object_to_json_string_ext(config, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE));
        manifest = make_manifest(q, base, &res->info, text);
        image.config = text;
        image.config_len = strlen(text);
        image.manifest = manifest;
        image.manifest_len = strlen(manifest);
        if (syncfs(store_txn_dir(txn)) < 0)
                return err_sys(reterr, errno, "write the layer to disk");
        FAULT_POINT("commit-put");
        r = store_txn_put_layer(txn, LAYER_DIR, res->name, reterr);
        FAULT_POINT("commit-layer");
        return r < 0 ? r : assembler_publish(as, &image, reterr);
}

int tool_commit(struct tool *t, struct err **reterr)
{
        AUTO(container_source_release) struct container_source s = {0};
        AUTO(commit_request_release) struct commit_request q = {0};
        AUTO(commit_base_release) struct commit_base base = {0};
        AUTO(store_txn_endp) struct store_txn *txn = NULL;
        struct layer_result res = {0};
        AUTO_JSON *config = NULL;
        int r;

        if ((r = commit_request_read(t, &q, reterr)) < 0 ||
            (r = container_source_open(t, &s, reterr)) < 0 ||
            (r = store_txn_begin(t->dirs, &txn, reterr)) < 0 ||
            (r = claim_layers(txn, &s, reterr)) < 0 ||
            (r = commit_base_read(t, &q, &s, &base, reterr)) < 0 ||
            (r = commit_config_make(t, &q, &base, &config, reterr)) < 0)
                return r;
        FAULT_POINT("commit-begun");
        r = make_layer(t, txn, &s, &q, &res, reterr);
        if (r < 0)
                return r;
        FAULT_POINT("commit-written");
        r = container_source_check(t, &s, reterr);
        if (r >= 0)
                r = publish(t, txn, &q, &base, &res, config, reterr);
        layer_info_release(&res.info);
        return r;
}
