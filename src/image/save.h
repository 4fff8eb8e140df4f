/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* save — what the writers of the formats share: the images that were asked for, and the files of which an archive consists. */
#include "base/macros.h"
#include "base/str.h"
#include "image/hash.h"
#include "image/manifest.h"

#include <stddef.h>
#include <stdint.h>

struct err;
struct tool;
struct saver;

struct save_image {
        char *id, *manifest_digest;
        struct strv names; /* formatted */
        char *config, *manifest;
        size_t config_len, manifest_len;
        struct manifest parsed;
        struct config_summary summary;
        struct strv layers; /* directories in layers/, one for each diff-id */
};
struct save_images {
        struct save_image *v;
        size_t n;
};

/* A file of the archive; what it is made of: text, a blob of the store, or a layer to be packed. */
struct save_file {
        char *name;
        char *text; /* owned */
        size_t text_len;
        char *blob;  /* digest */
        char *layer; /* directory in layers/ */
        char *item;  /* for progress */
        uint64_t size;
};
struct save_files {
        struct save_file *v;
        size_t n, cap;
};
/* Once per name: layers are shared. */
void save_add_text(struct save_files *f, const char *name, const char *text, size_t len);
int save_add_blob(struct tool *t, struct save_files *f, const char *name, const char *digest,
                  struct err **reterr);
int save_add_layer(struct tool *t, struct save_files *f, const char *name, const char *layer,
                   struct err **reterr);
bool save_has_blob(const struct tool *t, const char *digest);

/* The formats: they name the files, save.c writes them. */
int save_oci(struct tool *t, const struct save_images *images, bool docker, struct save_files *ret,
             struct err **reterr);
int save_docker_v1(struct tool *t, const struct save_images *images, struct save_files *ret,
                   struct err **reterr);
