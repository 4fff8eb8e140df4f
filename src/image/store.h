/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * store — reading and changing the image store on disk (docs/state.md has the layout). Links only libc and json-c: the run path reads one
 * file through it. Unpacking and packing of archives is layer.h, linked by kelp-image alone.
 *
 * Readers never lock. Writers take "lock" for the short step that changes references; a long write (load) holds a transaction
 * directory in tmp/ whose claims keep layers from being collected meanwhile.
 */
#include "base/macros.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct dirs;
struct json_object;
struct image_config;

/* The resolved run description: images/run/<image hex>.json. */
struct image {
        char *id;              /* "sha256:…" of the config blob */
        char *manifest_digest; /* of the manifest blob in images/blobs */
        char *os, *architecture;
        struct strv
            layers; /* names of directories in layers/ (layer_info.h), lowest first, each once */
        struct json_object
            *doc; /* the whole file; owned; .config is the OCI config's "config" object */
        bool setuid;
        uint64_t size; /* sum of the layers' content, bytes */
        int64_t created_ns;
        struct strv
            names; /* filled by store_list()/store_find(): formatted references that point here */
};
struct image *image_free(struct image *i);
DEFINE_CLEANUP(struct image *, image_free);

/* By name, id or unique id prefix. ERR_NOT_FOUND: "no such image: X" with a hint naming import/load; ambiguous prefix: ERR_USAGE.
 * The run path: one readlink-free open of refs/<name>, one of run/<id>. names is not filled. */
int store_resolve(const struct dirs *d, const char *name, struct image **ret, struct err **reterr);
/* True as long as the image's record exists: the second half of run's reference protocol (docs/state.md, "Removal"). */
bool store_has_image(const struct dirs *d, const char *image_id);
int store_find(const struct dirs *d, const char *name, struct image **ret,
               struct err **reterr); /* with names */
int store_list(const struct dirs *d, struct image ***ret, size_t *ret_n,
               struct err **reterr); /* sorted: newest first */
/* The formatted references that there are, from one directory: no image is looked at. */
int store_reference_names(const struct dirs *d, struct strv *ret, struct err **reterr);
bool image_has_label(const struct image *i, const char *wanted); /* "key" or "key=value" */
void image_list_free(struct image **v, size_t n);
/* The OCI config blob and the manifest blob as JSON (history, inspect). */
int store_config(const struct dirs *d, const struct image *i, struct json_object **ret,
                 struct err **reterr);
int store_manifest(const struct dirs *d, const struct image *i, struct json_object **ret,
                   struct err **reterr);
/* Bytes of a small blob (≤ 4 MiB). */
int store_blob_read(const struct dirs *d, const char *digest, char **ret, size_t *ret_len,
                    struct err **reterr);

/* The full name under which a name that a user gives to something new is stored: an existing one's full form, else localhost/NAME for a
 * short name. ERR_USAGE when it is none. Caller owns. */
int store_new_name(const struct dirs *d, const char *name, char **ret, struct err **reterr);
int store_tag(const struct dirs *d, const char *source, const char *target, struct err **reterr);
struct store_remove_opts {
        bool force, no_prune;
};
/* rmi: untags, and deletes the image with its last name; containers that use it refuse (ERR_BUSY) unless force. Lines for the user
 * ("Untagged: x", "Deleted: sha256:…") are appended to @report. */
int store_remove(const struct dirs *d, const char *name, const struct store_remove_opts *o,
                 struct strv *report, struct err **reterr);
int store_prune(const struct dirs *d, bool all, char *const *filters, struct strv *report,
                uint64_t *ret_bytes, struct err **reterr);
/* Removes what no live writer, image or container refers to: garbage in tmp/, unreferenced layers and blobs. Cheap when there is none. */
int store_sweep(const struct dirs *d, struct err **reterr);

/* A writer's transaction: tmp/<random>/ with its lock held; *ret_fd its directory. Content goes there, then into place by rename. */
struct store_txn;
int store_txn_begin(const struct dirs *d, struct store_txn **ret, struct err **reterr);
int store_txn_dir(const struct store_txn *t);
/* Keeps layer or blob from collection while this transaction lives, whether it exists yet or not. Returns 1 when it exists already. */
int store_txn_claim_layer(struct store_txn *t, const char *layer_name, struct err **reterr);
int store_txn_claim_blob(struct store_txn *t, const char *digest, struct err **reterr);
/* Moves the transaction's directory or file @from into place; claims it first. One that is there already wins. Contents must be on disk. */
int store_txn_put_layer(struct store_txn *t, const char *from, const char *layer_name,
                        struct err **reterr);
int store_txn_put_blob(struct store_txn *t, const char *from, const char *digest,
                       struct err **reterr);
struct store_txn *store_txn_end(struct store_txn *t); /* removes the directory; NULL ok */
DEFINE_CLEANUP(struct store_txn *, store_txn_end);
/* Publishes: manifest and config blobs, run description, then @names (formatted references; NULL-terminated, may be NULL). All layers must be
 * in place. The digests are the caller's: it has computed or checked them. */
struct store_image {
        const char *manifest_digest, *manifest, *config_digest, *config;
        size_t manifest_len, config_len;
        char *const *names;
};
int store_publish(struct store_txn *t, const struct store_image *i, struct err **reterr);

/* The first @n of @layers (lowest first, relative to the data root) as overlay's lowerdir has them: absolute, topmost first, with ":".
 * Caller owns. */
char *store_lower_dirs(const struct dirs *d, const struct strv *layers, size_t n);
/* The largest uid or gid below @limit that a file of these layers has; 0 when there is none. */
int store_largest_id(const struct dirs *d, const struct strv *layers, uint32_t limit, uint32_t *ret,
                     struct err **reterr);

/* The directory below the data root that holds the layer's files as they must be owned for a container with these maps (container → caller's
 * namespace): "layers/<hex>/fs", or a variant "layers/<hex>/fs.<hash>" with other owners. -ENOENT without words: the variant has to be made
 * first, by running kelp-image reown. */
struct id_map;
int store_layer_path(const struct dirs *d, const char *layer_name, const struct id_map *uid,
                     const struct id_map *gid, char **ret, struct err **reterr);
