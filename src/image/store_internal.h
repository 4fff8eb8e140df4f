/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* store_internal — what the files of the store share; not for other directories. */
#include "base/macros.h"
#include "base/str.h"
#include "image/layer_info.h"
#include "image/store.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct dirs;
struct json_object;
struct json_at;

#define STORE_LOCK          "lock"
#define STORE_REFS          "images/refs"
#define STORE_RUN           "images/run"
#define STORE_PENDING       "images/pending"
#define STORE_LAYERS        "layers"
#define STORE_BLOBS         "images/blobs/sha256"
#define STORE_JSON_MAX      (16U * 1024 * 1024) /* a run description holds a config of at most 4 MiB */
#define STORE_BLOB_JSON_MAX (4U * 1024 * 1024)
#define STORE_MAX_LAYERS    4096

/* ---- references: images/refs/<escaped> ---- */
struct ref {
        char *name; /* formatted */
        char *image, *manifest;
        int64_t tagged_ns;
};
struct ref_list {
        struct ref *v;
        size_t n;
};
void ref_release(struct ref *r);
void ref_list_release(struct ref_list *l);
/* 1 found, 0 there is none. */
int refs_read(const struct dirs *d, const char *formatted, struct ref *ret, struct err **reterr);
/* Every readable reference, sorted by name. A damaged file is left out: it names nothing. */
int refs_list(const struct dirs *d, struct ref_list *ret, struct err **reterr);
/* The three below need the store's lock. Setting a name removes its twin (reference_twin). */
int refs_set(const struct dirs *d, const char *formatted, const char *image, const char *manifest,
             struct err **reterr);
int refs_unset(const struct dirs *d, const char *formatted,
               struct err **reterr); /* 1: it was there */
/* Writes images/index.json and oci-layout from refs/ and run/. */
int refs_derive_index(const struct dirs *d, struct err **reterr);
/* The full names that a name typed by the user may mean, in the order of lookup. ERR_USAGE when it is no reference. */
int refs_candidates(const char *name, struct strv *ret, struct err **reterr);

/* ---- run descriptions: images/run/<hex>.json ---- */
/* Builds one from a config blob and the layers' info.json. */
int run_description_build(const struct dirs *d, const char *id, const char *manifest,
                          struct json_object *config, struct json_object **ret,
                          struct err **reterr);
/* Consumes @doc, on failure too. */
int run_description_parse_take(struct json_object *doc, const char *what, struct image **ret,
                               struct err **reterr);
/* 1 found, 0 there is none. */
int run_description_read(const struct dirs *d, const char *hex, struct image **ret,
                         struct err **reterr);
/* Hex digits of every described image. */
int run_description_ids(const struct dirs *d, struct strv *ret, struct err **reterr);

/* rootfs.diff_ids of a config, checked: sha256 digests. None when it has no rootfs. */
int image_config_diff_ids(const struct json_at *config, struct strv *ret, struct err **reterr);
/* info.json of layers/<name>: 1; 0 when there is no such directory. */
int store_layer_info(const struct dirs *d, const char *name, struct layer_info *ret,
                     struct err **reterr);
struct store_layer_sum {
        uint64_t bytes;
        bool setuid;
};
/* The layers' directories, lowest first, repeated ones included. ERR_NOT_FOUND when one is missing. */
int store_layer_names(const struct dirs *d, const struct strv *diff_ids, struct strv *ret,
                      struct store_layer_sum *sum, struct err **reterr);

/* ---- publication: images/pending/<hex> ---- */
/* All three with the store's lock held alone. The mark stands from before an image's record is written until all its names are. */
int pending_set(const struct dirs *d, const char *hex, struct err **reterr);
int pending_clear(const struct dirs *d, const char *hex, struct err **reterr);
/* A mark met under the lock is of a publisher that was killed: its image goes, unless a name or a container refers to it. */
int pending_roll_back(const struct dirs *d, struct err **reterr);

/* ---- names ---- */
struct store_name {
        struct image *image;
        char *ref;      /* formatted reference that led there; NULL: by id */
        char *manifest; /* the reference's; NULL: by id */
};
void store_name_release(struct store_name *n);
int store_lookup(const struct dirs *d, const char *name, struct store_name *ret,
                 struct err **reterr);

/* ---- directories in tmp/ ---- */
/* tmp/<random>/ with its lock held. */
struct tmp_dir {
        char name[65];
        int lock_fd, fd;
};
#define TMP_DIR_NONE ((struct tmp_dir){.lock_fd = -EBADF, .fd = -EBADF})
int tmp_dir_create(const struct dirs *d, struct tmp_dir *ret, struct err **reterr);
/* Removes the tree, inside U when it holds ids of others, and lets go of the lock. */
int tmp_dir_remove(const struct dirs *d, struct tmp_dir *t, struct err **reterr);
/* Removes unlocked directories in tmp/. */
int tmp_dir_sweep(const struct dirs *d, struct err **reterr);

/* ---- collection ---- */
/* Hex digits of the layers' blobs that a manifest names are added. -ENOENT: it is not there. */
int store_manifest_layers(const struct dirs *d, const char *manifest, struct strv *ret,
                          struct err **reterr);
/* store_usage.c: what a layer takes on disk, with its variants; 0: there is none. */
int store_layer_bytes(const struct dirs *d, const char *name, uint64_t *ret, struct err **reterr);
struct collected {
        struct tmp_dir trash; /* holds what was taken away; lock_fd < 0: nothing was */
        struct strv layers;   /* hex */
        uint64_t bytes;
};
void collected_release(struct collected *c);
/* With the store's lock held: moves unreferenced layers and blobs into a directory of tmp/. The caller removes it after
 * releasing the lock: deleting takes time. */
int store_collect(const struct dirs *d, struct collected *ret, struct err **reterr);
/* Adds to @ret every layer that a container names. */
int store_container_layers(const struct dirs *d, struct strv *ret, struct err **reterr);
/* A container that uses the image: 1 and its id, *ret_running; 0 none. Running ones are preferred. */
int store_image_user(const struct dirs *d, const char *image_id, char ret_id[65], bool *ret_running,
                     struct err **reterr);

/* Names of a directory below the data root, sorted; a missing directory is empty. Those that begin with '.' are left out. */
int store_names(const struct dirs *d, const char *dir, struct strv *ret, struct err **reterr);
bool strv_has_sorted(const struct strv *sorted, const char *s);
void strv_sort(struct strv *v);
void strv_unique(struct strv *sorted);
