/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* assemble_internal — shared by assemble.c (layers of files), assemble_stream.c (of streams) and assemble_publish.c. */
#include "image/archive.h"
#include "image/assemble.h"
#include "image/layer.h"
#include "image/store_internal.h"
#include "image/tool.h"

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

struct layer_out {
        char name[LAYER_NAME_MAX];
        char diff_id[72];
        uint64_t size; /* uncompressed */
};

void assemble_add_pending(struct assembler *as, const char *from, const char *name, bool blob);
const struct pending *assemble_find_pending(const struct assembler *as, const char *name,
                                            bool blob);
int assemble_check(const struct layer_want *w, const char *diff_id, const char *blob_digest,
                   uint64_t blob_size, struct err **reterr);
/* 1: the store or this run has it, *ret is its name. */
int assemble_find_existing(struct assembler *as, const struct stack *below, const char *diff_id,
                           char ret[LAYER_NAME_MAX], struct err **reterr);
int assemble_unpack(struct assembler *as, struct stream *s, const struct stack *below,
                    const char *dir, struct layer_result *res, struct err **reterr);
/* Checks what was unpacked to @dir and makes it pending. */
int assemble_take(struct assembler *as, const struct layer_want *w, const char *dir,
                  struct layer_result *res, struct layer_out *out, struct err **reterr);
/* A layer of a stream. */
int assemble_passed(struct assembler *as, const struct layer_want *w, const struct stack *below,
                    struct layer_out *out, struct err **reterr);
