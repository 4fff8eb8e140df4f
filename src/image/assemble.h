/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * assemble — from the parts of an archive to an image in the store: finds or unpacks its layers, lowest first, checks every digest, and
 * publishes.
 */
#include "base/macros.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct err;
struct tool;
struct archive;
struct store_txn;
struct assembler;

struct assembler *assembler_new(struct tool *t, struct store_txn *txn, struct archive *a);
struct assembler *assembler_free(struct assembler *as);
DEFINE_CLEANUP(struct assembler *, assembler_free);

struct layer_want {
        const char *entry;       /* name in the archive */
        const char *blob_digest; /* of its bytes there; NULL: not said */
        uint64_t blob_size;      /* 0: not said */
        const char *diff_id;     /* of its uncompressed bytes; NULL: not said */
        bool keep_blob;          /* compressed bytes are kept, so that the manifest stays true */
};
/* @ret_diff_ids and @ret_sizes (NULL ok): of each layer, uncompressed. */
int assembler_layers(struct assembler *as, const struct layer_want *wants, size_t n,
                     struct strv *ret_diff_ids, uint64_t *ret_sizes, struct err **reterr);

struct assembled {
        const char *config,
            *manifest; /* JSON; manifest NULL: one is made, for uncompressed layers */
        size_t config_len, manifest_len;
        const struct strv *diff_ids; /* for a manifest that is made */
        const uint64_t *sizes;
        char *const *names; /* formatted, NULL-terminated */
};
/* Everything that was gathered since the last publication gets durable and into place. Tells the caller ("result"). */
int assembler_publish(struct assembler *as, const struct assembled *image, struct err **reterr);
